"""The requests of a run, from the workload's settings: one set to search on, another to confirm on, and others to fill
a cache with.
"""

from __future__ import annotations

from collections.abc import Sequence

from autotune.errors import UsageError
from autotune.settings import WorkloadSettings
from autotune.worker.protocol import WARM
from workloads import Request, WorkloadError, build
from workloads.registry import find


def requests_by_split(workload: WorkloadSettings, splits: Sequence[str], warm: int) -> dict[str, list[Request]]:
    """The same requests for every trial and every load. `warm` more under WARM, which are never measured: of the split
    made for training, or, of a file, those of the search's half that come after the ones it measures.
    """
    counts = {"search": workload.num_prompts, "confirm": workload.num_confirm_prompts}
    if not warm:
        return {split: requests_of(workload, split, counts[split]) for split in splits}
    if "train" in find(workload.source).SPLITS:
        others, first = requests_of(workload, "train", warm), counts["search"]
    else:
        asked = counts["search"]
        half = requests_of(workload, "search", None if asked is None else asked + warm)
        first = len(half) - warm
        if first < 1:
            raise UsageError(
                f"method.warm_requests is {warm}, but workload {workload.name} has {len(half)} prompts for the search; "
                f"lower it to at most {len(half) - 1}"
            )
        others = half[first:]
    counts = {**counts, "search": first}
    return {WARM: others, **{split: requests_of(workload, split, counts[split]) for split in splits}}


def requests_of(workload: WorkloadSettings, split: str, count: int | None) -> list[Request]:
    """UsageError says what the workload cannot do."""
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
