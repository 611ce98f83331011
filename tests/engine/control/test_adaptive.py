"""The online controller: when it shortens, lengthens, probes and lowers the cutoff; tokens stay what they are."""

import pytest

from engine import Engine, SamplingParams
from engine.control.adaptive import Adaptive
from engine.proposers import resolve
from tests.engine.drafts import METHODS, settings_for, settings_of

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
LOOP = [1, *([5, 6, 7, 8] * 6)]


def controller(most=4, cutoff=8, **given) -> Adaptive:
    return Adaptive(resolve(NGRAM | {"adaptive": True} | given), most, cutoff)


def depths(control: Adaptive, shares: list[float], request_id: str = "a") -> list[int]:
    """The depth of each draft when this share of it is accepted; steps without a draft have depth 0."""
    found = []
    for share in shares:
        depth = control.depth(request_id)
        found.append(depth)
        control.observe(request_id, depth, round(share * depth))
    return found


def test_rejection_shortens_one_by_one_and_acceptance_lengthens_again():
    control = controller(adaptive_window=2)
    assert depths(control, [0] * 8) == [4, 4, 3, 3, 2, 2, 1, 1]
    assert depths(control, [1] * 11) == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4]  # the average needs two to forget
    assert (control.stats.num_shortened, control.stats.num_lengthened) == (3, 3)


def test_between_the_thresholds_nothing_changes():
    control = controller(adaptive_window=1, adaptive_low_acceptance=0.4, adaptive_high_acceptance=0.6)
    assert set(depths(control, [0.5] * 20)) == {4}
    assert control.stats.num_shortened == control.stats.num_lengthened == 0


def test_a_request_that_drafts_no_more_is_probed_and_comes_back():
    control = controller(most=1, adaptive_window=1, adaptive_min_tokens=0, adaptive_probe_interval=3)
    assert depths(control, [0] * 7) == [1, 0, 0, 1, 0, 0, 1]
    assert control.stats.num_probes == 2
    assert depths(control, [1] * 5) == [0, 0, 1, 1, 1]
    assert control.stats.num_lengthened == 1


def test_requests_do_not_know_of_each_other():
    control = controller(adaptive_window=1)
    assert depths(control, [0, 0, 0], "bad") == [4, 3, 2]
    assert depths(control, [1, 1], "good") == [4, 4]
    control.forget("bad")
    assert control.num_requests == 1
    assert depths(control, [0], "bad") == [4]


def test_a_full_cache_lowers_the_cutoff_below_what_runs_and_an_empty_one_raises_it():
    control = controller(cutoff=8, adaptive_memory_threshold=0.5)
    assert [control.cutoff(0.4, 5), control.cutoff(0.5, 5)] == [8, 8]
    assert [control.cutoff(0.6, running) for running in (5, 5, 5, 1, 1)] == [4, 3, 2, 1, 1]
    assert [control.cutoff(0.4, 5) for _ in range(9)] == [2, 3, 4, 5, 6, 7, 8, 8, 8]
    assert (control.stats.num_cutoff_lowered, control.stats.num_cutoff_raised) == (4, 7)


@pytest.mark.parametrize("path", [path for path in METHODS if path.stem != "none"], ids=lambda path: path.stem)
def test_tokens_are_the_same_with_every_method_and_the_decisions_are_counted(random_model, path, tmp_path):
    """A random draft is rejected, so the controller has to act; run twice, to see the same decisions again."""
    settings = settings_for(settings_of(path), random_model, tmp_path)
    on = {"adaptive": True, "adaptive_window": 1, "adaptive_min_tokens": 0, "adaptive_probe_interval": 4}
    prompts = [LOOP, [1, 9, 9, 9, 9], [1, *range(3, 40)], [1, 30, 31, 30, 31]]
    wishes = [SamplingParams(max_tokens=40, temperature=t, seed=7, ignore_eos=True) for t in (0.0, 0.9, 0.0, 1.0)]
    engine = Engine.load(random_model, None, max_num_seqs=3, dtype="float32", num_threads=1)
    expected = [output.token_ids for output in engine.generate(prompts, wishes)]
    engine.configure_speculation(settings)
    assert [output.token_ids for output in engine.generate(prompts, wishes)] == expected
    fixed = engine.stats.num_draft_tokens
    counted = []
    for _ in range(2):
        engine.configure_speculation(settings | on)
        assert [output.token_ids for output in engine.generate(prompts, wishes)] == expected
        counted.append((engine.control.stats, engine.stats.num_draft_tokens))
        assert engine.control.num_requests == 0
        engine.reset()
    assert counted[0] == counted[1]
    assert counted[0][0].num_shortened > 0
    assert counted[0][0].num_probes > 0
    assert 0 < counted[0][1] < fixed


def test_a_nearly_full_cache_stops_drafting_and_a_drained_one_resumes(random_model):
    """From the counters: no draft in a step that begins above the threshold, and some before and after."""
    settings = NGRAM | {"adaptive": True, "adaptive_low_acceptance": 0.0, "adaptive_memory_threshold": 0.5}
    wishes = [SamplingParams(max_tokens=n, temperature=0.0, ignore_eos=True) for n in (12, 20, 60, 60)]
    engine = Engine.load(random_model, None, max_num_seqs=4, kv_cache_tokens=320, dtype="float32", num_threads=1)
    expected = [output.token_ids for output in engine.generate([LOOP] * 4, wishes)]
    engine.configure_speculation(settings)
    for i, wish in enumerate(wishes):
        engine.add_request(str(i), LOOP, wish)
    outputs, above, below = {}, 0, 0
    while engine.has_unfinished_requests():
        full, before = engine.num_running and engine.kv_cache_usage > 0.5, engine.stats.num_drafts
        outputs |= {output.request_id: output.token_ids for output in engine.step()}
        above += (engine.stats.num_drafts - before) * full
        below += (engine.stats.num_drafts - before) * (not full)
    stats = engine.control.stats
    assert [outputs[str(i)] for i in range(4)] == expected
    assert stats.num_cutoff_lowered > 0 < stats.num_cutoff_raised
    assert above == 0 < below
