"""What goes wrong in a trial is told apart, recorded, and survived; the study goes on."""

from __future__ import annotations

import pytest

ENDINGS = {
    "crash": ("failed", "worker crashed", "RuntimeError: a bug in the engine"),
    "die": ("failed", "worker crashed", "ended by SIGKILL"),
    "hang": ("failed", "worker hung", "gave no answer in 1 s"),
    "memory": ("infeasible", "out of memory", "the draft needs 2 GB"),
    "refuse": ("infeasible", "refused by the engine", "does not fit this model"),
    "lossy": ("failed", "not lossless", "differs from the baseline"),
}


@pytest.mark.parametrize("fault", ENDINGS)
def test_a_failing_point_is_recorded_and_the_study_goes_on(fault: str, commands) -> None:
    done = commands.tune(
        f"engine.fault={fault}", "engine.fault_at=3", "study.call_limit=1", "study.n_trials=3",
        "method.num_speculative_tokens=2", "method.search.prompt_lookup_min=null",
        "method.search.prompt_lookup_max=null",
        "+search.method.num_speculative_tokens={int: [2, 4]}",
    )  # fmt: skip
    assert done.status == 0, done.err
    status, cause, reason = ENDINGS[fault]
    failed = [trial for trial in done.trials if trial["parameters"]["num_speculative_tokens"] == 3]
    assert [(trial["status"], trial["cause"]) for trial in failed] == [(status, cause)]
    assert reason in failed[0]["reason"]
    assert done.line["parameters"]["num_speculative_tokens"] == 4
    assert done.line["trials"][status] == 1
    assert sum(done.line["trials"].values()) == 3


def test_near_ties_are_excused_and_counted(commands) -> None:
    done = commands.tune("engine.fault=near_tie", "engine.fault_at=4", "study.n_trials=1", "workload.num_prompts=9")
    assert done.status == 0, done.err
    assert done.trials[0]["lossless"]["near_ties"] == 1
    assert done.trials[0]["lossless"]["lossless"] is True


def test_nothing_lossless_wins_nothing(commands) -> None:
    done = commands.tune("engine.fault=lossy", "engine.fault_at=4", "study.n_trials=1")
    assert done.status == 1
    assert done.line["lossless"] is False
    assert done.line["confirmed"] is False
    assert done.line["speedup"] is None
    assert "differs from the baseline" in done.out
    assert (done.folder / "report.html").is_file()


def test_a_study_whose_worker_always_fails_gives_up(commands) -> None:
    done = commands.tune("engine.fault=crash", "engine.fault_at=0", "study.n_trials=9")
    assert done.status == 1
    assert done.err == (
        "error: 3 trials in a row failed, the last with: RuntimeError: a bug in the engine (fake_engine.py:"
        + done.err.partition("fake_engine.py:")[2]
    )


@pytest.mark.parametrize(
    ("fault", "part"), [("load_memory", "the weights need 12 GB"), ("load_crash", "a bug while loading")]
)
def test_a_model_that_cannot_be_loaded(fault: str, part: str, commands) -> None:
    done = commands.tune(f"engine.fault={fault}")
    assert done.status == 1
    assert done.err.startswith("error: the model could not be loaded: ")
    assert part in done.err
