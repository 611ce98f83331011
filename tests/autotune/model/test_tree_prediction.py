"""Trees from acceptance by depth and rank."""

from __future__ import annotations

import pytest

from autotune.model.evidence import Evidence
from autotune.model.point import point
from autotune.model.trees import chain, table

NODES = ((0,), (1,), (0, 0), (0, 1))


def evidence(**counts: tuple[int, ...]) -> Evidence:
    return Evidence(100, 60, 60, 240, (60, 60), (45, 20), 0.0, 0.0, (), **counts)


def test_a_tree_foretells_its_own_count_and_its_parts() -> None:
    found = table([evidence(tried_nodes=(100, 100, 60, 60), accepted_nodes=(60, 20, 30, 6))], NODES)
    assert found is not None
    assert found.expected(NODES) == (pytest.approx((60 + 20 + 30 + 6) / 100), 0)
    assert found.expected(chain(2)) == (pytest.approx(0.6 + 0.3), 0)


def test_what_was_never_drafted_is_said_to_be_guessed() -> None:
    found = table([evidence()], None)
    assert found is not None
    total, guessed = found.expected(((0,), (1,)))
    assert total == pytest.approx(0.75 + guessed)
    assert 0 < guessed <= 0.25


def test_points_have_the_shape_that_the_engine_drafts() -> None:
    tree = point({}, {"method": "m", "speculative_token_tree": "[(0,), (1,), (0, 0)]", "num_speculative_tokens": 2})
    assert tree is not None
    assert (tree.shape.size, tree.shape.depth) == (3, 2)
    assert point({}, None) is None
    grown = point({}, {"method": "m", "num_speculative_tokens": 4, "dynamic_tree_num_draft_tokens": 16})
    assert grown is not None
    assert (grown.shape.size, grown.shape.depth) == (16, 4)
    flat = point({}, {"method": "m", "num_speculative_tokens": 1, "dynamic_tree_topk": 4})
    assert flat is not None
    assert (flat.shape.size, flat.shape.depth) == (4, 1)
