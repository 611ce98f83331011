"""Takes the tensors of MTP modules, by a family's names, from a folder that may hold a whole model around them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.config import DecoderConfig, draft_layers_config
from engine.models.dummy import open_weights
from engine.models.kv_cache import KVCache
from engine.models.layers import Norm, build_norm, load_layer
from engine.models.mtp.families import FAMILIES, MtpFamily
from engine.models.mtp.published import TransformersBlock, cache_heads
from engine.models.stack import Short, Stack

Block = Callable[[Tensor, Short, Sequence[Span], KVCache], Tensor]


class MtpReader:
    """`take`, `norm` and `own_table` fill in a template of the family for module k."""

    def __init__(self, folder: Path, raw: Mapping[str, Any], host: Host):
        self.family, self._folder, self._raw = family_of(raw, folder), folder, raw
        self.weights = open_weights(folder, host.target.load_format)
        self._target = host.target
        self._like = (self._target.dtype, self._target.device)
        self._num_layers = raw.get("num_hidden_layers", 0)

    def take(self, template: str, k: int, *shape: int) -> Tensor:
        return self.weights.take(f"{self._name(template, k)}.weight", shape, *self._like)

    def norm(self, template: str, k: int) -> Norm:
        scale = self.take(template, k, self._target.config.hidden_size) + self.family.norm_offset
        return build_norm(scale, self._raw.get("rms_norm_eps", 1e-6))

    def own_table(self, template: str | None, k: int) -> Tensor | None:
        """[V, H] embeddings or head of a module itself; None stands for the target's."""
        if template is None:
            return None
        if self.family.own_tables == "optional" and not self.weights.has(f"{self._name(template, k)}.weight"):
            return None
        return self.take(template, k, self._target.config.vocab_size, self._target.config.hidden_size)

    def blocks(self, count: int, host: Host) -> tuple[DecoderConfig, list[Block]]:
        """The modules' blocks, and a config that gives the cache the shape they need."""
        prefixes = [self._name(self.family.block, k) for k in range(count)]
        length, published = self._target.max_model_len, self.family.published
        if published is None:
            return self._native_blocks(prefixes, host)
        if host.quantization is not None:
            raise ConfigError(
                f"quantization={host.quantization!r} is not allowed: the block of these MTP modules is computed by "
                "transformers, in the model's dtype; leave it out"
            )
        heads, dim = cache_heads(published, self._raw)
        config = replace(self._target.config, num_layers=count, num_kv_heads=heads, head_dim=dim)
        return config, [
            TransformersBlock(published, self._raw, self.weights, prefix, k, length, self._like)
            for k, prefix in enumerate(prefixes)
        ]

    def finish(self, count: int) -> None:
        """No tensor of these modules may be left over, nor one of a module more than config.json tells."""
        self.weights.finish(within=tuple({self._name(self.family.within, k) for k in range(count + 1)}))

    def _native_blocks(self, prefixes: Sequence[str], host: Host) -> tuple[DecoderConfig, list[Block]]:
        def some(*names: str) -> bool:
            return any(self.weights.has(f"{prefixes[0]}{name}.bias") for name in names)

        family = {
            "rope_neighbours": self.family.rope_neighbours,
            "qkv_bias": some("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "o_bias": some("self_attn.o_proj"),
            "mlp_bias": some("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        }
        whole = draft_layers_config(dict(self._raw), self._folder, len(prefixes), **family)
        config = host.shard.config(whole)
        layers = [load_layer(self.weights, prefix, whole, *self._like, shard=host.shard) for prefix in prefixes]
        product = host.product_for([matrix for layer in layers for matrix in layer.matrices])
        stack = host.stack(config, layers, product)
        return config, [_native(stack, k) for k in range(len(prefixes))]

    def _name(self, template: str, k: int) -> str:
        return template.format(k=k, n=self._num_layers + k)


def family_of(raw: Mapping[str, Any], folder: Path) -> MtpFamily:
    """By the architecture that config.json names."""
    architecture = str((raw.get("architectures") or ["(none given)"])[0])
    if architecture not in FAMILIES:
        raise ConfigError(
            f"architecture {architecture} in {folder} has no MTP modules known here: allowed are {', '.join(FAMILIES)}"
        )
    return FAMILIES[architecture]


def _native(stack: Stack, index: int) -> Block:
    layer = stack.layers[index]
    return lambda z, short, long, cache: layer(z, stack.step_input(short, long, cache), cache)
