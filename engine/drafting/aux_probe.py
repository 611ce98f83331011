"""Would an EAGLE-3 head draft better if its layer ids were counted the other way? Asked once, when it is loaded.

A wrong count leaves the output right and the acceptance low, so nothing else would tell. The target writes a short
text of its own; both readings of the ids predict it, and a large difference is a warning.
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

LENGTH = 64  # tokens of the text; an agreement is then known to about 6 points
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
    """Share of the positions of a text of the target's own at which the head's first guess is the target's choice."""
    length = min(LENGTH, target.max_model_len - 1)
    taps = sorted({b for wanted in readings.values() for b in wanted})
    tokens, output = _text(target, length, taps)
    chosen = output.logits.argmax(-1)
    found = {}
    for name, wanted in readings.items():
        head = copy.copy(network)
        head.taps = wanted
        cache = KVCache(network.config, 1, length + 1, target.dtype, target.device)
        hidden = head.condition(output)[:-1]
        guesses = head.logits(head.forward(tokens[1:], hidden, [], [Span(0, 0, length - 1)], cache)).argmax(-1)
        found[name] = (guesses == chosen[1:]).double().mean().item()
    return found


def _text(target: Target, length: int, taps: list[int]) -> tuple[torch.Tensor, TargetOutput]:
    """`length` tokens sampled from the target after its first token, and one pass over all of them."""
    cache = KVCache(target.config, 1, length + 1, target.dtype, target.device)
    decoder, first = target.decoder, target.config.raw.get("bos_token_id") or 0
    tokens = [first if isinstance(first, int) else first[0]]
    while len(tokens) < length:
        logits = decoder.forward(tokens[-1:], [Span(0, len(tokens) - 1, 1)], [], cache).logits
        keys = [noise.key(0, len(tokens))]
        tokens.append(int((logits.double() + noise.gumbel(keys, logits.shape[1], logits.device)).argmax()))
    output = decoder.forward(tokens, [], [Span(0, 0, length)], cache, taps=taps)
    return torch.tensor(tokens, device=target.device), output
