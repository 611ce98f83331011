"""Token trees as vLLM 0.12 writes them, checked for what it does not check."""

import pytest

from engine.errors import ConfigError
from engine.tree.literal import parse_token_tree


def test_nodes_come_in_breadth_first_order():
    assert parse_token_tree("[(0, 0), (1,), (0,), (0, 1)]", 2) == ((0,), (1,), (0, 0), (0, 1))
    assert parse_token_tree("((0,), (0, 0), (0, 0, 0))", 3) == ((0,), (0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[(0,), (1,)", "is no literal: a list of tuples"),
        ("__import__('os')", "is no literal"),
        ("[]", r"is \[\]: a list of tuples"),
        ("3", "is 3: a list of tuples"),
        ("[(0,), ()]", r"the node \(\): a node is a tuple of one or more ranks"),
        ("[0, 1]", "the node 0"),
        ("[(0,), (-1,)]", r"the node \(-1,\)"),
        ("[(True,)]", r"the node \(True,\)"),
        ("[(0,), (0,)]", r"names \(0,\) twice"),
        ("[(0,), (1, 0)]", r"has \(1, 0\) without its parent: \(1,\) must be in it too"),
        ("[(0,), (2,)]", r"has \(2,\) but not \(1,\): siblings are ranked"),
        ("[(0,), (0, 0), (0, 0, 0)]", r"is deeper at \(0, 0, 0\): at most num_speculative_tokens=2"),
        (str([(i,) for i in range(65)]), "has 65 nodes: at most 64"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ConfigError, match=f"speculative_token_tree .*{message}"):
        parse_token_tree(text, 2)
