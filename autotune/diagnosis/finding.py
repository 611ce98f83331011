"""What a rule found: a sentence or two with the numbers, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autotune.result import rounded


@dataclass(frozen=True)
class Finding:
    """`numbers` are those that led to it; `next` is a command line, empty where there is nothing to try."""

    rule: str
    says: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    next: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "numbers": {name: rounded(value) for name, value in self.numbers.items()}}
