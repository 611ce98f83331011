"""Drafts are kept on a shelf between configurations, until they are to be forgotten."""

import gc
import weakref
from pathlib import Path

from engine import Engine, SamplingParams

MODELS = Path(__file__).resolve().parents[2] / "models"
EAGLE3 = {"method": "eagle3", "model": str(MODELS / "tiny-eagle3"), "num_speculative_tokens": 2}


def answer(engine: Engine) -> list[int]:
    return engine.generate(["The capital of"], SamplingParams(max_tokens=8, temperature=0.0))[0].token_ids


def test_drafts_are_kept_until_they_are_forgotten() -> None:
    engine = Engine.load(str(MODELS / "tiny"), EAGLE3)
    first = answer(engine)
    network = weakref.ref(engine._proposer.network)
    engine.configure_speculation(None)
    gc.collect()
    assert network() is not None
    engine.forget_drafts()
    gc.collect()
    assert network() is None
    assert answer(engine) == first
    engine.configure_speculation(EAGLE3)
    assert answer(engine) == first
    assert engine.stats.num_draft_tokens > 0
