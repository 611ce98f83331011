"""What the layers run on, chosen once at load: torch's own operators, or the fused ones of `kernels/`."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import torch

from engine.errors import ConfigError

if TYPE_CHECKING:
    from engine.models.kv_cache import KVCache
    from engine.models.stack import Stack

Kernels = Literal["torch", "fused"]
SDPA = "scaled_dot_product_attention"


def resolve_kernels(wanted: str, device: torch.device) -> Kernels:
    """ "auto" is fused on a GPU. On a CPU the fused operators are their plain-torch references."""
    if wanted not in ("auto", "torch", "fused"):
        raise ConfigError(f"kernels={wanted!r} is not allowed: auto, torch, fused")
    if wanted == "torch" or (wanted == "auto" and device.type != "cuda"):
        return "torch"
    if device.type == "cuda" and find_spec("triton") is None:
        raise ConfigError(f"kernels={wanted} needs triton on a GPU: install triton, or give kernels=torch")
    return "fused"


def stack_type(kernels: Kernels) -> "type[Stack]":
    """The class of a decoder's layers."""
    if kernels == "fused":
        from engine.models.fused import FusedStack

        return FusedStack
    from engine.models.stack import Stack

    return Stack


def cache_type(kernels: Kernels) -> "type[KVCache]":
    """The class of a cache whose trees are compacted."""
    if kernels == "fused":
        from engine.models.fused_cache import FusedKVCache

        return FusedKVCache
    from engine.models.kv_cache import KVCache

    return KVCache


def describe_kernels(kernels: Kernels, device: torch.device) -> dict[str, Any]:
    """What runs, for the record."""
    if kernels == "torch":
        return {"kernels": "torch", "attention": SDPA}
    attention = f"tree_attention; prompts: {SDPA}"
    if device.type == "cpu":
        return {"kernels": "fused (references)", "attention": attention}
    import triton

    return {"kernels": "fused (triton)", "attention": attention, "triton": triton.__version__}
