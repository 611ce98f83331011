"""Two operators in a row under torch.compile: one writes into the cache, the other sees it, and the graph is whole."""

import torch
from kernel_checks import DEVICE, assert_same, random

from engine.models.rope import rotations
from kernels.qk_norm_rope_cache.op import qk_norm_rope_cache
from kernels.tree_attention.op import tree_attention

HEADS, KV_HEADS, DIM, SLOT = 4, 2, 32, 16


def step(qkv: torch.Tensor, cache: torch.Tensor, prefix: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The attention of a verify step: the rows of three nodes a sequence, then what they see."""
    batch, q_len = masks.shape
    slots = torch.arange(batch, device=DEVICE)
    places = slots[:, None] * SLOT + (prefix - 1)[:, None] + torch.arange(q_len, device=DEVICE)
    positions = (prefix - 1)[:, None] + torch.tensor([0, 1, 1], device=DEVICE)
    table = rotations(10000.0 ** (-torch.arange(0, DIM, 2) / DIM), 1.0, SLOT).to(DEVICE)
    query = qk_norm_rope_cache(qkv, cache, places.flatten(), positions.flatten(), table, None, 1e-6)
    lengths = torch.full((batch,), q_len, device=DEVICE)
    shaped = query.view(batch, q_len, HEADS, DIM)
    return tree_attention(shaped, cache, slots[:, None], prefix, lengths, masks, DIM**-0.5, SLOT)


def test_compiled_as_one_graph_gives_the_same():
    qkv = random(6, (HEADS + 2 * KV_HEADS) * DIM, dtype=torch.float32)
    cache = random(2 * SLOT, 2 * KV_HEADS * DIM, dtype=torch.float32, seed=1)
    prefix, masks = torch.tensor([5, 9], device=DEVICE), torch.tensor([[0, 1, 2], [0, 1, 2]], device=DEVICE)
    ours, theirs = cache.clone(), cache.clone()
    got = torch.compile(step, fullgraph=True, backend="aot_eager")(qkv, ours, prefix, masks)
    assert_same(got, step(qkv, theirs, prefix, masks))
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, cache)
