"""From a workload's requests to token ids and sampling parameters, once, before anything is timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autotune.errors import UsageError
from engine.sampling_params import SamplingParams
from workloads import Request


@dataclass(frozen=True)
class Prompt:
    """Ready to be served."""

    request_id: str
    token_ids: list[int]
    params: SamplingParams


def prepare(requests: Sequence[Request], tokenizer: Any, max_model_len: int | None, seed: int) -> list[Prompt]:
    """Tokenised requests; UsageError for one that does not fit the model with its answer."""
    prompts = []
    for index, request in enumerate(requests):
        token_ids = encode(request, tokenizer)
        params = SamplingParams.from_mapping(
            {"seed": seed + index, **request.sampling, "max_tokens": request.max_tokens}
        )
        if max_model_len is not None and len(token_ids) + request.max_tokens > max_model_len:
            raise UsageError(
                f"prompt {request.request_id} has {len(token_ids)} tokens, with max_tokens={request.max_tokens} "
                f"more than max_model_len={max_model_len}; use shorter prompts, a smaller workload.max_tokens "
                "or a larger engine.max_model_len"
            )
        prompts.append(Prompt(request.request_id, token_ids, params))
    return prompts


def encode(request: Request, tokenizer: Any) -> list[int]:
    """Chat messages through the model's chat template, text as it is, token ids untouched."""
    prompt = request.prompt
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    if all(isinstance(token, int) for token in prompt):
        return list(prompt)  # type: ignore[arg-type]
    messages = [{"role": message.role, "content": message.content} for message in prompt]  # type: ignore[union-attr]
    if not getattr(tokenizer, "chat_template", None):
        return list(tokenizer("\n\n".join(message["content"] for message in messages))["input_ids"])
    encoded = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(encoded["input_ids"])


def template_of(tokenizer: Any) -> str:
    """How chat messages become text, for the record."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    return "the model's own" if has_template else "none: message texts joined by a blank line"
