"""Which fixed shapes there are: batches in buckets, as many rows a sequence as the deepest draft has."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

SMALL = (1, 2, 4)
STRIDE = 8  # of larger batches
EXACT = 16  # nodes up to which every number has a shape of its own


class Size(NamedTuple):
    """batch sequences of 1 + nodes rows, drafts of at most `depth` levels; words of masks, 0 where all are chains."""

    batch: int
    nodes: int
    depth: int
    words: int

    @property
    def q_len(self) -> int:
        return 1 + self.nodes

    @property
    def num_rows(self) -> int:
        return self.batch * self.q_len


def batch_buckets(max_num_seqs: int) -> list[int]:
    """1, 2, 4, 8, 16, 24, ... and the most that can run."""
    whole = [*SMALL, *range(STRIDE, max_num_seqs, STRIDE)]
    return [size for size in whole if size < max_num_seqs] + [max_num_seqs]


def bucket(count: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `count`."""
    return buckets[bisect_left(buckets, count)]


def node_bucket(count: int) -> int:
    """Drafts that come from the host have any number of nodes: exact up to 16, then in steps of 8."""
    return count if count <= EXACT else -(-count // STRIDE) * STRIDE
