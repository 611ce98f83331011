"""A Llama layer in training form whose queries are chains.

The chain at pair i may look at the true keys of pairs 0 .. i, and at the keys that its own earlier steps made from
their own output (EAGLE-3's training-time test, arXiv 2503.01840, section 3.2). All chains of a batch are computed
together: the true keys are one masked product, the chain's own keys one column a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.config import DecoderConfig
from engine.training.lessons import take

HIDDEN = -1e4  # the score of a key that a query may not see


@dataclass(frozen=True)
class Sizes:
    """Of one layer; `input_width` is what queries, keys and values are computed from."""

    hidden: int
    input_width: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate: int
    eps: float
    bias: bool = False


def sizes_of(config: DecoderConfig, input_width: int | None = None, bias: bool = False) -> Sizes:
    """A layer as the target's own."""
    hidden = config.hidden_size
    return Sizes(hidden, input_width or hidden, config.num_heads, config.num_kv_heads, config.head_dim,
                 config.intermediate_size, config.rms_norm_eps, bias)  # fmt: skip


class Keys(NamedTuple):
    """Keys and values [B, kv heads, N, D], keys already rotated."""

    keys: Tensor
    values: Tensor


class Rotary(NamedTuple):
    """cos and sin [positions, D / 2]."""

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:
        """x [B, heads, N, D] at positions [B, N], pairs (d, d + D / 2)."""
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        left, right = x.chunk(2, -1)
        return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Names and layouts of the published checkpoints."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        queries, keys = sizes.num_heads * sizes.head_dim, sizes.num_kv_heads * sizes.head_dim
        self.q_proj = linear(sizes.input_width, queries, sizes.bias)
        self.k_proj = linear(sizes.input_width, keys, sizes.bias)
        self.v_proj = linear(sizes.input_width, keys, sizes.bias)
        self.o_proj = linear(queries, sizes.hidden, scale=0.5)

    def split(self, x: Tensor) -> Tensor:
        """[B, N, heads D] -> [B, heads, N, D]."""
        return x.unflatten(-1, (-1, self.sizes.head_dim)).transpose(1, 2)

    def make_keys(self, x: Tensor, positions: Tensor, rotary: Rotary) -> Keys:
        return Keys(rotary(self.split(self.k_proj(x)), positions), self.split(self.v_proj(x)))

    def forward(self, x: Tensor, positions: Tensor, rotary: Rotary, context: Context) -> Tensor:
        """x [B, A, input width] at `positions` looks at the context -> [B, A, hidden]."""
        group = self.sizes.num_heads // self.sizes.num_kv_heads
        queries = rotary(self.split(self.q_proj(x)), positions) * self.sizes.head_dim**-0.5
        keys, values = (part.repeat_interleave(group, 1) for part in context.true)
        own = [Keys(*(part.repeat_interleave(group, 1) for part in made)) for made in context.own]
        scores = [queries @ keys.mT + context.mask, *((queries * made.keys).sum(-1, keepdim=True) for made in own)]
        shares = torch.softmax(torch.cat(scores, -1), -1, dtype=torch.float32).to(values.dtype)
        mixed = shares[..., : keys.shape[2]] @ values
        for step, made in enumerate(own):
            column = keys.shape[2] + step
            mixed = mixed + shares[..., column : column + 1] * made.values
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class Context:
    """What the chains of a batch may see in one layer."""

    def __init__(self, true: Keys, at: Tensor) -> None:
        """`at` [B, A]: the last true position that each chain may see."""
        ahead = torch.arange(true.keys.shape[2], device=at.device) > at[:, None, :, None]
        self.true = true
        self.mask = torch.zeros(ahead.shape, dtype=true.keys.dtype, device=at.device).masked_fill_(ahead, HIDDEN)
        self.own: list[Keys] = []


class FeedForward(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.gate_proj = linear(sizes.hidden, sizes.intermediate)
        self.up_proj = linear(sizes.hidden, sizes.intermediate)
        self.down_proj = linear(sizes.intermediate, sizes.hidden, scale=0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Attention and feed-forward; what goes into the attention and what is the residual, the method says."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = Attention(sizes)
        self.mlp = FeedForward(sizes)
        self.post_attention_layernorm = RMSNorm(sizes.hidden, sizes.eps)

    def forward(self, x: Tensor, residual: Tensor, positions: Tensor, rotary: Rotary, context: Context) -> Tensor:
        residual = residual + self.self_attn(x, positions, rotary, context)
        return residual + self.mlp(self.post_attention_layernorm(residual))


class Layered:
    """The chains of one layer: true keys of all pairs first, then step after step."""

    def __init__(self, block: Block, rotary: Rotary, inputs: Tensor, at: Tensor, true: Keys | None = None) -> None:
        """inputs [B, N, width] of the pairs at positions 0 .. N - 1; `true`: their keys, if they are made already."""
        rows, count = inputs.shape[:2]
        positions = torch.arange(count, device=inputs.device).expand(rows, -1)
        self.block, self.rotary, self.inputs, self.at = block, rotary, inputs, at
        self.context = Context(true or block.self_attn.make_keys(inputs, positions, rotary), at)
        self.steps = 0

    def first(self, residuals: Tensor) -> Tensor:
        """Step 0: the pairs at `at` themselves; residuals [B, N, H] -> [B, A, H]."""
        return self.run(take(self.inputs, self.at), take(residuals, self.at))

    def next(self, inputs: Tensor, residual: Tensor) -> Tensor:
        """A later step: its key joins the chain's own; inputs [B, A, width], residual [B, A, H]."""
        positions = self.at + self.steps
        self.context.own.append(self.block.self_attn.make_keys(inputs, positions, self.rotary))
        return self.run(inputs, residual)

    def run(self, inputs: Tensor, residual: Tensor) -> Tensor:
        out = self.block(inputs, residual, self.at + self.steps, self.rotary, self.context)
        self.steps += 1
        return out


def linear(inputs: int, outputs: int, bias: bool = False, scale: float = 1.0) -> nn.Linear:
    """Gaussian weights of variance scale^2 / inputs, no bias or a bias of zero."""
    made = nn.Linear(inputs, outputs, bias)
    nn.init.normal_(made.weight, std=scale * inputs**-0.5)
    if bias:
        nn.init.zeros_(made.bias)
    return made
