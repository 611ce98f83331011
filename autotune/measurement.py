"""What kind of number a run ends with, in words: a measured time, a replay without a clock, or a prediction."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.settings import Settings


@dataclass(frozen=True)
class Measurement:
    """`quantity` names the factor over no speculation, `faster` and `slower` what it means to lie above or below 1,
    `unit` how it is said, `sentence` what a reader must know.
    """

    kind: str
    quantity: str
    faster: str
    slower: str
    unit: str
    sentence: str = ""


MEASURED = Measurement(
    "measured",
    "speed-up",
    "Faster than no speculation",
    "Slower than no speculation",
    "times as fast",
)
REPLAYED = Measurement(
    "replayed",
    "tokens per target pass",
    "Fewer target passes than without speculation",
    "More target passes than without speculation",
    "tokens per target pass",
    "A replay of recorded responses: no time was measured. The factor is tokens per target pass, where no speculation "
    "has 1. A pass over drafted tokens costs more than one without, so the speed-up will be smaller; "
    "model.step_costs=FILE predicts it from the step_costs.json of an autotune.bench.",
)
PREDICTED = Measurement(
    "predicted",
    "predicted speed-up",
    "Predicted to be faster than no speculation",
    "Predicted to be slower than no speculation",
    "times as fast",
    "A replay of recorded responses: no time was measured. The speed-up is predicted from the steps' costs of another "
    "run; its interval is that of the pairs and leaves out the error of those costs.",
)
KINDS = {found.kind: found for found in (MEASURED, REPLAYED, PREDICTED)}


def measurement_of(settings: Settings) -> Measurement:
    if not settings.replays:
        return MEASURED
    return REPLAYED if settings.model.step_costs is None else PREDICTED
