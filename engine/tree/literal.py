"""`speculative_token_tree`: a Python literal of tuples, each the child ranks on the way from the root to a node.

(0,) is the likeliest first token, (0, 1) the second likeliest after it. vLLM sorts such a tree and checks nothing
else; here a node needs its parent, siblings are ranked without gaps, and the depth fits num_speculative_tokens.
"""

import ast

from engine.errors import ConfigError

MAX_NODES = 64  # drafted nodes; the root is not one of them. A node's ancestors are then one 64-bit mask
Node = tuple[int, ...]  # child ranks on the way from the root


def parse_token_tree(text: str, num_speculative_tokens: int) -> tuple[Node, ...]:
    """The nodes in breadth-first order: by length, then by ranks."""
    nodes = _literal(text)
    if len(set(nodes)) != len(nodes):
        twice = next(node for node in nodes if nodes.count(node) > 1)
        raise _wrong(f"names {twice} twice", "every node once")
    if len(nodes) > MAX_NODES:
        raise _wrong(f"has {len(nodes)} nodes", f"at most {MAX_NODES}")
    for node in sorted(nodes, key=_order):
        if len(node) > num_speculative_tokens:
            raise _wrong(
                f"is deeper at {node}", f"at most num_speculative_tokens={num_speculative_tokens} ranks a node"
            )
        if len(node) > 1 and node[:-1] not in nodes:
            raise _wrong(f"has {node} without its parent", f"{node[:-1]} must be in it too")
        if node[-1] and (*node[:-1], node[-1] - 1) not in nodes:
            raise _wrong(f"has {node} but not {(*node[:-1], node[-1] - 1)}", "siblings are ranked 0, 1, 2, ...")
    return tuple(sorted(nodes, key=_order))


def _order(node: Node) -> tuple[int, Node]:
    return len(node), node


def _literal(text: str) -> list[Node]:
    example = "a list of tuples such as [(0,), (1,), (0, 0)]"
    try:
        nodes = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise _wrong(f"{text!r} is no literal", example) from None
    if not isinstance(nodes, list | tuple) or not nodes:
        raise _wrong(f"is {nodes!r}", example)
    for node in nodes:
        whole = isinstance(node, tuple) and all(isinstance(rank, int) and not isinstance(rank, bool) for rank in node)
        if not whole or not node or min(node) < 0:
            raise _wrong(f"has the node {node!r}", "a node is a tuple of one or more ranks of 0 or above")
    return list(nodes)


def _wrong(what: str, allowed: str) -> ConfigError:
    return ConfigError(f"speculative_token_tree {what}: {allowed}")
