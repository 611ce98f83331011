"""Runs as they lie in a folder, made by hand: as little as a run has, and what each section needs besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

METRICS: dict[str, Any] = {
    "tpot_ms": {"p50": 0.5, "p90": 0.6, "p95": 0.7, "p99": 0.9, "mean": 0.52, "count": 8},
    "ttft_ms": {"p50": 4.0, "p90": 5.0, "p95": 6.0, "p99": 7.0, "mean": 4.2, "count": 8},
    "output_tokens_per_s": 1600.0,
    "acceptance_rate": 0.6,
    "mean_acceptance_length": 2.4,
    "tokens_per_target_pass": 2.0,
    "acceptance_per_position": [0.8, 0.5],
    "peak_memory_gib": 0.5,
    "time_split": {"draft": 0.1, "target": 0.7, "verify": 0.1, "other": 0.1},
    "num_output_tokens": 4000,
}
BASELINE: dict[str, Any] = {
    **METRICS,
    "tpot_ms": {**METRICS["tpot_ms"], "p50": 0.8, "p95": 0.9},
    "output_tokens_per_s": 1000.0,
    "acceptance_rate": None,
    "mean_acceptance_length": None,
    "tokens_per_target_pass": 1.0,
    "acceptance_per_position": [],
    "time_split": {"draft": 0.0, "target": 0.9, "verify": 0.05, "other": 0.05},
}


def trial(number: int, speedup: float | None = 1.5, status: str = "complete", **parameters: Any) -> dict[str, Any]:
    """A line of trials.jsonl."""
    bounds = None if speedup is None else [speedup - 0.1, speedup + 0.1]
    return {
        "number": number, "parameters": parameters or {"num_speculative_tokens": number + 1}, "status": status,
        "cause": "", "reason": "", "speedup": speedup, "interval": bounds, "interval_method": "bootstrap", "units": 8,
        "units_planned": 8, "lossless": {}, "metrics": {} if speedup is None else METRICS,
        "baseline": {} if speedup is None else BASELINE, "repeats": [], "warnings": [], "seconds": 2.0,
        "output_law": "target", "prediction": None, "ended": "", "attempts": [], "log_gains": {},
    }  # fmt: skip


def best(**details: Any) -> dict[str, Any]:
    """best.json; `details` are added to those that every run has."""
    return {
        "schema": 1, "command": "tune", "model": "tiny", "method": "ngram", "searched": "ngram", "workload": "code",
        "measurement": "measured", "warm_requests": 0, "parameters": {"num_speculative_tokens": 2}, "speedup": 1.4321,
        "speedup_ci": [1.2345, 1.6543], "confirmed": True, "lossless": True, "output_law": "target",
        "metrics": METRICS, "baseline": BASELINE, "trials": {"complete": 1}, "outputs": "outputs/a",
        "environment": {"device": "cpu", "notes": []}, "all_metrics": METRICS, "all_baseline": BASELINE,
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 2},
        "details": {"objective": "tpot", "load": {"kind": "single", "concurrency": 1}, "confidence": 0.95,
                    "seconds": 10.0, "command_line": "python -m autotune", "notes": [], **details},
    }  # fmt: skip


def folder(at: Path, run: dict[str, Any] | None = None, trials: list[dict[str, Any]] | None = None) -> Path:
    """The files of a run that has ended."""
    at.mkdir(parents=True, exist_ok=True)
    (at / "best.json").write_text(json.dumps(run or best()))
    lines = [json.dumps(each) + "\n" for each in (trials if trials is not None else [trial(0)])]
    (at / "trials.jsonl").write_text("".join(lines))
    (at / "config.yaml").write_text("method: ngram\n")
    return at


PARETO = {
    "objectives": ["tpot", "goodput"],
    "rule": "the highest weighted mean",
    "front": [
        {"trial": 0, "parameters": {"k": 1}, "values": {"tpot": 1.8, "goodput": 1.1}, "chosen": True,
         "intervals": {"tpot": [1.7, 1.9], "goodput": None}},
        {"trial": None, "parameters": {}, "values": {"tpot": 1.0, "goodput": 1.0}, "intervals": {}, "chosen": False},
    ],
    "dominated": [{"trial": 3, "parameters": {"k": 9}, "values": {"tpot": 0.9, "goodput": 0.8}, "chosen": False}],
}  # fmt: skip
ROBUST = {
    "rule": "regret",
    "weights": {"code": 0.7, "chat": 0.3},
    "rows": [
        {"trial": 0, "parameters": {"k": 4}, "regret": 0.031,
         "by_workload": {"code": {"speedup": 1.77, "interval": [1.6, 1.9]},
                         "chat": {"speedup": 1.11, "interval": None}}},
        {"trial": 2, "parameters": {"k": 1}, "regret": 0.2,
         "by_workload": {"code": {"speedup": 1.5, "interval": [1.4, 1.6]},
                         "chat": {"speedup": 1.2, "interval": None}}},
    ],
    "chosen": 0,
    "confirmed": {"code": {"speedup": 1.66, "interval": [1.5, 1.8]},
                  "chat": {"speedup": 1.08, "interval": [1.01, 1.2]}},
    "singles": [{"workload": "chat", "trial": 2,
                 "against_the_best_there": {"code": {"factor": 0.85, "interval": None}}}],
}  # fmt: skip
BREAK_EVEN = {
    "acceptance_now": 0.6, "acceptance_needed": 0.39, "interval": [0.31, 0.47], "margin": 0.35,
    "words": "acceptance may fall from 0.60 to 0.39 before no speculation is faster",
}  # fmt: skip
SCHEDULE = {
    "batches": [
        {"batch": size, "tokens": chosen, "options": [
            {"tokens": 0, "speedup": 1.0, "interval": None},
            {"tokens": 2, "speedup": two, "interval": [two - 0.1, two + 0.1]},
            {"tokens": 4, "speedup": four, "interval": [four - 0.1, four + 0.1]},
        ]}
        for size, chosen, two, four in ((1, 4, 1.4, 1.7), (2, 4, 1.3, 1.4), (4, 2, 1.15, 1.05), (8, 0, 0.93, 0.71))
    ],
    "buckets": [[1, 3, 4], [4, 7, 2], [8, 8, 0]],
    "crossovers": [{"tokens": 4, "batch": 4, "low": 2, "high": 8}, {"tokens": 2, "batch": 8, "low": 8, "high": None}],
    "best_fixed": 2,
}  # fmt: skip
MODEL = {
    "on": True, "coverage": 0.5, "mean_abs_log_error": 0.052, "left_out": [], "scale": 1.0, "knobs": {},
    "predictions": [
        {"trial": n, "parameters": {"method.k": n}, "status": "complete", "predicted": 1.3 + 0.1 * n,
         "interval": [1.2, 1.5], "measured": 1.4, "measured_interval": [1.3, 1.5], "covered": n == 0, "told_by": []}
        for n in (0, 1)
    ],
    "steps": {"ngram": {"draft_per_level": 0.0, "draft_start": 0.0, "steps": 9,
                        "rest": {"1": [[1.0, 1.0, 0.01], [2.0, 1.2, 0.02], [3.0, 1.5, 0.1]]}}},
}  # fmt: skip
CONSTRAINTS = [
    {"name": "ttft_ms_p95", "bound": "max", "limit": 200.0, "search": 151.25, "held_out": 163.5, "violation": -0.1825,
     "kept": True},
    {"name": "speedup", "bound": "min", "limit": 1.5, "search": 1.6, "held_out": 1.4321, "violation": 0.045,
     "kept": False},
]  # fmt: skip
TRUST = {
    "dead_knobs": [{"knob": "prompt_lookup_max", "values": [3, 8], "units": 2, "trials": []}],
    "live_knobs": ["num_speculative_tokens"], "unjudged_knobs": [],
    "invalid_attempts": [{"trial": 1, "cause": "the baseline drifted", "reason": "it rose by 41 %", "speedup": 1.9,
                          "seconds": 3.2}],
    "invalid_trials": [], "device_watch": "the baseline's own time",
}  # fmt: skip
TREE = "[(0,), (1,), (0, 0)]"


def grid() -> list[dict[str, Any]]:
    """Sixteen configurations of two knobs, of which one decides."""
    return [
        trial(4 * k + w, 1.0 + 0.2 * k + 0.001 * w, num_speculative_tokens=k + 1, prompt_lookup_min=w + 1)
        for k in range(4)
        for w in range(4)
    ]
