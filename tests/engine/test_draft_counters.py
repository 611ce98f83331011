"""Counters of drafts of every form against a plain count of what each step drafted and accepted, batched and uneven."""

from pathlib import Path

import pytest

from engine import Engine, SamplingParams
from engine.tree import flat
from tests.engine.drafts import settings_for

NGRAM = {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
EAGLE = {"method": "eagle", "model": "", "num_speculative_tokens": 3}
FORMS = {
    "chains as long as lookup finds": NGRAM,
    "no draft above a batch size": {**NGRAM, "disable_by_batch_size": 2},
    "a schedule": {**NGRAM, "num_speculative_tokens_per_batch_size": [[1, 2, 5], [3, 8, 2]]},
    "the online controller": {**NGRAM, "adaptive": True, "adaptive_window": 2},
    "other lengths by request": NGRAM,
    "a static tree": {**EAGLE, "speculative_token_tree": "[(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]"},
    "a static tree, as full as lookup can": {
        **NGRAM,
        "speculative_token_tree": "[(0,), (1,), (0, 0), (1, 0), (0, 0, 0)]",
    },
    "dynamic trees": {**EAGLE, "dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 8},
}
PROMPTS = [[1, *([5, 6, 7, 8] * 5)], [1, 9, 9, 9], [1, *range(30, 41), 30, 31, 32], [1, 70, 71]]


class Steps:
    """Every draft of an engine with what became of it: (parents, accepted path), in the order of the steps."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch):
        self.drafts: list[tuple[list[int], list[int]]] = []
        run = engine._ragged.run

        def watched(*given):
            outcome = run(*given)
            for i, shape in enumerate(outcome.draft.shapes):
                if shape.parents:
                    self.drafts.append((list(shape.parents), list(outcome.verification.path(i))))
            return outcome

        monkeypatch.setattr(engine._ragged, "run", watched)


@pytest.mark.parametrize("form", FORMS)
def test_counters_equal_a_plain_count(random_model: Path, tmp_path: Path, monkeypatch, form: str) -> None:
    settings = settings_for(FORMS[form], random_model, tmp_path)
    engine = Engine.load(random_model, settings, max_num_seqs=3, dtype="float32", num_threads=1)
    steps = Steps(engine, monkeypatch)
    own = (1, 0, 4, None) if form == "other lengths by request" else (None,) * 4
    wishes = [
        SamplingParams(max_tokens=n, temperature=0.0, ignore_eos=True, num_speculative_tokens=k)
        for n, k in zip((24, 3, 17, 9), own, strict=True)
    ]
    outputs = engine.generate(PROMPTS, wishes)
    found, drafts = engine.stats, steps.drafts
    levels = [max(flat.depths(parents)) for parents, _ in drafts]
    assert len(set(levels)) > 1, "drafts of different depth"
    assert found.num_drafts == len(drafts)
    assert found.num_draft_tokens == sum(len(parents) for parents, _ in drafts)
    assert found.num_accepted_tokens == sum(len(path) for _, path in drafts)
    positions = range(engine.speculative_config.num_speculative_tokens or 0)
    assert found.num_draft_tokens_per_pos == [sum(level > i for level in levels) for i in positions]
    assert found.num_accepted_tokens_per_pos == [sum(len(path) > i for _, path in drafts) for i in positions]
    histograms = [output.metrics.acceptance_histogram for output in outputs]
    assert {len(counts) for counts in histograms} <= set(range(len(positions) + 2))
    for j in (*positions, len(positions)):
        assert sum(counts[j] for counts in histograms if len(counts) > j) == sum(len(path) == j for _, path in drafts)
    if "tree" in form:
        assert sum(map(sum, found.tree_tried)) == sum(tried(*draft) for draft in drafts)
        assert sum(map(sum, found.tree_accepted)) == found.num_accepted_tokens


def tried(parents: list[int], path: list[int]) -> int:
    return sum(parent == -1 or parent in path for parent in parents)


def test_a_request_says_what_its_drafts_came_to(random_model: Path) -> None:
    engine = Engine.load(random_model, NGRAM, max_num_seqs=1, dtype="float32", num_threads=1)
    wish = SamplingParams(max_tokens=24, temperature=0.0, ignore_eos=True)
    found = engine.generate([PROMPTS[0]], wish)[0].metrics.speculative_decoding()
    stats = engine.stats
    assert found["num_spec_steps"] == sum(found["acceptance_histogram"]) == stats.num_drafts
    assert len(found["acceptance_histogram"]) == 1 + 5
    assert found["mean_acceptance_length"] == stats.mean_acceptance_length > 1
    assert found["draft_acceptance_rate"] == stats.acceptance_rate
    assert found["num_accepted_draft_tokens"] == stats.num_accepted_tokens
    engine.configure_speculation(None)
    plain = engine.generate([PROMPTS[0]], wish)[0].metrics.speculative_decoding()
    assert plain["mean_acceptance_length"] is None is plain["draft_acceptance_rate"]
