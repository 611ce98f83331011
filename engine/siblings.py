"""The children of a suffix tree's node, most frequent first, in the order that decides between equally frequent ones.

Every change costs a constant, however many children there are. The order among equals (that of ArcticInference 0.1.1,
so that drafts are the same): a new child comes last; one that is seen again comes last among those of its new count,
but first if it was the first of its old one; one whose count drops comes first among those of its new count.
"""

from typing import Any, Generic, TypeVar


class Sibling:
    """What a child must be: its count, and its neighbours in the order, which are children too."""

    __slots__ = ("after", "before", "count")
    count: int
    before: Any
    after: Any


C = TypeVar("C", bound=Sibling)


class Siblings(Generic[C]):
    """A linked list with, for every count, the first child that has it."""

    __slots__ = ("first", "last", "leaders")

    def __init__(self, only: C) -> None:
        only.before = only.after = None
        self.first: C | None = only
        self.last: C | None = only
        self.leaders = {only.count: only}

    def append(self, child: C) -> None:
        """A new child; its count is the lowest there can be, one."""
        self._link(child, None)
        self.leaders.setdefault(child.count, child)

    def replace(self, old: C, new: C) -> None:
        """`new` takes the place of `old`, with the same count."""
        after = old.after
        self._unlink(old)
        self._link(new, after)
        if self.leaders[old.count] is old:
            self.leaders[old.count] = new

    def remove(self, child: C) -> None:
        self._leave(child)
        self._unlink(child)

    def rise(self, child: C) -> None:
        """Count `child` once more."""
        count, led = child.count, self._leave(child)
        child.count = count + 1
        above = self.leaders.get(count + 1)
        if led:
            if above is not None:
                self._move(child, above)
            self.leaders[count + 1] = child
        else:
            self._move(child, self.leaders[count])
            if above is None:
                self.leaders[count + 1] = child

    def fall(self, child: C) -> None:
        """Count `child` once less; at least one is left."""
        count, following = child.count, child.after
        self._leave(child)
        child.count = count - 1
        if following is not None and following.count == count:
            below = self.leaders.get(count - 1) or self._first_below(following)
            self._move(child, below)
        self.leaders[count - 1] = child

    def _leave(self, child: C) -> bool:
        """Take `child` out of its count's group; whether it was the first of it."""
        count = child.count
        if self.leaders[count] is not child:
            return False
        if child.after is not None and child.after.count == count:
            self.leaders[count] = child.after
        else:
            del self.leaders[count]
        return True

    @staticmethod
    def _first_below(child: C) -> C | None:
        """The first child after `child` that has a lower count."""
        count, other = child.count, child.after
        while other is not None and other.count == count:
            other = other.after
        return other

    def _move(self, child: C, target: C | None) -> None:
        """To the place before `target`; to the end for None."""
        if child is not target:
            self._unlink(child)
            self._link(child, target)

    def _unlink(self, child: C) -> None:
        if child.before is None:
            self.first = child.after
        else:
            child.before.after = child.after
        if child.after is None:
            self.last = child.before
        else:
            child.after.before = child.before

    def _link(self, child: C, target: C | None) -> None:
        child.after = target
        child.before = self.last if target is None else target.before
        if child.before is None:
            self.first = child
        else:
            child.before.after = child
        if target is None:
            self.last = child
        else:
            target.before = child
