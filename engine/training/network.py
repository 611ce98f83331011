"""The Llama network for training: the weights of all layers are stacked, so that the optimizer works on few tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama model; the defaults are those of models/tiny."""

    vocab_size: int = 3072
    hidden_size: int = 128
    num_layers: int = 16
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 32
    intermediate_size: int = 384
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    max_positions: int = 2048


class Network(nn.Module):
    """Token ids to hidden states. Matrices are [layer, out, in]; query, key and value are one, gate and up are one."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        layers, hidden, heads = shape.num_layers, shape.hidden_size, shape.head_dim
        self.embedding = nn.Parameter(torch.randn(shape.vocab_size, hidden) * 0.2)
        self.qkv = matrices(layers, (shape.num_heads + 2 * shape.num_kv_heads) * heads, hidden)
        self.out = matrices(layers, hidden, shape.num_heads * heads, (2 * layers) ** -0.5)
        self.gate_up = matrices(layers, 2 * shape.intermediate_size, hidden)
        self.down = matrices(layers, hidden, shape.intermediate_size, (2 * layers) ** -0.5)
        self.norms = nn.Parameter(torch.ones(2 * layers + 1, hidden))
        cos, sin = rope_table(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """[rows, length] -> normalised hidden states [rows, length, hidden]."""
        x = F.embedding(ids, self.embedding)
        norms = self.norms.unbind(0)
        layers = zip(self.qkv.unbind(0), self.out.unbind(0), self.gate_up.unbind(0), self.down.unbind(0), strict=True)
        for index, (qkv, out, gate_up, down) in enumerate(layers):
            x = x + self.attend(self.normed(x, norms[2 * index]), qkv, out)
            gate, up = F.linear(self.normed(x, norms[2 * index + 1]), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return self.normed(x, norms[-1])

    def normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (self.shape.hidden_size,), weight, self.shape.norm_eps)

    def attend(self, x: Tensor, qkv: Tensor, out: Tensor) -> Tensor:
        """Causal attention; rows are padded on the right, so no other mask is needed."""
        shape, (rows, length, _) = self.shape, x.shape
        heads = F.linear(x, qkv).view(rows, length, -1, shape.head_dim).transpose(1, 2)
        turned = shape.num_heads + shape.num_kv_heads
        q, k = rotate(heads[:, :turned], self.cos[:length], self.sin[:length]).split(
            (shape.num_heads, shape.num_kv_heads), 1
        )
        group = shape.num_heads // shape.num_kv_heads
        k, v = k.repeat_interleave(group, 1), heads[:, turned:].repeat_interleave(group, 1)
        mixed = causal_attention(q, k, v)
        return F.linear(mixed.transpose(1, 2).reshape(rows, length, -1), out)

    def loss_sum(self, ids: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum of the cross entropies; divide by `weights.sum()` for the mean."""
        logits = F.linear(self(ids), self.embedding)
        losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return (losses * weights.flatten()).sum()


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[rows, heads, length, head_dim], spelt out: on a CPU torch's fused kernel takes three times as long to train."""
    length = q.shape[-2]
    future = torch.full((length, length), -1e4, dtype=q.dtype, device=q.device).triu_(1)
    scores = (q * q.shape[-1] ** -0.5) @ k.mT + future
    return torch.softmax(scores, -1, dtype=torch.float32).to(v.dtype) @ v


def matrices(layers: int, rows: int, columns: int, scale: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.randn(layers, rows, columns) * (scale * columns**-0.5))


def rope_table(shape: Shape) -> tuple[Tensor, Tensor]:
    """cos and sin [positions, head_dim], in the half-split layout of Hugging Face's Llama."""
    steps = torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
    angles = torch.outer(torch.arange(shape.max_positions, dtype=torch.float64), shape.rope_theta**-steps)
    angles = torch.cat((angles, angles), -1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin
