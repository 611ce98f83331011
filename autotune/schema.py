"""Build a frozen dataclass from a mapping: every key known, every type right, every error one line.

A field's metadata may hold `low` (smallest allowed value), `choices` (allowed values) and `note` (what it must be).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from autotune.errors import UsageError, nearest

T = TypeVar("T")

WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    dict: "a mapping",
    list: "a list",
}


def build(cls: type[T], values: object, where: str) -> T:
    """An instance of `cls` from `values`; `where` is the dotted path that errors name."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} is {values!r}; it must be a mapping with the keys {', '.join(names(cls))}")
    for key in values:
        if key not in names(cls):
            raise UsageError(f"unknown key {where}.{key}; {nearest(str(key), names(cls))}")
    hints = get_type_hints(cls)
    return cls(**{field.name: _value(field, hints[field.name], values, where) for field in fields(cls)})  # type: ignore[arg-type]


def names(cls: type) -> list[str]:
    return [field.name for field in fields(cls)]


def _value(field: Field[Any], hint: Any, values: Mapping[str, Any], where: str) -> Any:
    path = f"{where}.{field.name}"
    if field.name not in values:
        if field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{path} is missing; it must be {_words(hint)}")
        return field.default if field.default_factory is MISSING else field.default_factory()
    value = _typed(values[field.name], hint, path)
    _check_range(value, field.metadata, path)
    return value


def _typed(value: Any, hint: Any, path: str) -> Any:
    for kind in get_args(hint) if isinstance(hint, UnionType) else (hint,):
        plain = get_origin(kind) or kind
        if plain is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        if plain is Any or (isinstance(value, plain) and not (plain is int and isinstance(value, bool))):
            return value
    raise UsageError(f"{path} is {value!r}; it must be {_words(hint)}")


def _words(hint: Any) -> str:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return " or ".join(WORDS.get(get_origin(kind) or kind, str(kind)) for kind in kinds)


def _check_range(value: Any, rules: Mapping[str, Any], path: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and "low" in rules and value < rules["low"]:
        raise UsageError(f"{path} is {value}; it must be at least {rules['low']}")
    if number and "high" in rules and value > rules["high"]:
        raise UsageError(f"{path} is {value}; it must be at most {rules['high']}")
    if value is not None and "choices" in rules and value not in rules["choices"]:
        raise UsageError(f"{path} is {value!r}; {nearest(str(value), [str(choice) for choice in rules['choices']])}")
