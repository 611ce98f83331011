"""The order of a suffix tree's children against a plain list that is searched from the beginning at every change."""

import random

import pytest

from engine.siblings import Sibling, Siblings


class Child(Sibling):
    def __init__(self, name, count=1):
        self.name, self.count = name, count


class Plain:
    """The definition: [name, count] in order."""

    def __init__(self):
        self.rows = []

    def index(self, name):
        return next(i for i, row in enumerate(self.rows) if row[0] == name)

    def first(self, count):
        """Where the group of `count` begins, or would."""
        return next((i for i, row in enumerate(self.rows) if row[1] <= count), len(self.rows))

    def rise(self, name):
        place = self.index(name)
        _, count = self.rows[place]
        led = place == self.first(count)
        self.rows.pop(place)
        # first of the new count if it led the old one, else last
        self.rows.insert(self.first(count + 1 if led else count), [name, count + 1])

    def fall(self, name):
        _, count = self.rows.pop(self.index(name))
        self.rows.insert(self.first(count - 1), [name, count - 1])


def names_and_counts(order):
    found, child, before = [], order.first, None
    while child is not None:
        assert child.before is before
        found.append([child.name, child.count])
        child, before = child.after, child
    assert order.last is before
    leaders = {}
    for name, count in found:
        leaders.setdefault(count, name)
    assert {count: child.name for count, child in order.leaders.items()} == leaders
    return found


@pytest.mark.parametrize("seed", range(8))
def test_every_change_keeps_the_order_of_the_definition(seed):
    rng, plain = random.Random(seed), Plain()
    children = {0: Child(0)}
    order = Siblings(children[0])
    plain.rows.append([0, 1])
    for number in range(1, 400):
        name = rng.choice(list(children))
        what = rng.choice(["append", "rise", "rise", "rise", "fall", "remove", "replace"])
        child = children[name]
        if what == "append":
            children[number] = Child(number)
            order.append(children[number])
            plain.rows.append([number, 1])
        elif what == "rise":
            order.rise(child)
            plain.rise(name)
        elif what == "fall" and child.count > 1:
            order.fall(child)
            plain.fall(name)
        elif what == "remove" and len(children) > 1:
            order.remove(children.pop(name))
            plain.rows.pop(plain.index(name))
        elif what == "replace":
            children[number] = Child(number, child.count)
            order.replace(children.pop(name), children[number])
            plain.rows[plain.index(name)][0] = number
        assert names_and_counts(order) == plain.rows
