"""The preallocated key-value cache: one fixed slot of `max_model_len` positions for every running sequence."""

import heapq
from collections.abc import Sequence

import psutil
import torch
from torch import Tensor

from engine.errors import EngineError, OutOfMemoryError
from engine.models.config import DecoderConfig
from engine.models.slot_memory import SlotMemory, can_release
from engine.tree.literal import MAX_NODES


class KVCache:
    """Keys and values of all layers, allocated once.

    layers[i] is [slots * slot_len, 2 * kv_heads * D]: keys then values of a row, so that a step writes both with one
    copy. A row is a position, but for the nodes of a draft tree: they follow their root in the tree's order, and a slot
    has `spare` rows for a whole tree beyond max_model_len. A rejected draft needs no clean-up: its rows lie beyond the
    sequence's length and are overwritten.
    """

    def __init__(
        self,
        config: DecoderConfig,
        num_slots: int,
        max_model_len: int,
        dtype: torch.dtype,
        device: torch.device,
        spare: int = MAX_NODES,
        budget: int | None = None,
        reserve: int = 0,
    ):
        self.num_slots = num_slots
        self.max_model_len = max_model_len
        self.slot_len = max_model_len + spare
        self._heads = config.num_kv_heads
        self._head_dim = config.head_dim
        width = 2 * config.num_kv_heads * config.head_dim
        self.is_paged = budget is not None and can_release(device)
        rows = num_slots * self.slot_len
        self.num_positions = min(budget, rows) if budget is not None and self.is_paged else rows
        self.num_bytes = config.num_layers * self.num_positions * width * dtype.itemsize
        self._refuse_if_larger_than(_free_bytes(device) - reserve)  # reserve: bytes that others will need
        sizes = (num_slots, self.slot_len, width, dtype)
        self._pages = [SlotMemory(*sizes) for _ in range(config.num_layers)] if self.is_paged else []
        self.layers = [pages.tensor for pages in self._pages] or [
            torch.zeros((rows, width), dtype=dtype, device=device) for _ in range(config.num_layers)
        ]
        whole = [layer.view(num_slots, self.slot_len, 2, self._heads, self._head_dim) for layer in self.layers]
        self._whole = [tuple(both.permute(2, 0, 3, 1, 4)) for both in whole]
        self._neighbours: dict[tuple[int, int], list[tuple[Tensor, ...]]] = {}
        self._free = list(range(num_slots))

    def _refuse_if_larger_than(self, free: int) -> None:
        if self.num_bytes > free:
            need, have = self.num_bytes / 2**30, free / 2**30
            raise OutOfMemoryError(
                f"a cache of {self.num_positions} positions takes {need:.2f} GiB and {have:.2f} GiB are free: lower "
                "max_num_seqs or max_model_len, or on a CPU give kv_cache_tokens"
            )

    def view(self, layer: int, first_slot: int, num_slots: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values [num_slots, kv_heads, length, D] of neighbouring slots, without a copy."""
        slots = self._neighbours.get((first_slot, num_slots))
        if slots is None:  # made once: a step asks for them in every layer
            last = first_slot + num_slots
            slots = [(keys[first_slot:last], values[first_slot:last]) for keys, values in self._whole]
            self._neighbours[first_slot, num_slots] = slots
        keys, values = slots[layer]
        return keys.narrow(2, 0, length), values.narrow(2, 0, length)

    def compact(self, moves: Sequence[tuple[int, int, Sequence[int]]]) -> None:
        """(slot, start, nodes) of trees: the rows of these nodes, ascending, become the rows start, start + 1, ...

        Node i is in row start + i. Nodes 0, 1, ... stay where they are. Rotated keys need no change: a node's position
        is that of the row it goes to.
        """
        source: list[int] = []
        goal: list[int] = []
        for slot, start, nodes in moves:
            first = slot * self.slot_len + start
            for place, node in enumerate(nodes):
                if node != place:
                    source.append(first + node)
                    goal.append(first + place)
        if not source:
            return
        index = torch.tensor([source, goal], device=self.layers[0].device)
        for layer in self.layers:
            layer.index_copy_(0, index[1], layer.index_select(0, index[0]))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take_slot(self) -> int:
        """The lowest free slot: running sequences stay close together, so a batch is one view."""
        return heapq.heappop(self._free)

    def give_back(self, slot: int) -> None:
        heapq.heappush(self._free, slot)
        self.release(slot)

    def release(self, slot: int) -> None:
        """Let go of what is cached in a slot; its memory too where positions are shared (`budget`) and it is paged."""
        for pages in self._pages:
            pages.release(slot)

    def release_all(self) -> None:
        """The same for every slot; only while none is in use."""
        for slot in range(self.num_slots if self.is_paged else 0):
            self.release(slot)

    def check_integrity(self, slots_in_use: list[int]) -> None:
        """Every slot is either free or used once."""
        if sorted(self._free + slots_in_use) != list(range(self.num_slots)):
            raise EngineError(f"cache slots leaked: free {sorted(self._free)}, in use {sorted(slots_in_use)}")


def _free_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
