"""The attention operator as torch sees it, and its reference against the attention that the engine has."""

import pytest
import torch
from attention_cases import case
from kernel_checks import DEVICE, assert_same

from engine.models.attention import Nodes, Planner, Span, attend
from engine.models.kv_cache import KVCache
from kernels.tree_attention import reference
from kernels.tree_attention.op import tree_attention


def engine_cache(inputs) -> KVCache:
    """The engine's cache with what a case holds: slot i at block table[i]."""
    cache = KVCache.__new__(KVCache)
    dim = inputs.query.shape[3]
    cache.layers, cache.slot_len = [inputs.cache], inputs.block_len
    shaped = inputs.cache.nan_to_num(0.0).view(inputs.table.numel(), inputs.block_len, 2, -1, dim)
    cache._whole, cache._neighbours = [tuple(shaped.permute(2, 0, 3, 1, 4))], {}
    return cache


def engine_attention(inputs, tree: bool) -> torch.Tensor:
    """The valid rows in the order of their slots, through the engine's planner and its attention."""
    spans, rows = [], []
    for slot, sequence in sorted((int(block), i) for i, block in enumerate(inputs.table[:, 0])):
        length, root = int(inputs.lengths[sequence]), int(inputs.prefix[sequence]) - 1
        nodes = tuple(int(mask) % 2**64 for mask in inputs.masks[sequence, :length]) if tree else ()
        spans.append(Span(slot, root, length, Nodes(root, nodes) if tree else None))
        rows.append(inputs.query[sequence, :length].flatten(1))
    planner = Planner(inputs.block_len, [inputs.window], inputs.query.dtype, DEVICE)
    groups = planner.groups(spans, [])
    return attend(torch.cat(rows), engine_cache(inputs), 0, groups, inputs.window, inputs.query.shape[3])


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
@pytest.mark.parametrize("window", [None, 3, 20])
@pytest.mark.parametrize(("q_len", "prefix"), [(1, [5, 31, 9]), (8, [16, 1, 40]), (64, [7, 3])])
def test_reference_is_the_engine_s_attention(q_len, prefix, window, tree):
    inputs = case(q_len, prefix, heads=(6, 3), dim=32, tree=tree, window=window)
    out = reference.attend(*inputs)
    order = inputs.table[:, 0].argsort().tolist()
    valid = torch.cat([out[sequence, : inputs.lengths[sequence]].flatten(1) for sequence in order])
    assert_same(valid, engine_attention(inputs, tree))


@pytest.mark.parametrize("tree", [False, True], ids=["chain", "tree"])
def test_operator_passes_torch_s_own_checks(tree):
    inputs = case(3, [5, 9], dim=32, tree=tree)
    clean = inputs._replace(query=inputs.query.nan_to_num(0.0), cache=inputs.cache.nan_to_num(0.0))
    torch.library.opcheck(tree_attention, tuple(clean))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"block_len": 12, "table": torch.zeros(1, 2, dtype=torch.int32)}, "power of two"),
        ({"masks": torch.zeros(1, 3, dtype=torch.int32)}, "int64"),
        ({"query": torch.zeros(1, 3, 5, 64)}, "5 heads of 64"),
        ({"query": torch.zeros(1, 3, 4, 64, dtype=torch.float16)}, "one dtype"),
        ({"masks": torch.zeros(1, 3, 3, dtype=torch.int64)}, "one or two words"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        tree_attention(*case(3, [5], tree=True)._replace(**change))
