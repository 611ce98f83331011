"""The EAGLE head (EAGLE 1 and 2): one decoder layer over pairs of a token and the target's state before it.

z = fc([embed(x_{i+1}), h_i]); the layer has no input norm; its output goes to the target's head and back into the next
pair. h_i is the target's state after the final norm (Li et al. 2024).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.drafting.host import Host
from engine.models.attention import Span
from engine.models.config import draft_layers_config, read_raw_config
from engine.models.decoder import FINAL, TargetOutput
from engine.models.dummy import open_weights
from engine.models.kv_cache import KVCache
from engine.models.layers import load_layer
from engine.models.linear import build_linear
from engine.models.loader import Weights
from engine.models.stack import Short


class EagleNetwork:
    """Pairs in, the layer's output out. Embeddings are the target's unless the checkpoint brings its own."""

    taps = (FINAL,)

    def __init__(self, folder: Path, host: Host):
        target = host.target
        weights = open_weights(folder, target.load_format, strip=("model.",))
        raw, hidden, like = read_raw_config(folder), target.config.hidden_size, (target.dtype, target.device)
        bias = weights.has("layers.0.self_attn.q_proj.bias")
        norm = weights.has("layers.0.input_layernorm.weight")
        config = draft_layers_config(raw, folder, qkv_bias=bias)
        self.config = host.shard.config(config)
        layer = load_layer(weights, "layers.0.", config, *like, input_norm=norm, shard=host.shard)
        fc = weights.take("fc.weight", (hidden, 2 * hidden), *like)
        with_bias = raw.get("bias", weights.has("fc.bias"))
        fc_bias = weights.take("fc.bias", (hidden,), *like) if with_bias else None
        self._embeddings = own_embeddings(weights, host)
        weights.finish(("lm_head.weight",))  # some copies carry the target's head
        product = host.product_for([fc, *layer.matrices])
        self._fc = build_linear(fc, fc_bias, product)
        self.stack = host.stack(self.config, [layer], product)
        self.logits = target.decoder.head

    def best(self, output: Tensor) -> Tensor:
        """[R, H] -> [R] the likeliest token."""
        return self.logits(output).argmax(-1)

    def condition(self, output: TargetOutput) -> Tensor:
        """[rows, H] what pairs take from the target."""
        return output.taps[FINAL]

    def forward(self, tokens: Tensor, hidden: Tensor, short: Short, long: Sequence[Span], cache: KVCache) -> Tensor:
        """tokens [R], hidden [R, H] -> [R, H]; the pair (x_{i+1}, h_i) is at position i."""
        x = self._fc(torch.cat([self._embeddings.index_select(0, tokens), hidden], -1))
        return self.stack.run(x, self.stack.step_input(short, long, cache), cache)[0]


def own_embeddings(weights: Weights, host: Host) -> Tensor:
    """The checkpoint's embeddings [V, H], or the target's where it has none."""
    target = host.target
    if not weights.has("embed_tokens.weight"):
        return target.decoder.embeddings
    shape = (target.config.vocab_size, target.config.hidden_size)
    return weights.take("embed_tokens.weight", shape, target.dtype, target.device)
