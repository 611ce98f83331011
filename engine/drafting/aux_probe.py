"""Would an EAGLE-3 head draft better if its layer ids were counted the other way? Asked once, when it is loaded.

A wrong count leaves the output right and the acceptance low, so nothing else would tell. The target answers a question
(or, without a chat template, writes on from its first token); both readings of the ids predict what it says, and a
large difference is a warning.
"""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from engine import noise
from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.loading import Target
from engine.models.attention import Span
from engine.models.aux_layers import CONVENTIONS, Convention, boundaries, layer_ids
from engine.models.decoder import TargetOutput
from engine.models.eagle3 import Eagle3Network
from engine.models.kv_cache import KVCache
from engine.text import Text

LENGTH = 64  # tokens of the answer; an agreement is then known to about 6 points
ASK = "Write a short story about a farmer who finds a bridge."
MARGIN = 0.15  # of agreement, by which the other reading must be better


def warn_of_other_convention(network: Eagle3Network, raw: Mapping[str, Any], kind: Convention, host: Host) -> None:
    """UserWarning if the other reading of the ids agrees with the target far more often."""
    readings = _readings(raw, kind, host.target.config.num_layers)
    if len(readings) < 2:
        return
    agreed = agreements(network, readings, host.target)
    other = next(name for name in readings if name != kind)
    if agreed[other] > agreed[kind] + MARGIN:
        warnings.warn(
            f"this EAGLE-3 head agrees with the target on {agreed[kind]:.0%} of tokens when its aux layers are read as "
            f"{kind} and on {agreed[other]:.0%} as {other}: set aux_layer_convention={other}",
            stacklevel=2,
        )


def _readings(raw: Mapping[str, Any], kind: Convention, num_layers: int) -> dict[Convention, tuple[int, ...]]:
    """The boundaries of every convention that is possible here; one alone where the config gives no ids."""
    if layer_ids(raw) is None:
        return {kind: boundaries(raw, num_layers, kind)}
    readings = {}
    for name in CONVENTIONS:
        try:
            readings[name] = boundaries(raw, num_layers, name)
        except ConfigError:
            if name == kind:
                raise
    return readings


@torch.inference_mode()
def agreements(
    network: Eagle3Network, readings: Mapping[Convention, tuple[int, ...]], target: Target
) -> dict[Convention, float]:
    """Share of the places of an answer at which the head's first guess is the target's choice."""
    taps = sorted({b for wanted in readings.values() for b in wanted})
    tokens, start, output = _answer(target, taps)
    chosen, length = output.logits.argmax(-1)[start + 1 :], len(tokens)
    found = {}
    for name, wanted in readings.items():
        head = copy.copy(network)
        head.taps = wanted
        cache = KVCache(network.config, 1, length, target.dtype, target.device)
        outputs = head.forward(tokens[1:], head.condition(output)[:-1], [], [Span(0, 0, length - 1)], cache)
        found[name] = (head.logits(outputs[start:]).argmax(-1) == chosen).double().mean().item()
    return found


def _answer(target: Target, taps: list[int]) -> tuple[torch.Tensor, int, TargetOutput]:
    """Prompt and answer, where the prompt's last token is, and one pass over all of it."""
    tokens, temperature = _prompt(target)
    start, end = len(tokens) - 1, min(len(tokens) + LENGTH, target.max_model_len)
    cache = KVCache(target.config, 1, target.max_model_len, target.dtype, target.device)
    logits = target.decoder.forward(tokens, [], [Span(0, 0, len(tokens))], cache, [start]).logits
    while len(tokens) < end:
        noises = noise.gumbel([noise.key(0, len(tokens))], logits.shape[1], logits.device)
        tokens.append(int((logits.double() + temperature * noises).argmax()))
        logits = target.decoder.forward(tokens[-1:], [Span(0, len(tokens) - 1, 1)], [], cache).logits
    output = target.decoder.forward(tokens, [], [Span(0, 0, end)], cache, taps=taps)
    return torch.tensor(tokens, device=target.device), start, output


def _prompt(target: Target) -> tuple[list[int], float]:
    """A question to answer greedily; or the first token of a text to be sampled."""
    text = Text(target.folder)
    if text.exists and text.tokenizer.chat_template:
        chat = [{"role": "user", "content": ASK}]
        ids = text.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        if len(ids) + LENGTH <= target.max_model_len:
            return list(ids), 0.0
    first = target.config.raw.get("bos_token_id") or 0
    return [first if isinstance(first, int) else first[0]], 1.0
