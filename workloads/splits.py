"""Which split a string belongs to, by a hash that is the same on every machine and Python version."""

from __future__ import annotations

import hashlib

from workloads.request import SPLITS, Split

SHARES: dict[Split, int] = {"train": 70, "search": 10, "confirm": 10, "eval": 10}  # per cent of every pool


def stable_hash(text: str) -> int:
    """A 64-bit hash of the text; Python's own `hash` changes from process to process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def split_of(text: str) -> Split:
    """The one split that may use this name, number or file."""
    point = stable_hash(text) % 100
    for split in SPLITS:
        point -= SHARES[split]
        if point < 0:
            return split
    raise AssertionError("the shares do not add up to 100")
