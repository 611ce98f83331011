"""The schedule of draft lengths by batch size, and the checks of every control field."""

import json

import pytest

from engine import ConfigError
from engine.control.schedule import Schedule, parse
from engine.control.settings import DEFAULTS
from engine.proposers import resolve

NGRAM = {"method": "ngram", "num_speculative_tokens": 4}


def test_gaps_and_what_lies_beyond_keep_the_range_before():
    schedule = Schedule(parse([[1, 2, 5], [4, 8, 3], [9, 9, 0]]))
    assert [schedule.tokens_at(n) for n in (1, 2, 3, 4, 8, 9, 10, 500)] == [5, 5, 5, 3, 3, 0, 0, 0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"=\[\] is not allowed: a list of \[first, last, num_speculative_tokens\]"),
        ("[[1, 4, 5]]", "a list of"),
        (4, "a list of"),
        ([4], "a range is three whole numbers"),
        ([[1, 4]], "a range is three whole numbers"),
        ([[1, 4, 2.5]], "a range is three whole numbers"),
        ([[1, 4, True]], "a range is three whole numbers"),
        ([[0, 4, 2]], "1 <= first <= last"),
        ([[3, 2, 2]], "1 <= first <= last"),
        ([[1, 4, -1]], "num_speculative_tokens >= 0"),
        ([[2, 4, 5]], "the first range begins at 2, it must begin at batch size 1"),
        ([[1, 4, 5], [4, 8, 2]], "the range from 4 must begin after 4"),
        ([[1, 4, 5], [9, 12, 2], [5, 8, 3]], "the range from 5 must begin after 12"),
    ],
)
def test_wrong_schedules(value, message):
    with pytest.raises(ConfigError, match=message):
        resolve(NGRAM | {"num_speculative_tokens_per_batch_size": value})


def test_a_schedule_survives_json_and_equality():
    config = resolve(NGRAM | {"num_speculative_tokens_per_batch_size": [[1, 4, 5], [5, 8, 2]]})
    again = resolve(json.loads(json.dumps(config.given)))
    assert again == config
    assert config.given["num_speculative_tokens_per_batch_size"] == ((1, 4, 5), (5, 8, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"adaptive": "yes"}, "adaptive='yes' is not allowed: true or false"),
        ({"adaptive_window": 8}, "adaptive_window has no effect without adaptive=true"),
        ({"adaptive": True, "adaptive_window": 0}, "adaptive_window=0 is not allowed: a whole number >= 1"),
        ({"adaptive": True, "adaptive_min_tokens": -1}, "adaptive_min_tokens=-1 is not allowed"),
        ({"adaptive": True, "adaptive_probe_interval": 1.5}, "adaptive_probe_interval=1.5 is not allowed"),
        ({"adaptive": True, "adaptive_memory_threshold": 90}, "threshold=90 is not allowed: a number from 0 to 1"),
        ({"adaptive": True, "adaptive_low_acceptance": True}, "adaptive_low_acceptance=True is not allowed"),
        ({"adaptive": True, "adaptive_low_acceptance": 0.9}, "adaptive_low_acceptance=0.9 is above .*=0.85"),
    ],
)
def test_wrong_controllers(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve(NGRAM | given)


def test_defaults_are_filled_where_the_controller_is_on_and_only_there():
    on = resolve(NGRAM | {"adaptive": True, "adaptive_low_acceptance": 0.0})
    assert {name: getattr(on, name) for name in DEFAULTS} == DEFAULTS | {"adaptive_low_acceptance": 0.0}
    assert resolve(on.given) == on
    switched_off = resolve(NGRAM | {"adaptive": False, "adaptive_window": 8})
    assert switched_off.adaptive_window == 8
    assert switched_off.adaptive_low_acceptance is None
    assert set(resolve(NGRAM).given) == {*NGRAM, "prompt_lookup_min", "prompt_lookup_max"}
