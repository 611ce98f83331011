"""Prompts brought to given lengths: what is measured where the length of the context matters.

A prompt of a length ends as the workload's own does, because what is asked stands there. A longer one loses its
beginning; a shorter one is preceded by the workload's prompts before it, the nearest last, as by earlier talk. The
token that begins every text stays first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autotune.errors import UsageError
from autotune.worker.prompts import Prompt
from autotune.worker.protocol import WARM, split_at

Prompts = list[Prompt]


def at_lengths(
    prompts: Mapping[str, Prompts], lengths: Sequence[int], tokenizer: Any, max_model_len: int | None
) -> dict[str, Prompts]:
    """Of every split the prompts at each length, under names of their own; under the split's the shortest."""
    begin = getattr(tokenizer, "bos_token_id", None)
    found: dict[str, Prompts] = {}
    for split, whole in prompts.items():
        if split == WARM:
            continue
        by_length = {length: at_length(whole, length, begin) for length in sorted(lengths)}
        found |= {split_at(split, length): cut for length, cut in by_length.items()}
        found[split] = next(iter(by_length.values()))
    for split, cut in found.items():
        check_fit(cut[0], split, max_model_len)
    return found


def at_length(prompts: Sequence[Prompt], length: int, begin: int | None) -> Prompts:
    """Each of exactly `length` tokens; what comes before the first prompt is the last one, and so on round."""
    heads = [prompt.token_ids[:1] if prompt.token_ids[:1] == [begin] else [] for prompt in prompts]
    bodies = [prompt.token_ids[len(head) :] for prompt, head in zip(prompts, heads, strict=True)]
    if not any(bodies):
        raise UsageError("study.context_lengths needs prompts with text; those of this workload are empty")
    return [
        replace(prompt, token_ids=[*head, *_ending(bodies, place, length - len(head))])
        for place, (prompt, head) in enumerate(zip(prompts, heads, strict=True))
    ]


def _ending(bodies: Sequence[list[int]], place: int, length: int) -> list[int]:
    """The last `length` tokens of all texts up to that at `place`."""
    found: list[int] = []
    while len(found) < length:
        found = [*bodies[place], *found]
        place = (place - 1) % len(bodies)
    return found[len(found) - length :]


def check_fit(prompt: Prompt, split: str, max_model_len: int | None) -> None:
    needed = len(prompt.token_ids) + prompt.params.max_tokens
    if max_model_len is not None and needed > max_model_len:
        raise UsageError(
            f"study.context_lengths has {len(prompt.token_ids)}, with workload.max_tokens={prompt.params.max_tokens} "
            f"more than max_model_len={max_model_len}; use shorter contexts, a smaller workload.max_tokens or a larger "
            "engine.max_model_len"
        )
