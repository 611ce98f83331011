"""The EAGLE-3 head: one decoder layer over a token and the target's states at three depths.

g = fc([h_low, h_mid, h_high]) once for every verified position; the attention reads [norm(embed(x_{i+1})),
hidden_norm(g)], 2H wide; the output before the last norm is fed back in place of g (Li et al. 2025). The head has a
vocabulary of its own, whose ids d2t maps to the target's by adding an offset.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.aux_layers import Convention, boundaries
from engine.models.config import DecoderConfig, draft_layers_config
from engine.models.decoder import TargetOutput
from engine.models.draft_vocab import DraftVocab
from engine.models.dummy import open_weights
from engine.models.eagle import own_embeddings
from engine.models.kv_cache import KVCache
from engine.models.layers import Norm, build_norm, load_layer
from engine.models.linear import build_linear
from engine.models.loader import Weights
from engine.models.stack import Short


class Eagle3Network:
    """Loads the authors' layout, SpecForge's and speculators'; they differ in names and in where the config lies."""

    def __init__(self, folder: Path, raw: Mapping[str, Any], host: Host, kind: Convention):
        target, layers = host.target, raw.get("transformer_layer_config") or raw
        like = (target.dtype, target.device)
        weights = open_weights(folder, target.load_format, strip=("model.",))
        prefix = "midlayer." if any(name.startswith("midlayer.") for name in weights.names()) else "layers.0."
        self.taps = boundaries(raw, target.config.num_layers, kind)
        config = draft_layers_config(
            dict(layers),
            folder,
            qkv_bias=weights.has(prefix + "self_attn.q_proj.bias"),
            qk_norm=weights.has(prefix + "self_attn.q_norm.weight"),
        )
        shard, self.config = host.shard, host.shard.config(config)
        hidden, wide = config.hidden_size, len(self.taps) * target.config.hidden_size
        layer = load_layer(weights, prefix, config, *like, input_norm=False, attention_input=2 * hidden, shard=shard)
        self._norms = _Norms(weights, prefix, raw, self.config, target.config.hidden_size, len(self.taps), like)
        fc = weights.take("fc.weight", (hidden, wide), *like)
        self._embeddings = own_embeddings(weights, host)
        self._vocab = DraftVocab.load(weights, raw, target.config.vocab_size, target.device)
        head = shard.rows(weights, "lm_head.weight", (self._vocab.size, hidden), *like)
        weights.finish()
        product = host.product_for([fc, head, *layer.matrices])
        self._fc = build_linear(fc, None, product)
        self._head = shard.gathered(build_linear(head, None, product), self._vocab.size)
        self.stack = host.stack(self.config, [layer], product)

    def condition(self, output: TargetOutput) -> Tensor:
        """[rows, H]: the target's states at the tapped boundaries, fused."""
        return self._fc(self._norms.before_fc([output.taps[b] for b in self.taps]))

    def forward(self, tokens: Tensor, hidden: Tensor, short: Short, long: Sequence[Span], cache: KVCache) -> Tensor:
        """tokens [R], hidden [R, H] (g, or the output fed back) -> [R, H]; (x_{i+1}, g_i) is at position i."""
        step, layer, norms = self.stack.step_input(short, long, cache), self.stack.layers[0], self._norms
        normed = norms.hidden(hidden)
        pair = torch.cat([norms.input(self._embeddings.index_select(0, tokens)), normed], -1)
        x = (normed if norms.before_residual else hidden) + layer.attention(pair, step, cache)
        x += layer.feed_forward(x)
        return norms.last(x) if norms.on_output else x

    def logits(self, output: Tensor) -> Tensor:
        """[R, H] -> [R, V] of the target's vocabulary; what the draft cannot say is -inf."""
        return self._vocab.spread(self._own_logits(output).float())

    def best(self, output: Tensor) -> Tensor:
        """[R, H] -> [R] the likeliest token, found in the vocabulary of the head."""
        return self._vocab.named(self._own_logits(output).argmax(-1))

    def _own_logits(self, output: Tensor) -> Tensor:
        return self._head(output if self._norms.on_output else self._norms.last(output))


class _Norms:
    """The norms of a head and the flags that place them."""

    def __init__(
        self,
        weights: Weights,
        prefix: str,
        raw: Mapping[str, Any],
        config: DecoderConfig,
        target_hidden: int,
        num_taps: int,
        like: tuple[torch.dtype, torch.device],
    ):
        def norm(name: str, width: int) -> Norm:
            return build_norm(weights.take(name, (width,), *like), config.rms_norm_eps)

        hidden = config.hidden_size
        self.input = norm(prefix + "input_layernorm.weight", hidden)
        self.hidden = norm(prefix + "hidden_norm.weight", hidden)
        self.last = norm("norm.weight", hidden)
        self.before_residual = _flag(raw, "norm_before_residual", required="speculators_config" in raw)
        self.on_output = bool(raw.get("norm_output", False))
        joined, single = bool(raw.get("norm_before_fc", False)), bool(raw.get("fc_norm", False))
        if joined and single:
            raise ConfigError(f"{weights.folder}: norm_before_fc and fc_norm exclude each other")
        self._joined = norm("input_norm.weight", num_taps * target_hidden) if joined else None
        self._single = [norm(f"fc_norm.{i}.weight", target_hidden) for i in range(num_taps)] if single else None

    def before_fc(self, states: Sequence[Tensor]) -> Tensor:
        """The tapped states [rows, H], normed one by one, together or not at all -> [rows, taps * H]."""
        if self._single is not None:
            states = [norm(state) for norm, state in zip(self._single, states, strict=True)]
        wide = torch.cat(list(states), -1)
        return wide if self._joined is None else self._joined(wide)


def _flag(raw: Mapping[str, Any], name: str, required: bool) -> bool:
    """Readers disagree on the default of this flag for speculators' files, so those must say it."""
    if required and name not in raw:
        raise ConfigError(f"the config.json of this head lacks {name!r}: readers disagree on its default; add it")
    return bool(raw.get(name, False))
