"""The memory behind a cache's slots: a plain tensor, or pages of a CPU that are given back slot by slot."""

import mmap
from contextlib import suppress

import torch
from torch import Tensor

from engine.errors import OutOfMemoryError


class SlotMemory:
    """Zeros [num_slots * slot_len, width]. Address space is reserved for all; a page takes memory once written."""

    def __init__(self, num_slots: int, slot_len: int, width: int, dtype: torch.dtype):
        self._slot_bytes = slot_len * width * dtype.itemsize
        self._pages = _reserve(num_slots * self._slot_bytes)
        self.tensor: Tensor = torch.frombuffer(self._pages, dtype=dtype).view(num_slots * slot_len, width)

    def release(self, slot: int) -> None:
        """Give the pages of a slot back to the system: they read as zeros. Pages shared with a neighbour stay."""
        start, end = slot * self._slot_bytes, (slot + 1) * self._slot_bytes
        start = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = end // mmap.PAGESIZE * mmap.PAGESIZE - start
        if length > 0:
            self._pages.madvise(mmap.MADV_DONTNEED, start, length)


def can_release(device: torch.device) -> bool:
    """Whether slots on this device can give their memory back."""
    return device.type == "cpu" and hasattr(mmap, "MADV_DONTNEED") and hasattr(mmap, "MAP_ANONYMOUS")


def _reserve(num_bytes: int) -> mmap.mmap:
    """Private pages, since shared ones would outlive being given back; small ones, so that little is held in part."""
    try:
        pages = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise OutOfMemoryError(f"the system refuses {num_bytes / 2**30:.2f} GiB for the cache: {error}") from error
    with suppress(AttributeError, OSError):  # a system without huge pages needs no advice
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return pages
