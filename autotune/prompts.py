"""The requests of a run, from the workload's settings: one set to search on, another to confirm on."""

from __future__ import annotations

from autotune.errors import UsageError
from autotune.settings import LoadSettings, WorkloadSettings
from workloads import Load, Request, WorkloadError, build


def requests_of(workload: WorkloadSettings, split: str) -> list[Request]:
    """The same requests for every trial and every load; UsageError says what the workload cannot do."""
    count = workload.num_confirm_prompts if split == "confirm" else workload.num_prompts
    try:
        return build(
            workload.source,
            split=split,
            num_prompts=count,
            seed=workload.seed,
            max_tokens=workload.max_tokens,
            temperature=workload.temperature,
            name=workload.name,
            **workload.options,
        )
    except WorkloadError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"workload {workload.name} cannot be read ({error}); give a file that exists") from error


def check_load(load: LoadSettings, max_num_seqs: object) -> None:
    """UsageError for a load that the workload's rules or the engine's limit forbid."""
    try:
        Load(load.kind, load.concurrency)
    except WorkloadError as error:
        raise UsageError(str(error)) from error
    if isinstance(max_num_seqs, int) and load.concurrency > max_num_seqs:
        raise UsageError(
            f"load.concurrency is {load.concurrency}, more than engine.max_num_seqs={max_num_seqs}; "
            "lower one or raise the other"
        )
