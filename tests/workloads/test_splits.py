"""Names, numbers and files of one split do not occur in another."""

import pytest

from workloads import stdlib
from workloads.draw import Draw
from workloads.request import SPLITS
from workloads.splits import SHARES, split_of, stable_hash


def test_the_hash_never_changes():
    assert stable_hash("a name") == 7540827019044143697


def test_shares_are_per_cent():
    assert sum(SHARES.values()) == 100
    owned = [split_of(f"name {index}") for index in range(2000)]
    assert all(abs(owned.count(split) / 20 - SHARES[split]) < 4 for split in SPLITS)


@pytest.mark.parametrize("kind", ["first_name", "place", "brand", "year"])
def test_pools_are_disjoint(kind):
    pools = []
    for split in SPLITS:
        draw = Draw(split, "pools")
        pools.append({getattr(draw, kind)() for _ in range(150)})
    assert len(set.union(*pools)) == sum(map(len, pools))


def test_files_are_disjoint_and_functions_are_whole():
    found = {split: {function.file for function in stdlib.functions(split)} for split in ("search", "confirm", "eval")}
    assert not found["search"] & found["confirm"]
    assert not found["search"] & found["eval"]
    assert not found["confirm"] & found["eval"]
    for function in stdlib.functions("search"):
        compile("\n".join(function.lines), "function", "exec", dont_inherit=True)
        assert 1 <= function.head <= len(function.lines) - 2
