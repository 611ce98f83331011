"""Progress on the terminal. Drawn only when told to, which is between measured windows, and never by a clock."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from autotune.console import words
from autotune.trial import Trial

BAR = 24
PERIOD = 0.2


class Display:
    """Finished trials stay as lines; on a terminal a status line below them shows where the run is.

    The time left is counted in trials: those ahead when a stretch began, less the part of it that is done.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._drawn = 0.0
        self._total, self._ahead, self._weight = 0, 0.0, 1.0
        self._seconds: list[float] = []
        self._best: Trial | None = None
        self._label = ""

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=not self.console.is_terminal)

    def phase(self, text: str) -> None:
        """What is going on now, where no steps are counted."""
        if self._live is None:
            self.say(text)
        else:
            self._draw(text, force=True)

    def plan(self, total: int, best: Trial | None) -> None:
        """How many trials there will be, and the best of those that an interrupted run left."""
        self._total, self._best = total, best

    def stretch(self, label: str, ahead: float, weight: float = 1.0) -> None:
        """A trial or a confirmation begins: the trials' worth of work from here to the end, and in this stretch."""
        self._label, self._ahead, self._weight = label, ahead, weight

    def step(self, done: int, planned: int) -> None:
        """Progress inside a trial or the confirmation."""
        share = done / max(1, planned)
        filled = round(BAR * share)
        bar = "█" * filled + "░" * (BAR - filled)
        self._draw(f"{self._label}  {bar}  {done}/{planned}{self._best_words()}{self._time_left(share)}")

    def trial(self, trial: Trial, best: Trial | None) -> None:
        self._seconds.append(trial.seconds)
        self._best = best
        mark = "  ← best so far" if best is not None and best.number == trial.number else ""
        self.say(words.trial_line(trial, self._total) + mark)

    def _best_words(self) -> str:
        return f"  best {words.labelled(self._best.speedup, self._best.output_law)}" if self._best else ""

    def _time_left(self, share_done: float) -> str:
        if not self._seconds:
            return ""
        each = sum(self._seconds) / len(self._seconds)
        return f"  about {words.duration(each * max(0.0, self._ahead - self._weight * share_done))} left"

    def _draw(self, text: str, force: bool = False) -> None:
        now = time.monotonic()
        if self._live is not None and (force or now - self._drawn > PERIOD):
            self._drawn = now
            self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
