"""How far acceptance may fall: the formula against its closed form, and the announcement against an engine whose
acceptance is lowered to it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from autotune.robust.break_even import BreakEven, acceptance, root
from autotune.robust.profile import Profile

CHAIN = "+engine.chain={chance: %.4f, row: 0.08, level: 0.05}"
CHAIN_WORDS = ("engine.good=40", "method.num_speculative_tokens=4", "workload.max_tokens=300")


def details(done: Any) -> dict[str, Any]:
    assert done.status in (0, 1), done.err
    return json.loads((done.folder / "best.json").read_text())["details"]


def chain(a: float, length: int, faster: float, drafts: int = 100_000) -> Profile:
    """Every position accepted with chance a."""
    accepted = tuple(round(drafts * a ** (i + 1)) for i in range(length))
    return Profile(drafts, drafts * length, (drafts,) * length, accepted, faster)


def test_tokens_per_pass_are_those_of_the_closed_form() -> None:
    found = chain(0.8, 4, 2.0)
    scales = np.linspace(0.1, 1.2, 12)
    a = 0.8 * scales
    assert found.tokens_per_pass(scales) == pytest.approx((1 - a**5) / (1 - a), rel=1e-3)
    assert found.cost == pytest.approx((1 - 0.8**5) / 0.2 / 2.0, rel=1e-3)
    certain = found.tokens_per_pass(np.array([50.0]))[0]
    assert certain == pytest.approx(5.0, rel=1e-3)


def test_drafts_of_different_lengths_keep_their_lengths() -> None:
    """Half of the drafts have one token: at certain acceptance they bring one each, the others two."""
    found = Profile(1000, 1500, (1000, 500), (600, 180), 1.0)
    assert found.accepted_at(np.array([1.0]))[0] == pytest.approx(780)
    assert found.accepted_at(np.array([0.5]))[0] == pytest.approx(600 * 0.5 + 180 * 0.25)
    assert found.accepted_at(np.array([50.0]))[0] == pytest.approx(1500)
    assert acceptance([found], 1.0) == pytest.approx(780 / 1500)


def test_the_crossing() -> None:
    scales = np.array([0.0, 1.0, 2.0])
    assert root(scales, np.array([-1.0, 1.0, 2.0])) == pytest.approx(0.5)
    assert root(scales, np.array([0.1, 1.0, 2.0])) == 0.0
    assert root(scales, np.array([-3.0, -2.0, -1.0])) is None


@pytest.mark.parametrize(("needed", "interval", "law", "words"), [
    (0.28, (0.25, 0.31), "target", "acceptance may fall from 0.71 to 0.28 before no speculation is faster"),
    (0.80, (0.75, 0.85), "target", "acceptance would have to rise from 0.71 to 0.80 for speculation to be faster"),
    (0.70, (0.65, 0.75), "target", "acceptance is 0.71, about where no speculation is as fast"),
    (0.28, None, "synthetic", "synthetic acceptance may fall from 0.71 to 0.28 before no speculation is faster"),
    (0.0, None, "lossy", "no lossy acceptance is too low: it is 0.71, and a pass costs no more than one without "
     "speculation"),
    (None, None, "target", "acceptance is 0.71, and if every drafted token were accepted, no speculation would still "
     "be faster"),
])  # fmt: skip
def test_words(needed: float | None, interval: tuple[float, float] | None, law: str, words: str) -> None:
    scale = None if needed is None else needed / 0.71
    assert BreakEven(0.71, needed, scale, interval, (3.0, 1.5), 1.5, law).words == words


def test_a_chain_lowered_to_the_announced_acceptance_wins_nothing(commands) -> None:
    first = details(commands.bench(*CHAIN_WORDS, CHAIN % 0.7))["break_even"]
    assert first["margin"] > 0.4
    assert first["words"].startswith("acceptance may fall from 0.")
    done = commands.bench(*CHAIN_WORDS, CHAIN % (0.7 * first["scale"]))
    assert done.line["speedup"] == pytest.approx(1.0, abs=0.035)
    again = details(done)["break_even"]
    assert again["acceptance_now"] == pytest.approx(first["acceptance_needed"], rel=0.12)
    assert again["step_cost"] == pytest.approx(first["step_cost"], rel=0.03)
    low, high = first["interval"]
    assert low < again["acceptance_now"] * 1.05
    assert again["acceptance_now"] < high * 1.05


def test_a_tree_under_load_lowered_to_the_announced_acceptance_wins_nothing(commands) -> None:
    words = ("method.speculative_token_tree='[(0,), (1,), (0, 0), (0, 1), (1, 0)]'", "load=closed_loop",
             "method.num_speculative_tokens=2", "load.confirm_passes=9", "workload.max_tokens=300")  # fmt: skip
    truth = "+engine.methods={ngram: {ranks: [%.4f, %.4f], row: 0.06, crowd: 0.1}}"
    first = details(commands.bench(*words, truth % (0.5, 0.3)))["break_even"]
    assert first["margin"] > 0.1
    scale = first["scale"]
    done = commands.bench(*words, truth % (0.5 * scale, 0.3 * scale))
    assert done.line["speedup"] == pytest.approx(1.0, abs=0.035)


def test_a_study_says_it_of_its_confirmed_winner(commands) -> None:
    done = commands.tune("study.n_trials=4", CHAIN % 0.8, "engine.good=40")
    found = details(done)
    assert found["break_even"]["acceptance_now"] == pytest.approx(done.line["metrics"]["acceptance_rate"], rel=1e-3)
    assert any(note.startswith("Acceptance may fall from 0.") for note in found["notes"])
    assert "before no speculation is faster" in done.out


def test_nothing_is_said_where_nothing_is_drafted(commands) -> None:
    assert "break_even" not in details(commands.bench("method=none"))
