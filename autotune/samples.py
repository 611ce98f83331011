"""What was measured, before anything is concluded from it. Seconds everywhere; plain data, so that it crosses
processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from autotune.slo import Slo
from engine.step_stats import BatchSteps


@dataclass(frozen=True)
class Arm:
    """One side of a comparison. `engine_options` differ from the study's own only where the engine is searched."""

    name: str
    speculative_config: Mapping[str, Any] | None
    engine_options: Mapping[str, Any]


NEAR_TIE = 1e-4
"""The largest gap between two fp32 scores that counts as a tie."""

BASELINE = "baseline"
CANDIDATE = "candidate"


@dataclass(frozen=True)
class RequestSample:
    """One served request. `tpot` is (e2e - ttft) / (tokens - 1), None below two tokens. `gaps` lie between
    deliveries, `queue` between the arrival and the first step. `arrival` is in seconds from the window's start, in an
    open loop. A replay has no times. `acceptance_histogram[j]` counts the drafts of which j tokens were accepted.
    """

    request_id: str
    prompt_tokens: int
    tokens: int
    ttft: float | None
    e2e: float | None
    tpot: float | None
    drafts: int
    draft_tokens: int
    accepted_tokens: int
    gaps: tuple[float, ...] = ()
    acceptance_histogram: tuple[int, ...] = ()
    finish_reason: str | None = None
    preemptions: int = 0
    arrival: float | None = None
    queue: float | None = None


@dataclass(frozen=True)
class Counters:
    """The engine's own counts over one run; `accepted_per_pos[i]` of `drafted_per_pos[i]` drafts that had a token
    there. Of a static tree, `accepted_nodes[i]` of `tried_nodes[i]` drafts that reached node i's parent and had it.
    """

    drafts: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    accepted_per_pos: tuple[int, ...] = ()
    drafted_per_pos: tuple[int, ...] = ()
    steps: int = 0
    decode_passes: int = 0
    decode_tokens: int = 0
    draft_s: float = 0.0
    target_s: float = 0.0
    verify_s: float = 0.0
    other_s: float = 0.0
    accepted_nodes: tuple[int, ...] = ()
    tried_nodes: tuple[int, ...] = ()
    drafts_cut: int = 0
    shortened: int = 0
    lengthened: int = 0

    def __add__(self, more: Counters) -> Counters:
        return Counters(*(_add(getattr(self, f.name), getattr(more, f.name)) for f in fields(self)))

    def __sub__(self, less: Counters) -> Counters:
        return Counters(*(_subtract(getattr(self, f.name), getattr(less, f.name)) for f in fields(self)))


def _add(left: Any, right: Any) -> Any:
    if not isinstance(left, tuple):
        return left + right
    size = max(len(left), len(right))
    return tuple(
        a + b for a, b in zip(left + (0,) * (size - len(left)), right + (0,) * (size - len(right)), strict=True)
    )


def _subtract(left: Any, right: Any) -> Any:
    return _add(left, tuple(-value for value in right) if isinstance(right, tuple) else -right)


@dataclass(frozen=True)
class ArmRun:
    """One arm serving the requests of one unit once. `wall` runs from the first arrival to the last token, in an open
    loop from the window's start.

    `step_seconds`: the steps of a single decoding request by the rows of their target pass; `steps_by_batch`: where
    more may run, what the engine counted by the number of decoding requests. `slo` holds the limits that the requests
    were to keep. `peak_memory` is in bytes, `energy` in joules, `stolen` time that the run was ready and another
    process had its core. `kv_tokens` is what the target's cache holds, `kv_bytes` what it takes. A replay has no
    `wall`; its `cost` is that of its target passes, in steps without speculation.
    """

    arm: str
    wall: float | None
    requests: tuple[RequestSample, ...]
    counters: Counters
    step_seconds: Mapping[int, Sequence[float]] = field(default_factory=dict)
    cost: float | None = None
    steps_by_batch: Mapping[int, BatchSteps] = field(default_factory=dict)
    slo: Slo = field(default_factory=Slo)
    peak_memory: int | None = None
    stolen: float | None = None
    energy: float | None = None
    kv_tokens: int | None = None
    kv_bytes: int | None = None


@dataclass(frozen=True)
class Divergence:
    """The first token at which an arm left the baseline. `gap` is None where there was no pair of tokens to score."""

    request_id: str
    arm: str
    position: int
    baseline_token: int | None
    candidate_token: int | None
    gap: float | None
    tolerance: float
    excused: bool

    def __str__(self) -> str:
        gap = "one answer goes on where the other ends" if self.gap is None else f"score gap {self.gap:.2e}"
        return f"{self.request_id} at token {self.position}: {gap}, excused below {self.tolerance:.0e}"


@dataclass(frozen=True)
class UnitResult:
    """All arms on the same requests, one after another. The unit is what intervals and tests resample."""

    unit: str
    repeat: int
    order: tuple[str, ...]
    runs: Mapping[str, ArmRun]
    divergences: tuple[Divergence, ...] = field(default=())
    discarded: int = 0  # attempts before this one that something outside had interrupted

    def to_json(self) -> dict[str, Any]:
        """Plain data for the samples file. Gaps between deliveries and times of steps are left out: quantiles of the
        gaps are metrics, medians of the steps the table of step costs or the steps by batch size.
        """
        plain = asdict(self)
        for run in plain["runs"].values():
            del run["step_seconds"], run["steps_by_batch"]
            for request in run["requests"]:
                del request["gaps"]
        return plain
