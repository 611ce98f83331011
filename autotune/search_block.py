"""What may be written in a `search:` block, for a single knob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.dimension import Dimension, Kind
from autotune.errors import UsageError, nearest

KINDS = ["int", "float", "categorical"]
EXTRAS = ["log", "step", "plus"]


def parse(path: str, block: object) -> Dimension:
    """A dimension from its YAML, e.g. {"int": [1, 8], "log": True}; UsageError for anything else."""
    where = f"search of {path}"
    if not isinstance(block, Mapping) or not any(kind in block for kind in KINDS):
        raise UsageError(
            f"{where} is {block!r}; it must be like {{int: [1, 8]}}, {{float: [0, 1]}} or {{categorical: [a, b]}}"
        )
    for key in block:
        if key not in KINDS + EXTRAS:
            raise UsageError(f"unknown key {key!r} in the {where}; {nearest(str(key), KINDS + EXTRAS)}")
    kinds: list[Kind] = [kind for kind in ("int", "float", "categorical") if kind in block]
    if len(kinds) > 1:
        raise UsageError(f"{where} is both {kinds[0]} and {kinds[1]}; it must be one of them")
    kind = kinds[0]
    return _categorical(path, block, where) if kind == "categorical" else _numeric(path, kind, block, where)


def _categorical(path: str, block: Mapping[str, Any], where: str) -> Dimension:
    choices = block["categorical"]
    if isinstance(choices, str) or not isinstance(choices, Sequence) or not choices:
        raise UsageError(f"{where} has the choices {choices!r}; they must be a list with at least one entry")
    if any(key in block for key in EXTRAS):
        raise UsageError(f"{where} is categorical; log, step and plus belong to int and float")
    if not all(choice is None or isinstance(choice, bool | int | float | str | list) for choice in choices):
        raise UsageError(
            f"{where} has the choices {choices!r}; each must be a number, a text, true, false, null or a list"
        )
    return Dimension(path, "categorical", choices=tuple(choices))


def _numeric(path: str, kind: Kind, block: Mapping[str, Any], where: str) -> Dimension:
    bounds = block[kind]
    if isinstance(bounds, str) or not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise UsageError(f"{where} has the bounds {bounds!r}; they must be two numbers, [low, high]")
    for bound in bounds:
        if (
            isinstance(bound, bool)
            or not isinstance(bound, int | float)
            or (kind == "int" and not isinstance(bound, int))
        ):
            raise UsageError(
                f"{where} has the bound {bound!r}; it must be {'a whole number' if kind == 'int' else 'a number'}"
            )
    low, high = bounds
    if low > high:
        raise UsageError(f"{where} has the bounds [{low}, {high}]; the first must not exceed the second")
    log, step, plus = block.get("log", False), block.get("step"), block.get("plus")
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise UsageError(
            f"{where} has log={log!r} with low {low} and step {step}; log is true or false and needs low > 0, no step"
        )
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or step <= 0):
        raise UsageError(f"{where} has step {step!r}; it must be a number above 0")
    if kind == "int" and step is not None and not isinstance(step, int):
        raise UsageError(f"{where} has step {step!r}; it must be a whole number")
    if plus is not None and not isinstance(plus, str):
        raise UsageError(f"{where} has plus {plus!r}; it must be the name of another key")
    return Dimension(path, kind, low, high, log=log, step=step, plus=plus)
