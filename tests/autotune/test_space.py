"""What may be searched, and the way from what is drawn to a configuration."""

from __future__ import annotations

import pytest

from autotune.dimension import Dimension
from autotune.errors import UsageError
from autotune.search_block import parse
from autotune.space import Space

WINDOW = Space(
    (Dimension("method.low", "int", 1, 4), Dimension("method.high", "int", 0, 4, plus="method.low")),
    {"method.low": 2, "method.high": 5},
)


def test_a_difference_keeps_two_keys_in_order() -> None:
    points = [WINDOW.parameters(point) for point in WINDOW.grid()]
    assert len(points) == WINDOW.size == 20
    assert all(point["method.low"] <= point["method.high"] for point in points)
    assert WINDOW.parameters(WINDOW.starts()[0]) == WINDOW.defaults


def test_a_value_outside_its_range_is_refused_with_the_way_out() -> None:
    space = Space(WINDOW.dimensions, {"method.low": 3, "method.high": 2})
    with pytest.raises(UsageError, match=r"method.high is 2, outside what is searched .* method.search.high=null"):
        space.starts()[0]


def test_smaller_is_simpler_in_the_order_of_the_block() -> None:
    assert WINDOW.simplicity({"method.low": 1, "method.high": 9}) < WINDOW.simplicity(
        {"method.low": 2, "method.high": 3}
    )


def test_steps_of_a_float_are_plain_numbers() -> None:
    space = Space((Dimension("method.p", "float", 0.0, 0.6, step=0.05),), {"method.p": 0.1})
    assert [space.parameters(point)["method.p"] for point in space.grid()][7] == 0.35


def test_an_empty_space_has_one_point() -> None:
    assert Space((), {}).size == 1
    assert Space((), {}).parameters(Space((), {}).starts()[0]) == {}


@pytest.mark.parametrize(
    ("block", "size"),
    [
        ({"int": [1, 8]}, 8),
        ({"int": [0, 8], "step": 2}, 5),
        ({"float": [0, 1]}, None),
        ({"float": [0, 1], "step": 0.1}, 11),
        ({"categorical": ["a", None, True]}, 3),
        ({"int": [1, 64], "log": True}, 64),
    ],
)
def test_sizes(block: dict, size: int | None) -> None:
    dimension = parse("method.x", block)
    assert dimension.size == size
    assert size is None or len(dimension.values()) == size
    assert size is None or all(dimension.contains(value) for value in dimension.values())


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (3, "it must be like"),
        ({"integer": [1, 2]}, "it must be like"),
        ({"int": [1, 2], "float": [1, 2]}, "both int and float"),
        ({"int": [1, 2], "lgo": True}, "did you mean 'log'"),
        ({"int": [1]}, "two numbers"),
        ({"int": "12"}, "two numbers"),
        ({"int": [1.5, 2]}, "whole number"),
        ({"int": [3, 2]}, "must not exceed"),
        ({"int": [0, 8], "log": True}, "low > 0"),
        ({"int": [1, 8], "step": 0}, "above 0"),
        ({"int": [1, 8], "step": 0.5}, "whole number"),
        ({"int": [1, 8], "plus": 3}, "name of another key"),
        ({"categorical": []}, "at least one"),
        ({"categorical": "ab"}, "a list"),
        ({"categorical": [1], "log": True}, "belong to int and float"),
        ({"categorical": [{"a": 1}]}, "must be a number, a text"),
    ],
)
def test_wrong_blocks_are_refused(block: object, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse("method.x", block)
