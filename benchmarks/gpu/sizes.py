"""How large everything is that the second half measures; tests have a smaller one."""

from typing import NamedTuple


class Sizes(NamedTuple):
    """`prompt`, `short` and `long` are tokens of the requests whose speed is measured, `short` and `long` answers."""

    copied: int = 2**30  # bytes
    product: int = 8192  # rows and columns
    batches: tuple[int, ...] = (1, 4, 16, 64)
    q_lens: tuple[int, ...] = (1, 4, 8, 16, 64)
    drafts: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    synthetic: tuple[int, ...] = (2, 4, 7)
    context: int = 1024
    max_model_len: int = 2048
    prompt: int = 448
    short: int = 8
    long: int = 136
    rounds: int = 3  # of answers; steps, which are shorter, have more
    steps: int = 40  # looked at by the profiler

    @property
    def middle(self) -> int:
        """The context in the middle of a timed answer."""
        return self.prompt + (self.short + self.long) // 2


FULL = Sizes()
