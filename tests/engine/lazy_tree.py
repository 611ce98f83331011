"""One step of a draft tree as a procedure for `laws.courses`: tokens are drawn when a rule first looks at them.

A rule looks at the children of the nodes it accepts and at nothing else; drawing only those leaves the law as it is and
makes the enumeration small.
"""

import torch

from engine.drafting.children import drawn_from
from engine.tree import flat
from engine.verify_tree import descend, reject_tree
from tests.engine.laws import Coin


class Rows:
    """Something that a rule indexes."""

    def __init__(self, row):
        self.row = row

    def __getitem__(self, index):
        return self.row(index)


class LazyTree:
    def __init__(self, tree, p, q, choose, draw):
        """draw(q [V], choose) -> the token of a child whose earlier siblings are no more in q."""
        self.parents, self.laws, self.q_laws, self.choose, self.draw = tree.parents, p, q, choose, draw
        self.drawn, self.chosen = {}, {}
        self.tokens, self.choices = Rows(self.token), Rows(self.choice)
        self.q, self.p = Rows(self.given), Rows(lambda row: p[self.prefix(row - 1)])
        self.coins = [Coin(choose) for _ in self.parents]

    def prefix(self, node):
        return tuple(self.token(above) for above in flat.path(self.parents, node))

    def before(self, node):
        """The tokens of the siblings before a node."""
        parent = self.parents[node]
        return [self.token(sibling) for sibling in range(node) if self.parents[sibling] == parent]

    def given(self, node):
        """What the engine keeps of q for a node."""
        tokens = torch.tensor([[*self.before(node), 0]])
        return drawn_from(self.q_laws[self.prefix(self.parents[node])].log()[None], tokens)[0, -1]

    def token(self, node):
        if node not in self.drawn:
            left = self.q_laws[self.prefix(self.parents[node])].clone()
            left[self.before(node)] = 0
            self.drawn[node] = self.draw(left, self.choose)
        return self.drawn[node]

    def choice(self, row):
        if row not in self.chosen:
            self.chosen[row] = self.choose(self.laws[self.prefix(row - 1)].tolist())
        return self.chosen[row]


def sampled_child(q, choose):
    return choose((q / q.sum()).tolist()) if q.sum() > 0 else 0  # not drawn: any token


def likeliest_child(q, choose):
    return int(q.argmax())


def rejection(tree, p, q, draw=sampled_child, one_coin=False):
    """one_coin: all nodes are decided by one and the same uniform number."""

    def step(choose):
        lazy = LazyTree(tree, p, q, choose, draw)
        if one_coin:
            lazy.coins = lazy.coins[:1] * len(lazy.coins)
        path, rest = reject_tree(lazy.tokens, lazy.parents, lazy.q, lazy.p, lazy.coins)
        return [*(lazy.token(node) for node in path), choose((rest / rest.sum()).tolist())]

    return step


def descent(tree, p, q, draw=likeliest_child):
    def step(choose):
        lazy = LazyTree(tree, p, q, choose, draw)
        path = descend(lazy.tokens, lazy.parents, lazy.choices)
        return [*(lazy.token(node) for node in path), lazy.choice(1 + path[-1] if path else 0)]

    return step
