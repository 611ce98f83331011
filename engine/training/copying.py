"""Start a network with the two attention heads that copying needs, instead of waiting for training to discover them.

Olsson et al. 2022, "In-context Learning and Induction Heads": one head brings each position the token before it, a
later head looks for the place whose *previous* token is the current one and copies what followed there. A small model
finds this pair late, for neither head is of use without the other (measured: not within 2.5 M tokens). Given as initial
weights they work from the first step, and training is free to change them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.training.network import Network, Shape

CONSTANT = 8.0  # of the embedding's standard deviation: a coordinate that is the same for every token
SHARPNESS = 1.8  # of the attention to the previous position
LOUDNESS = 1.0  # of what the previous token writes
MATCH = 4.0  # of the attention to equal tokens
COPY = 2.0  # of what equal tokens write
FAST = 0.15  # radians a position: faster pairs of the rotary embedding tell neighbours apart
SLOW = 0.03  # slower pairs hardly notice the distance


@torch.no_grad()
def prepare_to_copy(network: Network) -> None:
    """Overwrite key-value group 0 of layer 0 (looks back) and layer 1 (looks up); the rest is silent."""
    shape, head = network.shape, network.shape.head_dim
    check(shape)
    network.embedding[:, 0] = CONSTANT * network.embedding.std()
    network.out.zero_()
    network.down.zero_()
    basis = torch.zeros(shape.hidden_size, shape.hidden_size)
    basis[1:, 1:] = torch.linalg.qr(torch.randn(shape.hidden_size - 1, shape.hidden_size - 1))[0]
    written, read = basis[:, 1:].split((2 * head, shape.hidden_size - 1 - 2 * head), 1)
    look_back(network, written, read)
    for group in range(shape.num_kv_heads):
        look_up(network, group, written[:, :head], read)


def hold(network: Network) -> None:
    """Drop the gradients of what the two heads are made of: early training, which learns frequencies, undoes them."""
    for stack in (network.qkv, network.out, network.gate_up, network.down):
        if stack.grad is not None:
            stack.grad[: 2 if stack is network.qkv or stack is network.out else 1] = 0
    if network.embedding.grad is not None:
        network.embedding.grad[:, 0] = 0


def check(shape: Shape) -> None:
    """ValueError for a shape that has no room for the heads."""
    if shape.hidden_size <= 3 * shape.head_dim or shape.num_layers < 2 or shape.num_heads < 2 * shape.num_kv_heads:
        raise ValueError(
            f"no room for the copying heads in {shape}; they need hidden_size above 3 x head_dim, two layers and two "
            "query heads a key-value head; or set recipe.copying_start=false"
        )


def frequencies(shape: Shape) -> Tensor:
    """Radians a position of each rotary pair, [head_dim / 2]."""
    return shape.rope_theta ** -(torch.arange(0, shape.head_dim, 2) / shape.head_dim)


def rows(shape: Shape, kind: str, index: int) -> slice:
    """Where head `index` of the queries, keys or values lies in the fused matrix."""
    first = {"query": 0, "key": shape.num_heads, "value": shape.num_heads + shape.num_kv_heads}[kind]
    return slice((first + index) * shape.head_dim, (first + index + 1) * shape.head_dim)


def look_back(network: Network, written: Tensor, read: Tensor) -> None:
    """Layer 0: score = sum over fast pairs of cos(angle (distance - back)); writes the token found into `written`."""
    shape, head, angles = network.shape, network.shape.head_dim, frequencies(network.shape)
    fast = SHARPNESS * (angles > FAST)
    set_rows(network.qkv[0], rows(shape, "key", 0), torch.cat((fast, torch.zeros_like(angles))))
    network.qkv[0][rows(shape, "value", 0)] = read[:, :head].T
    for back in (1, 2):
        turned = torch.cat((fast * (angles * back).cos(), -fast * (angles * back).sin()))
        set_rows(network.qkv[0], rows(shape, "query", back - 1), turned)
        network.out[0][:, (back - 1) * head : back * head] = LOUDNESS * written[:, (back - 1) * head : back * head]


def set_rows(matrix: Tensor, where: slice, column: Tensor) -> None:
    matrix[where] = 0
    matrix[where, 0] = column


def look_up(network: Network, group: int, written: Tensor, read: Tensor) -> None:
    """Layer 1: a query is the current token, a key the token before; the heads write what they attend to."""
    shape, head = network.shape, network.shape.head_dim
    slow = MATCH * (frequencies(shape) < SLOW).float().repeat(2)[:, None]
    values = read[:, -head:] if group else read[:, :head]
    network.qkv[1][rows(shape, "key", group)] = slow * written.T
    network.qkv[1][rows(shape, "value", group)] = values.T
    per_group = shape.num_heads // shape.num_kv_heads
    for query in range(group * per_group, (group + 1) * per_group):
        network.qkv[1][rows(shape, "query", query)] = slow * read[:, :head].T
        network.out[1][:, query * head : (query + 1) * head] = COPY * values
