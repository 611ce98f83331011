"""Decoding steps of fixed shapes, captured in CUDA graphs: one wait for the device a step."""

from typing import TYPE_CHECKING

import torch

from engine.errors import ConfigError
from engine.filters import AT_ONCE
from engine.models.kernel_choice import resolve_kernels

if TYPE_CHECKING:
    from engine.captured.path import CapturedPath
    from engine.loading import Target
    from engine.models.kv_cache import KVCache

EAGER = "eager"
RESERVED_NODES = 8  # a sequence, of the step for which memory is set aside
FILTER_BYTES = 64  # a number: sorted and not, its place, its share and the sum of those before


def captured_by(device: torch.device) -> str:
    """What captured steps are, for the record."""
    return "CUDA graphs" if device.type == "cuda" else "fixed shapes, without graphs"


def resolve_eager(wanted: bool | None, kernels: str, device: torch.device) -> bool:
    """None: captured where the fused kernels run on a GPU. ConfigError for what cannot be captured."""
    chosen = resolve_kernels(kernels, device)
    if wanted is None:
        return chosen != "fused" or device.type != "cuda"
    if not isinstance(wanted, bool):
        raise ConfigError(f"enforce_eager={wanted!r} is not allowed: true, false, or null for what suits the device")
    if not wanted and chosen != "fused":
        raise ConfigError("enforce_eager=False needs kernels=fused: only steps over them have a fixed shape")
    return wanted


def captured_path(target: "Target", cache: "KVCache", max_num_seqs: int, max_batched: int) -> "CapturedPath":
    """On a CPU the same steps run without a graph: for tests."""
    from engine.captured.path import CapturedPath
    from engine.models.fused_cache import FusedKVCache

    assert isinstance(cache, FusedKVCache), "fused kernels have a fused cache"
    return CapturedPath(target, cache, max_num_seqs, max_batched)


def graph_reserve(target: "Target", max_num_seqs: int) -> int:
    """Bytes to leave beside the cache for what captured steps hold: logits twice, activations of a layer, and what
    filtering some rows takes."""
    if target.device.type != "cuda":
        return 0
    config, rows = target.config, max_num_seqs * (1 + RESERVED_NODES)
    widths = 8 * config.hidden_size + 4 * config.intermediate_size
    filtering = AT_ONCE * config.vocab_size * FILTER_BYTES
    return rows * (8 * config.vocab_size + widths * target.dtype.itemsize) + filtering
