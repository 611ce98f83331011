"""Trees and schedules searched as structure: whatever is drawn is legal, and every point is drawn in one way."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from autotune.dimension import Dimension
from autotune.errors import UsageError
from autotune.schedule_dimension import ScheduleDimension, parse_schedule
from autotune.space import Space
from autotune.tree_dimension import TreeDimension, parse_tree
from engine.control.schedule import parse as parse_ranges
from engine.tree.token_tree import TokenTree

TREE, TOKENS, SCHEDULE = (
    f"method.{key}"
    for key in ("speculative_token_tree", "num_speculative_tokens", "num_speculative_tokens_per_batch_size")
)
LENGTH = Dimension(TOKENS, "int", 1, 8)


def tree_space(depth: int = 4, width: int = 4, nodes: int = 16, chain: Dimension | None = LENGTH) -> Space:
    return Space((TreeDimension(TREE, TOKENS, depth, width, nodes, chain),), {TREE: None, TOKENS: 4})


@pytest.mark.parametrize(("depth", "width", "nodes"), [(4, 4, 16), (1, 2, 2), (3, 8, 64), (6, 3, 12), (2, 5, 7)])
def test_whatever_is_drawn_is_a_tree_within_its_limits(depth: int, width: int, nodes: int) -> None:
    space, rng = tree_space(depth, width, nodes), random.Random(0)
    for _ in range(300):
        parameters = space.draw(lambda dimension: rng.choice(dimension.values()))
        if parameters[TREE] is None:
            assert 1 <= parameters[TOKENS] <= 8
            continue
        tree = TokenTree.parse(parameters[TREE], parameters[TOKENS])
        children = [max((1 + n[-1] for n in tree.nodes if len(n) == d + 1), default=1) for d in range(tree.depth)]
        assert len(tree) <= nodes
        assert tree.depth == parameters[TOKENS] <= depth
        assert max(children) == children[0] <= width
        assert all(a >= b for a, b in pairwise(children))
        assert not tree.is_chain


def test_a_length_is_drawn_for_chains_only() -> None:
    asked: list[str] = []

    def suggest(dimension: Dimension) -> int:
        asked.append(dimension.coordinate)
        return dimension.values()[-1]

    tree_space().draw(suggest)
    assert asked == [f"{TREE}.depth", *(f"{TREE}.width_{depth}" for depth in range(1, 5))]


@pytest.mark.parametrize("chain", [LENGTH, None])
def test_the_grid_has_every_tree_once_and_the_way_back_leads_to_it(chain: Dimension | None) -> None:
    space = tree_space(chain=chain)
    grid = space.grid()
    found = [tuple(space.parameters(point).values()) for point in grid]
    assert len(grid) == space.size == len(set(found)) == (8 if chain else 1) + 21
    for point in grid:
        assert space.coordinates(space.parameters(point)) == point
        assert space.has(point)
    assert not space.has({**grid[0], f"{TREE}.width_1": 2})


def test_a_study_begins_with_the_chain_and_a_tree_wide_enough_to_measure_with() -> None:
    first, second = map(tree_space().parameters, tree_space().starts())
    assert first == {TREE: None, TOKENS: 4}
    tree = TokenTree.parse(second[TREE], second[TOKENS])
    assert max(tree.ranks) >= 2
    assert len(tree) > 12


def test_chains_are_simplest_then_shallow_trees_then_small_ones() -> None:
    space = tree_space()
    values = [space.parameters(point) for point in space.grid()]
    ordered = sorted(values, key=space.simplicity)
    assert [v[TOKENS] for v in ordered if v[TREE] is None] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(v[TREE] is None for v in ordered[:8])
    sizes = [(v[TOKENS], len(TokenTree.parse(v[TREE], 9))) for v in ordered[8:]]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ({"max_nodes": 4, "max_depth": 3}, "needs 6"),
        ({"max_nodes": 65}, "more than 64"),
        ({"max_width": 1}, "at least 2 children"),
        ({"max_dept": 3}, "did you mean 'max_depth'"),
        ({"max_depth": "3"}, "whole number"),
        (3, "it must be like"),
    ],
)
def test_wrong_limits_are_refused(limits: object, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_tree(TREE, {"tree": limits}, TOKENS, None, "")


def schedule_space(low: int = 0, high: int = 4) -> Space:
    dimension = ScheduleDimension(SCHEDULE, TOKENS, (1, 2, 4), 8, low, high)
    return Space((dimension,), {SCHEDULE: None, TOKENS: 3})


@pytest.mark.parametrize("low", [0, 1])
def test_schedules_never_rise_and_are_drawn_in_one_way(low: int) -> None:
    space, rng = schedule_space(low), random.Random(0)
    for _ in range(200):
        parameters = space.draw(lambda dimension: rng.choice(dimension.values()))
        if parameters[SCHEDULE] is not None:
            counts = [tokens for _, _, tokens in parse_ranges(parameters[SCHEDULE])]
            assert counts == sorted(counts, reverse=True)
            assert counts[0] == parameters[TOKENS] > 0
            assert parameters[SCHEDULE][-1][:2] == [4, 8]
    points = space.grid()
    assert len(points) == space.size
    assert all(space.coordinates(space.parameters(point)) == point for point in points)
    assert space.parameters(space.starts()[0]) == {SCHEDULE: None, TOKENS: 3}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"from": [2, 4], "tokens": [0, 4]}, "rise from 1"),
        ({"from": [1, 16], "tokens": [0, 4]}, "max_num_seqs=8"),
        ({"from": [1, 4], "tokens": [4, 0]}, "low <= high"),
        ({"from": [1, 4]}, "it must be like"),
    ],
)
def test_wrong_schedules_are_refused(given: dict, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_schedule(SCHEDULE, {"schedule": given}, TOKENS, 8, "")
