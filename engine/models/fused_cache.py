"""The cache whose trees are compacted in one launch for all layers."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from engine.models.kv_cache import KVCache
from engine.models.step_tensors import padded, to_device
from kernels.compact_kv.op import addresses, compact_kv


class FusedKVCache(KVCache):
    """See KVCache."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._addresses = addresses(self.layers)

    def compact(self, moves: Sequence[tuple[int, int, Sequence[int]]]) -> None:
        """See KVCache.compact."""
        moved = [
            (slot * self.slot_len + start, nodes)
            for slot, start, nodes in moves
            if any(node != place for place, node in enumerate(nodes))
        ]
        if not moved:
            return
        width = max(len(nodes) for _, nodes in moved)
        lists = {
            "source": padded(([first + node for node in nodes] for first, nodes in moved), width),
            "goal": padded((range(first, first + len(nodes)) for first, nodes in moved), width),
            "counts": [len(nodes) for _, nodes in moved],
        }
        found = to_device(lists, self.layers[0].device)
        source, goal = found["source"].view(-1, width), found["goal"].view(-1, width)
        self.move(source, goal, found["counts"])

    def move(self, source: Tensor, goal: Tensor, counts: Tensor) -> None:
        """Of sequence b the rows source[b, :counts[b]] become the rows goal[b, :counts[b]], in all layers."""
        compact_kv(self.layers, self._addresses, source, goal, counts)
