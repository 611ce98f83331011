"""What a study tells the tracking: it began, a trial ended, it ended. Sends between measurements, never during one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotune.measurement import named
from autotune.robust.mix import levels
from autotune.settings import TrackingSettings
from autotune.status import Status
from autotune.tracking.curves import curves
from autotune.tracking.flatten import factor_numbers, flat, numbers
from autotune.tracking.journal import Journal
from autotune.tracking.leftovers import send_leftovers
from autotune.tracking.sender import Sender, Unreachable
from autotune.tracking.system import SystemMetrics
from autotune.tracking.tags import of_trial
from autotune.trial import Trial

RUN_STATES = {
    Status.COMPLETE: "FINISHED",
    Status.PRUNED: "KILLED",
    Status.INFEASIBLE: "FAILED",
    Status.FAILED: "FAILED",
    Status.PREDICTED: "KILLED",
    Status.INVALID: "FAILED",
}
Say = Callable[[str], None]


class Tracker:
    """Nothing happens where the settings have no address. `say` prints one line when the server is lost."""

    def __init__(self, settings: TrackingSettings, spool: Path, key: str, say: Say) -> None:
        self._settings, self._key, self._say = settings, key, say
        self._spool = spool
        self._journal = Journal.begin(spool, key, settings.uri, settings.experiment) if settings.uri else None
        self._sender: Sender | None = None
        self._lost = False
        self._tags: dict[str, Any] = {}
        self._system: SystemMetrics | None = None

    @contextmanager
    def running(
        self, name: str, parent: str | None, params: Mapping[str, Any], tags: Mapping[str, Any]
    ) -> Iterator[None]:
        """The run is open inside; an interruption or an error closes it as what it was, and is raised on."""
        self.begin(name, parent, params, tags)
        try:
            yield
        except KeyboardInterrupt:
            self.end("KILLED", {"status": "interrupted"})
            raise
        except Exception as error:
            self.end("FAILED", {"status": "failed", "reason": str(error)})
            raise

    def begin(self, name: str, parent: str | None, params: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
        """Open the run, and send what earlier runs had to leave behind."""
        self._tags = dict(tags)
        self._event("start", name=name, parent=parent, tags=self._tags)
        self._event("params", params=dict(flat(params)))
        if self._journal is not None and self._settings.system_metrics:
            self._system = SystemMetrics()
            self._event("tags", tags={"gpu_metrics": self._system.gpus})
        self._connect()
        if self._sender is not None:
            sent = send_leftovers(self._spool, self._settings.timeout, besides=self._key)
            if sent:
                self._say(f"sent the records of {sent} earlier run{'s' if sent > 1 else ''} that were waiting")
        self._flush()

    def trial(self, trial: Trial, best: Trial | None) -> None:
        """A child run with the trial's true state, and a point on the parent's curves."""
        key = f"{self._key}.{trial.number}"
        state = RUN_STATES[trial.status]
        tags = of_trial(trial, self._tags)
        began = int(1000 * (time.time() - trial.seconds))
        self._event("start", key=key, name=f"trial {trial.number + 1}", parent=self._key, tags=tags, time=began)
        self._event("params", key=key, params=dict(flat(trial.parameters)))
        self._event("metrics", key=key, metrics=self._trial_numbers(trial))
        self._event("end", key=key, status=state)
        self._event("metrics", metrics=curves(trial, best))
        self._read_machine()
        self._flush()

    def finish(self, metrics: Mapping[str, Any], tags: Mapping[str, Any], artifacts: Sequence[Path]) -> None:
        """The run's result and its files, and the end of the run."""
        self._read_machine()
        self._event("metrics", metrics=numbers(metrics, 0))
        for path in artifacts:
            folder = "samples" if path.parent.name == "samples" else None
            self._event("artifact", path=str(path.absolute()), folder=folder)
        self.end("FINISHED", tags)

    def end(self, state: str, tags: Mapping[str, Any]) -> None:
        """Close the run; what cannot be sent now stays in the spool."""
        self._event("tags", tags=dict(tags))
        self._event("end", status=state)
        if self._lost:
            self._connect(again=True)
        self._flush()
        if self._journal is not None and not self._lost:
            self._journal.remove()

    def _trial_numbers(self, trial: Trial) -> list[list[Any]]:
        """The trial's metrics, and the gain after every unit as a curve."""
        law = trial.output_law
        found: dict[str, Any] = {
            named("speedup", law): trial.speedup,
            "seconds": trial.seconds,
            named("interval", law): trial.interval,
        }
        found[named("speedup_by_workload", law)] = {
            name: math.exp(level) for name, level in levels(trial.gains).items()
        }
        found |= {f"factor.{name}": factor_numbers(each.factor, each.interval) for name, each in trial.further.items()}
        total, curve = 0.0, []
        for step, values in enumerate(trial.own_gains.values(), start=1):
            total += sum(values) / len(values)
            curve.append([named("log_speedup_so_far", law), total / step, step])
        return numbers(found, 0) + numbers(trial.metrics, 0) + numbers(trial.baseline, 0, "baseline") + curve

    def _read_machine(self) -> None:
        if self._system is not None:
            self._event("metrics", metrics=self._system.read())

    def _event(self, do: str, **content: Any) -> None:
        if self._journal is not None:
            self._journal.append({"do": do, "key": self._key, **content})

    def _connect(self, again: bool = False) -> None:
        if self._journal is None:
            return
        try:
            self._sender = Sender(str(self._settings.uri), self._settings.experiment, self._settings.timeout)
            self._lost = False
        except Unreachable as problem:
            self._lose(problem, quiet=again)

    def _flush(self) -> None:
        if self._journal is None or self._sender is None or self._lost:
            return
        try:
            self._sender.send(self._journal)
        except Unreachable as problem:
            self._lose(problem)

    def _lose(self, problem: Unreachable, quiet: bool = False) -> None:
        self._lost = True
        if not quiet:
            self._say(
                f"tracking: {problem}; the run goes on, its records wait in {self._spool} and are sent by the next run "
                "or by `python -m autotune.sync`"
            )
