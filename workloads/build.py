"""Build the requests of one workload: the same call gives the same prompts, and splits share none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from workloads.errors import WorkloadError
from workloads.registry import checked_options, find
from workloads.request import Example, Prompt, Request, Split


def build(
    source: str,
    *,
    split: str,
    num_prompts: int | None,
    seed: int = 0,
    max_tokens: int = 128,
    temperature: float = 0.0,
    name: str | None = None,
    **options: Any,
) -> list[Request]:
    """`num_prompts` requests with different prompts; raises WorkloadError if the source has fewer for this split.

    None asks for all that there are, which only a source that declares itself FINITE can tell.
    """
    check_count("max_tokens", max_tokens)
    found = examples(source, split=split, num_prompts=num_prompts, seed=seed, **options)
    label = name or source
    return [
        Request(
            f"{label}-{split}-{index}",
            example.prompt,
            max_tokens,
            {"temperature": temperature},
            tags={"workload": label, "task": source, **example.tags},
            reference=example.reference,
            response=example.response,
        )
        for index, example in enumerate(found)
    ]


def examples(source: str, *, split: str, num_prompts: int | None, seed: int = 0, **options: Any) -> list[Example]:
    """The examples behind `build`, with the answer keys that only scoring may see."""
    module = find(source)
    known = checked_options(source, module, options)
    if split not in module.SPLITS:
        raise WorkloadError(f"workload source {source} has no split {split!r}; allowed: {', '.join(module.SPLITS)}")
    if num_prompts is not None:
        check_count("num_prompts", num_prompts)
    elif not getattr(module, "FINITE", False):
        raise WorkloadError(f"num_prompts is null, but workload source {source} has no end; give a whole number")
    found = list(islice(distinct(module.examples(cast(Split, split), seed, known)), num_prompts))
    if not found:
        raise WorkloadError(f"workload source {source} has no prompts for split {split}; give it more rows")
    if num_prompts is not None and len(found) < num_prompts:
        raise WorkloadError(
            f"workload source {source} has {len(found)} prompts for split {split}, fewer than the {num_prompts} "
            f"asked for; lower num_prompts to at most {len(found)}"
        )
    return found


def distinct(found: Iterator[Example]) -> Iterator[Example]:
    """The examples whose prompt did not occur before."""
    seen: set[Prompt] = set()
    for example in found:
        if example.prompt not in seen:
            seen.add(example.prompt)
            yield example


def check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WorkloadError(f"{name} is {value!r}; it must be a whole number of at least 1")
