"""Every number that is shown: its name, unit, direction, and how it comes out of the samples. Nothing else computes
one.

Time per output token (TPOT) is (E2E - TTFT) / (n - 1); the gap between deliveries (ITL) is another thing, because a
delivery carries several tokens when drafts are accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any, Literal

from autotune.samples import ArmRun, Counters, RequestSample
from engine.step_stats import BatchSteps

QUANTILES = (50, 90, 95, 99)
BATCHES = "steps_by_batch"
ACCEPTED_NODES, NODE_SHARES = "acceptance_per_node", "share_of_drafts_per_node"


@dataclass(frozen=True)
class Metric:
    """`compute` takes the runs of one arm. `better` is None where neither direction is a merit in itself."""

    name: str
    unit: str
    better: Literal["lower", "higher"] | None
    formula: str
    compute: Callable[[Sequence[ArmRun]], Any]


def ratio(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None


def requests_of(runs: Iterable[ArmRun]) -> list[RequestSample]:
    return [request for run in runs for request in run.requests]


def counters_of(runs: Iterable[ArmRun]) -> Counters:
    return reduce(add, (run.counters for run in runs), Counters())


def tpot(runs: Sequence[ArmRun]) -> float | None:
    """Token-weighted over the runs, seconds."""
    timed = [(r.tpot, r.tokens - 1) for r in requests_of(runs) if r.tpot is not None]
    return ratio(sum(each * tokens for each, tokens in timed), sum(tokens for _, tokens in timed))


def mean_of(time: str, runs: Sequence[ArmRun]) -> float | None:
    times = [value for request in requests_of(runs) if (value := getattr(request, time)) is not None]
    return ratio(sum(times), len(times))


def quantile_of(time: str, level: int, runs: Sequence[ArmRun]) -> float | None:
    return spread((getattr(request, time) for request in requests_of(runs)), scale=1.0)[f"p{level}"]


def wall_of(runs: Sequence[ArmRun]) -> float:
    return sum(run.wall for run in runs if run.wall is not None)


def tokens_per_second(runs: Sequence[ArmRun]) -> float | None:
    return ratio(sum(r.tokens for r in requests_of(runs)), wall_of(runs))


def offered_rate(runs: Sequence[ArmRun]) -> float | None:
    """Requests over the time in which they were to arrive; None in a closed loop."""
    spans = [max((r.arrival for r in run.requests if r.arrival is not None), default=None) for run in runs]
    known = [span for span in spans if span is not None]
    return ratio(len(requests_of(runs)), sum(known))


def backlog(runs: Sequence[ArmRun]) -> float | None:
    """Of the requests before a window's last one, the share not yet begun when that came; None in a closed loop."""
    waiting = [_waiting_at_the_end(run.requests) for run in runs if run.requests]
    known = [found for found in waiting if found is not None]
    return ratio(sum(known), len(requests_of(runs)) - len(known)) if known else None


def _waiting_at_the_end(requests: Sequence[RequestSample]) -> int | None:
    begun = [(r.arrival, r.arrival + r.queue) for r in requests if r.arrival is not None and r.queue is not None]
    if not begun:
        return None
    *earlier, (last, _) = sorted(begun)
    return sum(first > last for _, first in earlier)


def busy_share(runs: Sequence[ArmRun]) -> float | None:
    counts = counters_of(runs)
    return ratio(counts.draft_s + counts.target_s + counts.verify_s + counts.other_s, wall_of(runs))


def good(runs: Sequence[ArmRun]) -> int | None:
    """Requests that kept every limit; None where none was given."""
    if not any(run.slo.given for run in runs):
        return None
    return sum(run.slo.met_by(request) for run in runs for request in run.requests)


def goodput(runs: Sequence[ArmRun]) -> float | None:
    met = good(runs)
    return None if met is None else ratio(met, wall_of(runs))


def slo_share(runs: Sequence[ArmRun]) -> float | None:
    met = good(runs)
    return None if met is None else ratio(met, len(requests_of(runs)))


def compared_goodput(runs: Sequence[ArmRun]) -> float | None:
    """Goodput with half a request more: a window without a good one has a ratio to others too (Haldane 1956), and
    ratios of few requests lie a little nearer to 1 than they were seen.
    """
    met = good(runs)
    return None if met is None else ratio(met + 0.5, wall_of(runs))


def steps_by_batch(runs: Sequence[ArmRun]) -> dict[str, dict[str, float | int | None]]:
    """What the engine's steps cost and brought by the number of requests that decoded in them; "0": prompts only."""
    found: dict[int, BatchSteps] = {}
    for run in runs:
        for batch, steps in run.steps_by_batch.items():
            found.setdefault(batch, BatchSteps()).add(steps)
    return {str(batch): _step_numbers(found[batch]) for batch in sorted(found)}


def _step_numbers(steps: BatchSteps) -> dict[str, float | int | None]:
    median, mean = steps.median, steps.mean
    return {
        "steps": steps.steps,
        "steps_with_prompts": steps.prompt_steps,
        "median_ms": None if median is None else 1e3 * median,
        "mean_ms": None if mean is None else 1e3 * mean,
        "tokens_per_step": ratio(steps.tokens, steps.steps),
        "draft_tokens": steps.drafted,
        "accepted_tokens": steps.accepted,
    }


def tokens_per_step_cost(runs: Sequence[ArmRun]) -> float | None:
    """Decoded tokens per step without speculation that the same target passes cost; None where time was measured."""
    costs = [run.cost for run in runs if run.cost is not None]
    return ratio(counters_of(runs).decode_tokens, sum(costs))


def spread(values: Iterable[float | None], scale: float = 1e3) -> dict[str, float | int | None]:
    """Quantiles, mean and count; a quantile says little without its count."""
    import numpy as np

    known = [value * scale for value in values if value is not None]
    if not known:
        return {**{f"p{q}": None for q in QUANTILES}, "mean": None, "count": 0}
    levels = {f"p{q}": float(np.percentile(known, q)) for q in QUANTILES}
    return {**levels, "mean": float(np.mean(known)), "count": len(known)}


def acceptance_length(counts: Counters | RequestSample) -> float | None:
    return 1 + counts.accepted_tokens / counts.drafts if counts.drafts else None


def per_request_acceptance_length(runs: Sequence[ArmRun]) -> float | None:
    lengths = [length for request in requests_of(runs) if (length := acceptance_length(request)) is not None]
    return ratio(sum(lengths), len(lengths))


def per_position(runs: Sequence[ArmRun]) -> list[float | None]:
    counts = counters_of(runs)
    return [ratio(a, d) for a, d in zip(counts.accepted_per_pos, counts.drafted_per_pos, strict=True)]


def per_node(runs: Sequence[ArmRun]) -> list[float | None]:
    """Of a static tree: accepted at the node / drafts that had it and reached its parent."""
    counts = counters_of(runs)
    return [ratio(a, t) for a, t in zip(counts.accepted_nodes, counts.tried_nodes, strict=True)]


def node_shares(runs: Sequence[ArmRun]) -> list[float | None]:
    """Of a static tree: accepted at the node / all drafts."""
    counts = counters_of(runs)
    return [ratio(accepted, counts.drafts) for accepted in counts.accepted_nodes]


def time_split(runs: Sequence[ArmRun]) -> dict[str, float | None]:
    counts = counters_of(runs)
    parts = {"draft": counts.draft_s, "target": counts.target_s, "verify": counts.verify_s, "other": counts.other_s}
    return {name: ratio(seconds, sum(parts.values())) for name, seconds in parts.items()}


def peak_memory(runs: Sequence[ArmRun]) -> float | None:
    peaks = [run.peak_memory for run in runs if run.peak_memory is not None]
    return max(peaks) / 2**30 if peaks else None


def kv_capacity(runs: Sequence[ArmRun]) -> int | None:
    """Tokens; of the runs with the least, as requests must fit into all of them."""
    return min((run.kv_tokens for run in runs if run.kv_tokens is not None), default=None)


def kv_kib_per_token(runs: Sequence[ArmRun]) -> float | None:
    """What a token of capacity takes, rows that are spared for trees included."""
    taken = [run.kv_bytes / run.kv_tokens for run in runs if run.kv_bytes is not None and run.kv_tokens]
    return max(taken) / 2**10 if taken else None


def energy_per_token(runs: Sequence[ArmRun]) -> float | None:
    """Joules; None where a run's was not counted."""
    drawn = [run.energy for run in runs]
    known = [each for each in drawn if each is not None]
    return ratio(sum(known), sum(r.tokens for r in requests_of(runs))) if len(known) == len(drawn) else None


METRICS: tuple[Metric, ...] = (
    Metric("tpot_ms", "ms", "lower", "(E2E - TTFT) / (n - 1), per request",
           lambda runs: spread(r.tpot for r in requests_of(runs))),
    Metric("ttft_ms", "ms", "lower", "first token - arrival, per request",
           lambda runs: spread(r.ttft for r in requests_of(runs))),
    Metric("itl_ms", "ms", "lower", "time between deliveries, which may carry several tokens",
           lambda runs: spread(gap for r in requests_of(runs) for gap in r.gaps)),
    Metric("e2e_ms", "ms", "lower", "last token - arrival, per request",
           lambda runs: spread(r.e2e for r in requests_of(runs))),
    Metric("queue_ms", "ms", "lower", "first step - arrival, per request; part of the time to first token",
           lambda runs: spread(r.queue for r in requests_of(runs))),
    Metric("output_tokens_per_s", "1/s", "higher", "tokens / wall time, over all runs", tokens_per_second),
    Metric("requests_per_s", "1/s", "higher", "requests / wall time, over all runs",
           lambda runs: ratio(len(requests_of(runs)), wall_of(runs))),
    Metric("offered_requests_per_s", "1/s", None, "open loop only: requests / time in which they arrive", offered_rate),
    Metric("backlog", "", "lower", "open loop only: share of a window's requests still queued when its last one came",
           backlog),
    Metric("busy_share", "", None, "time in steps / wall time", busy_share),
    Metric("goodput", "1/s", "higher", "requests that kept every limit of load.slo / wall time", goodput),
    Metric("slo_share", "", "higher", "requests that kept every limit of load.slo / requests", slo_share),
    Metric("acceptance_rate", "", "higher", "accepted / drafted tokens",
           lambda runs: ratio(counters_of(runs).accepted_tokens, counters_of(runs).draft_tokens)),
    Metric("mean_acceptance_length", "tokens", "higher", "1 + accepted / drafts, token-weighted",
           lambda runs: acceptance_length(counters_of(runs))),
    Metric("mean_acceptance_length_per_request", "tokens", "higher", "mean over requests of 1 + accepted / drafts",
           per_request_acceptance_length),
    Metric("tokens_per_target_pass", "tokens", "higher", "decoded tokens / target passes of decoding sequences",
           lambda runs: ratio(counters_of(runs).decode_tokens, counters_of(runs).decode_passes)),
    Metric("tokens_per_step_cost", "tokens", "higher",
           "replay only: decoded tokens / cost of their target passes, in steps without speculation",
           tokens_per_step_cost),
    Metric("acceptance_per_position", "", "higher", "accepted at position i / drafts with a token there", per_position),
    Metric("peak_memory_gib", "GiB", "lower",
           "highest memory of the process that runs the model, or the first of several, during its requests",
           peak_memory),
    Metric("kv_capacity_tokens", "tokens", "higher", "tokens that the target's KV cache holds for all running requests",
           kv_capacity),
    Metric("kv_kib_per_token", "KiB", "lower", "bytes of the target's KV cache / tokens that it holds",
           kv_kib_per_token),
    Metric("energy_per_token_j", "J", "lower", "energy that the engine's GPUs drew / output tokens, prompts included",
           energy_per_token),
    Metric("num_drafts", "", None, "drafts made", lambda runs: counters_of(runs).drafts),
    Metric("num_draft_tokens", "", None, "tokens drafted", lambda runs: counters_of(runs).draft_tokens),
    Metric("num_accepted_tokens", "", None, "drafted tokens accepted", lambda runs: counters_of(runs).accepted_tokens),
    Metric("num_shortened", "", None, "decisions of the online controller to draft less for a request",
           lambda runs: counters_of(runs).shortened),
    Metric("num_lengthened", "", None, "decisions to draft more again", lambda runs: counters_of(runs).lengthened),
    Metric("num_preemptions", "", None, "times a running request made room in the cache",
           lambda runs: sum(request.preemptions for request in requests_of(runs))),
    Metric("num_drafts_cut", "", None, "drafts shortened for want of room in the cache",
           lambda runs: counters_of(runs).drafts_cut),
    Metric("num_output_tokens", "", None, "tokens delivered", lambda runs: sum(r.tokens for r in requests_of(runs))),
    Metric("num_requests", "", None, "requests served, repeats counted", lambda runs: len(requests_of(runs))),
    Metric("time_split", "", None, "share of the steps' time in draft, target, verify, other", time_split),
)  # fmt: skip


@dataclass(frozen=True)
class ObjectiveMetric:
    """A metric that one run has one value of, so that two arms can be compared run by run. `timed` needs an engine
    that runs, the others a replay; `needs_slo` needs limits and many requests at once, `needs_window` the latter.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    value: Callable[[Sequence[ArmRun]], float | None]
    timed: bool = True
    needs_slo: bool = False
    needs_window: bool = False


OF_WINDOWS = tuple(
    ObjectiveMetric(f"{time}_p{level}", "s", "lower", partial(quantile_of, time, level), needs_window=True)
    for time in ("ttft", "tpot", "e2e")
    for level in QUANTILES
)
OBJECTIVES = {
    metric.name: metric
    for metric in (
        ObjectiveMetric("tpot", "s", "lower", tpot),
        ObjectiveMetric("ttft", "s", "lower", partial(mean_of, "ttft")),
        ObjectiveMetric("e2e", "s", "lower", partial(mean_of, "e2e")),
        ObjectiveMetric("output_tokens_per_s", "1/s", "higher", tokens_per_second),
        ObjectiveMetric("goodput", "1/s", "higher", compared_goodput, needs_slo=True),
        ObjectiveMetric("peak_memory", "GiB", "lower", peak_memory),
        ObjectiveMetric("tokens_per_step_cost", "tokens", "higher", tokens_per_step_cost, timed=False),
        *OF_WINDOWS,
    )
}


def summary(runs: Sequence[ArmRun]) -> dict[str, Any]:
    """All metrics of one arm by name, the acceptance of every node where trees were drafted, and the steps by batch
    size where more than one request could run.
    """
    further = {ACCEPTED_NODES: per_node(runs), NODE_SHARES: node_shares(runs), BATCHES: steps_by_batch(runs)}
    return {metric.name: metric.compute(runs) for metric in METRICS} | {k: v for k, v in further.items() if v}
