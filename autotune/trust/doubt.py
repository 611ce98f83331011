"""Why a measurement is not believed."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.status import Cause


@dataclass(frozen=True)
class Doubt:
    cause: Cause
    reason: str
