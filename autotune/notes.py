"""What a reader must know of a result besides its numbers, a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from autotune import arms, dialect
from autotune.analysis import interruptions
from autotune.confirm import Confirmation
from autotune.console import words
from autotune.measurement import measurement_of
from autotune.objectives import Objectives, objectives_of
from autotune.settings import Settings
from autotune.trial import Trial

BACKLOG = 0.2  # of a window's requests, still queued at its end: the queue grows and does not just fluctuate


def standing(settings: Settings, output_law: str) -> list[str]:
    """What holds for every number of the run."""
    warm = settings.method.warm_requests
    sentence = measurement_of(settings, output_law).sentence
    cache = (
        f"Warm cache: before every measured run the method's cache held the responses to {warm} other prompts and "
        "nothing else. A server that is new, or has other traffic, will be slower."
    )
    random = (
        f"Random weights in the shape of {settings.model.path}: the times are those of such a model, its answers and "
        "what it accepts are nobody's."
    )
    return [*filter(None, [sentence]), *([cache] if warm else []), *([random] if settings.has_random_weights else [])]


def of_several(objectives: Objectives, model_wanted: bool) -> str:
    """What is different with several objectives, said when the search begins."""
    model = "; study.model foretells one objective, so it is off and the sampler proposes alone" if model_wanted else ""
    return f"{', '.join(objectives.names)}; {objectives.rule.words}{model}"


def of_load(settings: Settings, baseline: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """What holds where many requests are served at once."""
    sides = {"without speculation": baseline, "with it": metrics}
    late = [f"{words.percent(m['backlog'])} {name}" for name, m in sides.items() if (m.get("backlog") or 0.0) > BACKLOG]
    none = [name for name, m in sides.items() if m.get("slo_share") == 0]
    notes = []
    if late:
        notes.append(
            "More requests come than can be served: when the last one of a window came, many before it were still "
            f"queued ({', '.join(late)}). Times to the first and to the last token then grow with the window; lower "
            "the rate to compare them."
        )
    if none and any(metric.needs_slo for metric in objectives_of(settings).metrics):
        notes.append(
            f"No request kept the limits {' or '.join(none)}. The factor counts half a request more in every window, "
            "so that there is one; limits that some requests keep on both sides tell more."
        )
    return notes


def of_export(settings: Settings, trial: Trial) -> list[str]:
    """What is to know of the exported file, where there is one."""
    if dialect.refusal(trial.output_law):
        return []
    return dialect.notes(arms.speculative_config(settings, trial.parameters))


def of_confirmation(settings: Settings, confirmation: Confirmation) -> list[str]:
    """Who was chosen and why, and how the held-out number stands to the search's own."""
    chosen = confirmation.chosen
    said = measurement_of(settings, chosen.trial.output_law)
    why = confirmation.tie.sentence() if confirmation.tie else f"{confirmation.why}."
    notes = [f"{why[0].upper()}{why[1:]}"] if confirmation.why else []
    notes += [f"While confirming: {confirmation.ended}."] if confirmation.ended else []
    if chosen.trial.speedup is not None:
        found, held_out = (
            words.labelled(value, said.output_law) for value in (chosen.trial.speedup, chosen.interval.factor)
        )
        notes.append(
            f"The search saw {found} for this configuration on its own prompts; "
            f"{held_out} on the held-out ones is the number to use."
        )
    notes += [f"While confirming, {text}." for text in filter(None, [interruptions(confirmation.results)])]
    if chosen.verdict.reason:
        notes.append(f"Not lossless: {chosen.verdict.reason}.")
    elif not chosen.gain.above_zero:
        gain = "By the rule of the objectives, a gain" if objectives_of(settings).several else said.gain
        notes.append(f"{gain} could not be confirmed. Deploy without speculation, or try another method or workload.")
    return notes


def of_workers(trials: Sequence[Trial]) -> list[str]:
    """Who measured, where several did."""
    names = sorted({trial.worker for trial in trials if trial.worker})
    if len(names) < 2:
        return []
    hosts = Counter(name.rpartition(":")[0] for name in names)
    crowded = [host for host, count in hosts.items() if count > 1]
    noisy = f"; those on {', '.join(crowded)} disturb each other unless each has a device of its own" if crowded else ""
    return [f"Measured by {len(names)} workers: {', '.join(names)}{noisy}."]
