"""What kind of number a run ends with, in words: a measured time, a replay without a clock, or a prediction; of speed
or of goodput; and of the model's own answers, or of others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from autotune.settings import Settings

TARGET, LOSSY, SYNTHETIC = "target", "lossy", "synthetic"  # whose law the answers have: SpeculativeConfig.output_law


@dataclass(frozen=True)
class Measurement:
    """`quantity` names the factor over no speculation, `faster` and `slower` what it means to lie above or below 1,
    `unit` how it is said, with `against` before "no speculation". `output_law` other than the target's must be read
    wherever the number is; `label` is that word, `sentence` what a reader must know.
    """

    kind: str
    quantity: str
    faster: str
    slower: str
    unit: str
    sentence: str = ""
    against: str = "as"
    output_law: str = TARGET

    @property
    def label(self) -> str:
        return "" if self.output_law == TARGET else self.output_law

    @property
    def gain(self) -> str:
        """What it is called to lie above 1."""
        if self.kind == REPLAYED.kind:
            return f"A {self.label} gain" if self.label else "A gain"
        return f"A {'higher ' if 'goodput' in self.quantity else ''}{self.quantity}"

    @property
    def is_timed(self) -> bool:
        return self.kind == MEASURED.kind


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
GOODPUT = replace(
    MEASURED,
    quantity="goodput",
    faster="More requests within the limits than without speculation",
    slower="Fewer requests within the limits than without speculation",
    unit="times the goodput",
    against="of",
)
MEMORY = replace(
    MEASURED,
    quantity="memory factor",
    faster="Less memory than without speculation",
    slower="More memory than without speculation",
    unit="times as little memory",
)
SPECIAL = {"goodput": GOODPUT, "peak_memory": MEMORY}
WAITS = {"ttft": "time to first token", "e2e": "time to last token"}
SENTENCES = {
    LOSSY: "Lossy: This way of verifying accepts drafted tokens that the model itself would not have chosen, so the "
    "answers are near the model's but not its own. The factor is not that of lossless speculation.",
    SYNTHETIC: "Synthetic: Drafted tokens passed at the rates that were set, whatever the model said. The numbers tell "
    "what the engine would cost at that acceptance; the tokens are no answers, and nothing of this can be deployed.",
}


def measurement(kind: str, objective: str, output_law: str) -> Measurement:
    """The words for a factor of this kind, on this objective, of answers with this law."""
    found = KINDS[kind] if kind != MEASURED.kind else _measured(objective)
    if output_law == TARGET:
        return found
    return replace(
        found,
        quantity=f"{output_law} {found.quantity}",
        faster=f"{output_law.capitalize()}: {found.faster[0].lower()}{found.faster[1:]}",
        slower=f"{output_law.capitalize()}: {found.slower[0].lower()}{found.slower[1:]}",
        unit=f"{found.unit} ({output_law})",
        sentence=SENTENCES[output_law],
        output_law=output_law,
    )


def _measured(objective: str) -> Measurement:
    """Of a time that a reader would not take for speed in general, its name."""
    if objective in SPECIAL:
        return SPECIAL[objective]
    time, _, level = objective.partition("_p")
    if time not in WAITS and not (level and time == "tpot"):
        return MEASURED
    name = WAITS.get(time, "time per output token") + (f" (p{level})" if level else "")
    return replace(MEASURED, quantity=f"speed-up of the {name}", unit=f"times as fast in {name}")


def measurement_of(settings: Settings, output_law: str = TARGET) -> Measurement:
    kind = MEASURED
    if settings.replays:
        kind = REPLAYED if settings.model.step_costs is None else PREDICTED
    return measurement(kind.kind, settings.objective.metric, output_law)


def named(name: str, output_law: str) -> str:
    """The name of a factor in the tracking, where numbers stand beside each other without their notes."""
    return name if output_law == TARGET else f"{output_law}_{name}"
