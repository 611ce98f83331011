"""The numbers beside the headline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autotune.console import words
from autotune.metrics import BATCHES
from autotune.report.data import Run


def cards(run: Run) -> list[dict[str, str]]:
    """The numbers beside the headline, with the baseline's; without a clock only those of drafting."""
    mine, base = run.best["all_metrics"], run.best["all_baseline"]
    return list(_cards(mine, base))


def _cards(mine: dict[str, Any], base: dict[str, Any]) -> Iterable[dict[str, str]]:
    if mine.get("output_tokens_per_s") is not None:
        yield from _timed_cards(mine, base)
    rate = mine.get("acceptance_rate")
    share = "no drafts" if rate is None else f"1 + accepted tokens a draft; {words.percent(rate)} accepted"
    yield {"label": "Acceptance length", "value": words.number(mine.get("mean_acceptance_length")), "note": share}
    yield {"label": "Tokens per target pass", "value": words.number(mine.get("tokens_per_target_pass")),
           "note": "passes without a draft counted"}  # fmt: skip


def _timed_cards(mine: dict[str, Any], base: dict[str, Any]) -> Iterable[dict[str, str]]:
    def quantile(metrics: dict[str, Any], name: str) -> Any:
        return (metrics.get(name) or {}).get("p50")

    yield {"label": "Time per output token", "value": f"{words.number(quantile(mine, 'tpot_ms'), 2)} ms",
           "note": f"median; {words.number(quantile(base, 'tpot_ms'), 2)} ms without"}  # fmt: skip
    yield {"label": "Output speed", "value": f"{words.number(mine.get('output_tokens_per_s'), 0)} tokens/s",
           "note": f"{words.number(base.get('output_tokens_per_s'), 0)} without, prompts included"}  # fmt: skip
    if BATCHES in mine:
        yield from _load_cards(mine, base)


def _load_cards(mine: dict[str, Any], base: dict[str, Any]) -> Iterable[dict[str, str]]:
    """What matters where requests wait for each other."""

    def late(metrics: dict[str, Any], name: str) -> str:
        return f"{words.number((metrics.get(name) or {}).get('p95'), 1)} ms"

    yield {"label": "Time to first token, p95", "value": late(mine, "ttft_ms"),
           "note": f"{late(base, 'ttft_ms')} without; queued {late(mine, 'queue_ms')}, {late(base, 'queue_ms')} "
                   "without"}  # fmt: skip
    if mine.get("offered_requests_per_s") is not None:
        served, alone = (words.number(metrics.get("requests_per_s")) for metrics in (mine, base))
        yield {"label": "Requests served a second", "value": served,
               "note": f"{words.number(mine['offered_requests_per_s'])} offered; {alone} served without"}  # fmt: skip
    if mine.get("goodput") is not None:
        yield {"label": "Goodput, requests a second", "value": words.number(mine["goodput"]),
               "note": f"{words.percent(mine['slo_share'])} within the limits; without "
                       f"{words.number(base.get('goodput'))} and {words.percent(base.get('slo_share'))}"}  # fmt: skip


def break_even(run: Run) -> dict[str, str] | None:
    """How far acceptance may fall before no speculation is as fast; None where that was not worked out.

    `change` is the way there: a fall of what there is, or a rise where speculation is slower; empty where none leads
    there.
    """
    found = run.details.get("break_even")
    if not found:
        return None
    margin, said = found["margin"], found["words"]
    return {
        "change": "" if margin is None else words.percent(abs(margin)),
        "way": ""
        if margin is None
        else "acceptance may fall by"
        if margin >= 0
        else "acceptance would have to rise by",
        "words": f"{said[0].upper()}{said[1:].rstrip('.')}.",
        "bounds": words.bounds(found.get("interval")),
    }
