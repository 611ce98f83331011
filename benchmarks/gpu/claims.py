"""What the engine must show on a GPU, each with the measured figure that answers it."""

from collections.abc import Callable, Mapping
from operator import ge, le
from typing import Any, NamedTuple

MODEL = "llama31-8b"
Measured = Mapping[str, Any]


class Claim(NamedTuple):
    """`value` finds the figure in a model's results; a KeyError there: it was not measured."""

    sentence: str
    holds: Callable[[float, float], bool]
    limit: float
    value: Callable[[Measured], float]


def near_zero(value: float, limit: float) -> bool:
    """A share far below 0 is no merit: kernels took longer under the profiler than the steps without it."""
    return -limit < value < limit


CLAIMS = (
    Claim("plain decoding at batch 1, share of the bandwidth bound", ge, 0.85,
          lambda found: found["steps"]["1x1"]["of_bound"]),
    Claim("a verification of 8 rows over a step of 1", le, 1.10, lambda found: found["steps"]["1x8"]["over_one"]),
    Claim("an EAGLE-3 draft loop of 4 over a step of 1", le, 0.20, lambda found: found["drafts"]["4"]["over_step"]),
    Claim("share of a plain step outside kernels", near_zero, 0.05, lambda found: found["outside"]["none"]["share"]),
    Claim("tokens a second over transformers' generate", ge, 3.0,
          lambda found: found["speed"]["none_over_transformers"]),
    Claim("synthetic speed-up over what is allowed, the worst K", ge, 0.9,
          lambda found: min(each["of_allowed"] for each in found["speed"]["synthetic"].values())),
)  # fmt: skip


def judge(models: Mapping[str, Measured], correct: bool | None) -> list[dict[str, Any]]:
    """Each claim with its value and verdict. Without proven correctness (None: not asked) nothing is met."""
    return [_judged(claim, models.get(MODEL, {}), correct) for claim in CLAIMS]


def _judged(claim: Claim, found: Measured, correct: bool | None) -> dict[str, Any]:
    try:
        value = claim.value(found)
    except (KeyError, ValueError):  # ValueError: the least of none
        return {"claim": claim.sentence, "limit": claim.limit, "value": None, "verdict": "not measured"}
    verdict = "met" if claim.holds(value, claim.limit) else "not met"
    if not correct:
        verdict += ", but correctness was not proven in this run"
    return {"claim": claim.sentence, "limit": claim.limit, "value": value, "verdict": verdict}
