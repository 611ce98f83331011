"""How requests arrive. `single`: one at a time. `closed_loop`: a fixed number always in flight."""

from __future__ import annotations

from dataclasses import dataclass

from workloads.errors import WorkloadError

KINDS = ("single", "closed_loop")


@dataclass(frozen=True)
class Load:
    """`concurrency` is the number of requests in flight; WorkloadError for a kind or number not served."""

    kind: str = "single"
    concurrency: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WorkloadError(f"unknown load {self.kind!r}; allowed: {', '.join(KINDS)}")
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise WorkloadError(f"load.concurrency is {self.concurrency!r}; it must be a whole number of at least 1")
        if self.kind == "single" and self.concurrency != 1:
            raise WorkloadError(f"load=single serves one request at a time, not {self.concurrency}; use closed_loop")
