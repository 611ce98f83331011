"""From what a caller asks to a Sequence the scheduler can run."""

from collections.abc import Sequence as Sequences

from engine import noise
from engine.errors import ConfigError
from engine.outputs import RequestMetrics
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence


def params_for(count: int, params: SamplingParams | Sequences[SamplingParams] | None) -> list[SamplingParams]:
    """One for each of `count` prompts; a single one serves all."""
    if params is None or isinstance(params, SamplingParams):
        return [params or SamplingParams()] * count
    if len(params) != count:
        raise ConfigError(f"{len(params)} sampling params for {count} prompts: give one, or one for each")
    return list(params)


def check_prompt(token_ids: Sequences[int], vocab_size: int, max_model_len: int) -> None:
    """A prompt is at least one token of the vocabulary and leaves room for one more."""
    if not token_ids:
        raise ConfigError("the prompt is empty: give at least one token")
    if len(token_ids) >= max_model_len:
        raise ConfigError(
            f"the prompt has {len(token_ids)} tokens: with max_model_len={max_model_len} at most {max_model_len - 1}"
        )
    worst = max(token_ids) if max(token_ids) >= vocab_size else min(token_ids)
    if not 0 <= worst < vocab_size:
        raise ConfigError(f"token id {worst} is outside the vocabulary: 0 to {vocab_size - 1}")


def check_params(params: SamplingParams, vocab_size: int) -> None:
    """Token ids in the wishes must exist; found out here, not in the middle of a step that others share."""
    for name, tokens in (("logit_bias", params.logit_bias), ("stop_token_ids", params.stop_token_ids)):
        for token in tokens or ():
            if not isinstance(token, int) or not 0 <= token < vocab_size:
                raise ConfigError(f"{name} names token {token!r}: allowed are the ids 0 to {vocab_size - 1}")


def new_sequence(
    request_id: str,
    prompt: Sequences[int],
    params: SamplingParams,
    max_model_len: int,
    engine_seed: int,
    number: int,
    now: float,
) -> Sequence:
    """`number` counts requests; with the engine's seed it keys those that bring no seed of their own."""
    return Sequence(
        request_id=request_id,
        tokens=list(prompt),
        num_prompt_tokens=len(prompt),
        params=params,
        seed=params.seed if params.seed is not None else noise.key(engine_seed, number),
        max_len=min(len(prompt) + params.max_tokens, max_model_len),
        metrics=RequestMetrics(arrival_time=now),
        arrival=number,
    )
