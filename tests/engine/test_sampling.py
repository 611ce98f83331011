"""Choosing tokens: processors against their definitions, and the law of what is sampled."""

import math

import pytest
import torch
from scipy.stats import chisquare

from engine import ConfigError, Engine, SamplingParams, noise, sampler
from engine.draft import Draft
from engine.requests import new_sequence
from engine.verify import verify


def sequence(prompt=(1, 2), output=(), **params):
    made = new_sequence("r", list(prompt), SamplingParams(**({"max_tokens": 50} | params)), 100, 0, 0, 0.0)
    made.tokens += output
    return made


def scores(logits, made, drafted=()):
    """The adjusted logits of one row, without the noise."""
    out = torch.tensor([logits], dtype=torch.float32)
    sampler._adjust(out[0], sampler.Row(0, made, drafted), [3])
    if made.params.is_greedy:
        return out[0]
    return sampler.filtered(out.double(), [made.params])[0]


def kept(values):
    return [i for i, value in enumerate(values.tolist()) if value > -math.inf]


LOGITS = [2.0, 1.0, 0.0, -1.0, -2.0]


def test_filters_keep_what_their_definitions_say():
    assert kept(scores(LOGITS, sequence(top_k=2))) == [0, 1]
    # probabilities 0.636 0.234 0.086 0.032 0.012
    assert kept(scores(LOGITS, sequence(top_p=0.6))) == [0]
    assert kept(scores(LOGITS, sequence(top_p=0.9))) == [0, 1, 2]
    assert kept(scores(LOGITS, sequence(min_p=0.3))) == [0, 1]
    assert kept(scores(LOGITS, sequence(top_k=3, top_p=0.7))) == [0, 1]
    assert kept(scores(LOGITS, sequence())) == [0, 1, 2, 3, 4]


def test_temperature_divides():
    assert scores(LOGITS, sequence(temperature=0.5)).tolist() == [4.0, 2.0, 0.0, -2.0, -4.0]


def test_penalties_follow_output_prompt_and_draft():
    made = sequence(prompt=(0, 3), output=(1, 1), temperature=0.0, presence_penalty=0.5, frequency_penalty=0.25)
    assert scores(LOGITS, made).tolist() == [2.0, 1.0 - 0.5 - 0.5, 0.0, -1.0, -2.0]
    assert scores(LOGITS, made, drafted=(1, 2)).tolist() == [2.0, 1.0 - 0.5 - 0.75, -0.75, -1.0, -2.0]
    made = sequence(prompt=(0, 3), output=(1,), temperature=0.0, repetition_penalty=2.0)
    assert scores(LOGITS, made).tolist() == [1.0, 0.5, 0.0, -2.0, -2.0]


def test_bias_and_min_tokens():
    made = sequence(temperature=0.0, logit_bias={4: 10.0}, min_tokens=2, stop_token_ids=[0])
    assert scores(LOGITS, made).tolist() == [-math.inf, 1.0, 0.0, -math.inf, 8.0]
    assert kept(scores(LOGITS, made, drafted=(1, 1))) == [0, 1, 2, 3, 4]


def test_noise_depends_on_seed_position_and_token_alone():
    cpu = torch.device("cpu")
    one = noise.gumbel([noise.key(5, 9)], 40, cpu)
    many = noise.gumbel([noise.key(5, p) for p in range(12)], 60, cpu)
    assert torch.equal(one[0], many[9, :40])
    assert not torch.equal(many[9], noise.gumbel([noise.key(6, 9)], 60, cpu)[0])


def test_choices_follow_the_probabilities():
    probs = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)
    keys = [noise.key(seed, position) for seed in range(40) for position in range(500)]
    chosen = (probs.log() + noise.gumbel(keys, 5, torch.device("cpu"))).argmax(-1)
    counts = torch.bincount(chosen, minlength=5)
    assert chisquare(counts.numpy(), (probs * len(keys)).numpy()).pvalue > 1e-3


def test_verification_is_exact_for_every_draft_by_enumeration():
    """The emitted prefix has the target's law whatever was drafted: vocabulary 3, two positions, all draws."""
    torch.manual_seed(0)
    for _ in range(50):
        first, second = torch.rand(3, dtype=torch.float64), torch.rand(3, 3, dtype=torch.float64)
        first, second = first / first.sum(), second / second.sum(-1, keepdim=True)
        draft = torch.randint(0, 3, (2,)).tolist()
        law = torch.zeros(3, 3, dtype=torch.float64)
        for a in range(3):
            for b in range(3):
                emitted = verify(Draft.chains([draft]), [a, b, 0]).emitted[0]
                chance = first[a] * second[draft[0], b]
                if len(emitted) >= 2:
                    law[emitted[0], emitted[1]] += chance
                else:  # what follows is drawn afresh from the target in the next step
                    law[emitted[0]] += chance * second[emitted[0]]
        assert (law - first[:, None] * second).abs().sum() / 2 < 1e-12


def test_verify_accepts_the_matching_prefix_of_every_sequence():
    draft = Draft.chains([[4, 5], [], [7]])
    result = verify(draft, [4, 9, 1, 3, 7, 8])
    assert result.num_accepted == [1, 0, 1]
    assert result.emitted == [[4, 9], [3], [7, 8]]


def test_sampled_output_with_drafts_has_the_law_of_output_without(random_model):
    """Two tokens, 6,000 seeds each way with different seeds: a chi-square test of one sample against the other."""
    engine = Engine.load(random_model, max_num_seqs=64, num_threads=1)
    prompt = [1, 20, 21, 22, 23, 20, 21, 22]

    def counts(config, first_seed):
        engine.configure_speculation(config)
        wishes = [
            SamplingParams(max_tokens=2, temperature=0.7, top_k=4, seed=first_seed + i, ignore_eos=True)
            for i in range(6000)
        ]
        pairs: dict = {}
        for output in engine.generate([prompt] * len(wishes), wishes):
            pairs[tuple(output.token_ids)] = pairs.get(tuple(output.token_ids), 0) + 1
        return pairs

    plain = counts(None, 0)
    drafted = counts({"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1}, 100_000)
    keys = [key for key in plain | drafted if plain.get(key, 0) + drafted.get(key, 0) >= 20]
    table = torch.tensor([[side.get(key, 0) for key in keys] for side in (plain, drafted)], dtype=torch.float64)
    expected = table.sum(0, keepdim=True) * table.sum(1, keepdim=True) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum().item()
    from scipy.stats import chi2

    assert chi2.sf(statistic, len(keys) - 1) > 1e-3


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": 0},
        {"top_k": -2},
        {"min_p": 2},
        {"max_tokens": 0},
        {"min_tokens": 60},
        {"stop": [""]},
        {"seed": -1},
        {"logprobs": 50},
        {"repetition_penalty": 0},
        {"presence_penalty": 3},
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}=.* is not allowed: "):
        SamplingParams(**({"max_tokens": 50} | wrong))


def test_an_unknown_name_gets_the_nearest_right_one():
    with pytest.raises(ConfigError, match="did you mean temperature"):
        SamplingParams.from_mapping({"temprature": 0.5})
