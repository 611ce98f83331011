"""Several workloads in one study: what the composed config of the choice means, and what cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autotune.errors import UsageError, nearest
from autotune.robust.mix import MEAN, RULES, Mix
from autotune.robust.words import COMMON, FILE, GROUP
from autotune.schema import build
from autotune.settings import Settings, WorkloadSettings

OURS = ("name", "rule", "weights", "kept", *COMMON)


def entries(workload: object) -> dict[str, Mapping[str, Any]]:
    """The workloads of a composed `workload` by name, in order; nothing where it is itself one."""
    if not isinstance(workload, Mapping) or "source" in workload:
        return {}
    return {key: value for key, value in workload.items() if isinstance(value, Mapping) and "source" in value}


def several(values: object) -> tuple[WorkloadSettings, ...]:
    """The workloads of the choice; nothing where it is one."""
    found = entries(values)
    if not found:
        return ()
    assert isinstance(values, Mapping)
    for key in values:
        if key not in found and key not in OURS:
            raise UsageError(f"unknown key {GROUP}.{key}; {nearest(str(key), [*found, *OURS])}")
    if len(found) < 2:
        raise UsageError(f"{GROUP} {values.get('name')} has one workload, {next(iter(found))}; choose it by itself")
    return tuple(_entry(name, entry, values) for name, entry in found.items())


def _entry(name: str, entry: Mapping[str, Any], values: Mapping[str, Any]) -> WorkloadSettings:
    if entry.get("name") != name:
        raise UsageError(
            f"{GROUP}.{name}.name is {entry.get('name')!r}; of several each goes by its own name, {name!r}"
        )
    kept = values.get("kept") or ()
    common = {key: values[key] for key in COMMON if values.get(key) is not None and f"{name}.{key}" not in kept}
    return build(WorkloadSettings, {**entry, **common}, f"{GROUP}.{name}")


def mix_of(values: object) -> Mix | None:
    """How the workloads are weighed; None where there is one. UsageError for a rule or a weight that cannot be."""
    found = entries(values)
    if not found:
        return None
    assert isinstance(values, Mapping)
    rule, weights = values.get("rule", MEAN), values.get("weights") or {}
    if rule not in RULES:
        raise UsageError(f"{GROUP}.rule is {rule!r}; {nearest(str(rule), list(RULES))}")
    if not isinstance(weights, Mapping):
        raise UsageError(f"{GROUP}.weights is {weights!r}; it must be a mapping such as {{{', '.join(found)}: 1}}")
    for name in weights:
        if name not in found:
            raise UsageError(f"{GROUP}.weights has {name!r}, which is not searched; {nearest(str(name), list(found))}")
    given = {name: _weight(name, weights.get(name, 1)) for name in found}
    if rule != MEAN and len(set(given.values())) > 1:
        raise UsageError(
            f"{GROUP}.weights are different, but {GROUP}.rule={rule} goes by one workload at a time; leave them equal, "
            f"or choose {GROUP}.rule={MEAN}"
        )
    return Mix({name: weight / sum(given.values()) for name, weight in given.items()}, rule)


def _weight(name: str, value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value <= 0:  # type: ignore[operator]
        raise UsageError(f"{GROUP}.weights.{name} is {value!r}; it must be a number above 0")
    return float(value)  # type: ignore[arg-type]


def together(values: object, workloads: tuple[WorkloadSettings, ...]) -> WorkloadSettings:
    """What stands for the workloads where one is named: the largest of every number."""
    assert isinstance(values, Mapping)
    if not isinstance(values.get("name"), str):
        raise UsageError(f"{GROUP}.name is {values.get('name')!r}; it must be text")
    prompts = [each.num_prompts for each in workloads if each.num_prompts is not None]
    held_out = [each.num_confirm_prompts for each in workloads if each.num_confirm_prompts is not None]
    return WorkloadSettings(
        values["name"], FILE, max(prompts, default=None), max(held_out, default=None),
        max(each.max_tokens for each in workloads), workloads[0].seed, max(each.temperature for each in workloads),
    )  # fmt: skip


def check(settings: Settings) -> None:
    """UsageError for what several workloads cannot be part of."""
    if settings.mix is None:
        return
    if settings.replays:
        raise UsageError(
            f"model=replay has one recording, not the {len(settings.workloads)} workloads of {settings.workload.name}; "
            "give workload=recorded, or a model"
        )
    if settings.study.kind == "schedule":
        raise UsageError(
            f"study=schedule measures one workload, not {settings.workload.name}; choose one, or sweep: -m workload=a,b"
        )
