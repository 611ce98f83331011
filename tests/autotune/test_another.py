"""A search of one worker draws no configuration twice while there is another."""

import math

import optuna
import pytest

from autotune.search_space import space_of
from autotune.status import Status
from autotune.study.drawing import scratch
from autotune.study.ledger import Ledger
from autotune.trial import Trial
from benchmarks.short_studies import settings_for

WORDS = ("method=ngram", "method.search=null", "study.model=false", "study.startup_trials=2", "tracking=none")


def ledger(space, settings):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = Ledger(optuna.create_study(direction="maximize"), space, settings.study)
    found.begin()
    return found


def told(parameters, number, status=Status.COMPLETE):
    speedup = math.exp(0.1 * parameters["method.num_speculative_tokens"])
    return Trial(number, parameters, status, speedup=speedup if status is Status.COMPLETE else None)


@pytest.fixture
def small():
    settings = settings_for([*WORDS, "+search.method.num_speculative_tokens={int: [1, 8]}", "study.n_trials=7"])
    return ledger(space_of(settings), settings)


def test_every_trial_has_a_configuration_of_its_own(small):
    drawn = []
    for _ in range(7):
        number, parameters = small.ask()
        small.tell(told(parameters, number))
        drawn.append(parameters["method.num_speculative_tokens"])
    assert sorted(set(drawn)) == sorted(drawn)


def test_what_was_only_predicted_comes_after_all_others(small):
    for place in range(8):
        number, parameters = small.ask()
        small.tell(told(parameters, number, Status.PREDICTED if place < 2 else Status.COMPLETE))
    predicted = {trial.key for trial in small.finished() if trial.status is Status.PREDICTED}
    _, parameters = small.ask()
    assert tuple(sorted(parameters.items())) in predicted


def test_where_everything_was_measured_a_configuration_comes_again(small):
    for _ in range(8):
        number, parameters = small.ask()
        small.tell(told(parameters, number))
    assert small.ask() is not None


def test_an_interrupted_study_draws_what_it_would_have_drawn(small):
    number, parameters = small.ask()
    small.tell(told(parameters, number))
    first = small.ask()
    assert small.ask() == first


def test_values_of_a_stepped_dimension_lie_within_it():
    block = "+search.method.suffix_decoding_min_token_prob={float: [0.0, 0.6], step: 0.05}"
    space = space_of(settings_for(["method=suffix", "method.search=null", block]))
    values = space.dimensions[0].values()
    assert values[-1] == 0.6
    found = optuna.create_study(direction="maximize")
    distribution = optuna.distributions.FloatDistribution(0.0, 0.6, step=0.05)
    for value in values:
        found.add_trial(optuna.trial.create_trial(value=1.0, params={"p": value}, distributions={"p": distribution}))
    assert len(scratch(found.get_trials(), found.directions).get_trials()) == len(values) == 13
