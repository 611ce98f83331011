"""The command line of `autotune` and `autotune.bench`: compose with Hydra, run, print, and the exit status.

0: done. 1: the run failed. 2: the configuration is wrong. 130: interrupted. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.errors import RunError, UsageError
from autotune.joint import plain, with_methods
from autotune.objective_words import with_objectives
from autotune.overrides import CONF, options_first, with_models
from autotune.robust.words import with_workloads

OK, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


@dataclass
class Jobs:
    """What the jobs of this process came to, in order; a plain run is one job. `home` is where they were sent from."""

    statuses: list[int] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    sweep: Any = None
    error: Exception | None = None
    home: tuple[str, int] = field(default_factory=lambda: (platform.node(), os.getpid()))


def main(command: str) -> int:
    """Run `command` ("tune" or "bench") with the words of the command line."""
    original = sys.argv[1:]
    jobs = Jobs()
    typed = shlex.join(["python", "-m", "autotune" if command == "tune" else f"autotune.{command}", *original])
    try:
        typed_words = with_methods(with_models(options_first(original)))
        sys.argv[1:] = with_workloads(with_objectives(typed_words))
        _hydra(lambda config: _job(config, command, typed, jobs))
        if jobs.error is not None:
            raise jobs.error
        return _close_sweep(jobs, command, typed)
    except KeyboardInterrupt:
        if jobs.sweep is not None:
            jobs.sweep.abandon()
        how = "the finished trials are kept. Go on with" if command == "tune" else "begin again with"
        print(f"\ninterrupted; {how}: {typed}", file=sys.stderr)
        return INTERRUPTED
    except (UsageError, RunError) as error:
        return _complain(error)
    except Exception as error:
        return _complain(_as_usage_error(error))


def _hydra(task: Any) -> None:
    """Let Hydra read the words and call `task`; its errors come out as they are."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints a traceback and exits by itself
    import hydra

    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()


def _job(config: Any, command: str, typed: str, jobs: Jobs) -> None:
    """One composed config. In a sweep an error ends its own job only."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    sweeping = HydraConfig.get().mode is RunMode.MULTIRUN
    if not sweeping:
        try:
            jobs.statuses.append(_run(config, command, typed, None)[0])
        except Exception as error:  # raised again outside, where Hydra adds no words of its own
            jobs.error = error
        return
    from autotune.study.naming import without_password
    from autotune.sweep import Sweep

    away = (platform.node(), os.getpid()) != jobs.home  # a launcher took us elsewhere, with a copy of `jobs`
    if not away:
        jobs.sweep = jobs.sweep or Sweep(Path(HydraConfig.get().sweep.dir), without_password(typed))
    row: dict[str, Any] = {"number": len(jobs.rows), "overrides": _job_words()}
    jobs.rows.append(row)
    print(f"\njob {row['number']}: {'  '.join(row['overrides']) or 'as configured'}")
    try:
        status, row["line"] = _run(config, command, typed, jobs.sweep)
    except (UsageError, RunError) as error:
        row["error"], status = str(error), _complain(error)
    jobs.statuses.append(status)
    if away:
        from autotune.remote_jobs import leave

        leave(row, status)


def _run(config: Any, command: str, typed: str, sweep: Any) -> tuple[int, dict[str, Any]]:
    """Settings, run, summary, last line."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from autotune.compose import resolve
    from autotune.explain import explain

    try:
        composed = plain(config)
    except OmegaConfBaseException as error:
        raise UsageError(explain(error, config.model.name)) from error
    composed.pop("experiment", None)
    settings = resolve(composed)
    from autotune.execute import execute

    result = execute(
        command, settings, Path(HydraConfig.get().runtime.output_dir), OmegaConf.to_yaml(config), typed, sweep
    )
    line = result.line()
    print(json.dumps(line), flush=True)
    return (OK if result.as_wanted else FAILED), line


def _job_words() -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task)


def _close_sweep(jobs: Jobs, command: str, typed: str) -> int:
    if not jobs.statuses:
        _collect(jobs, typed)
    if jobs.sweep is not None:
        print(json.dumps(jobs.sweep.close(jobs.rows, command)), flush=True)
    return max(jobs.statuses, default=OK)


def _collect(jobs: Jobs, typed: str) -> None:
    """What jobs in other processes have left, if there were any."""
    from autotune.remote_jobs import SweepFolder, collected
    from autotune.study.naming import without_password
    from autotune.sweep import Sweep

    jobs.rows, jobs.statuses = collected()
    if jobs.rows and SweepFolder.path is not None:
        jobs.sweep = Sweep(SweepFolder.path, without_password(typed))


def _complain(error: Exception) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return WRONG if isinstance(error, UsageError) else FAILED


def _as_usage_error(error: Exception) -> Exception:
    """What Hydra, OmegaConf or the file system say about a wrong command line; anything else is a bug and stays one."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, HydraException | OmegaConfBaseException):
        from autotune.explain import explain

        return UsageError(explain(error))
    if isinstance(error, OSError) and error.filename is not None:
        return UsageError(
            f"cannot write {error.filename!r} ({error.strerror}); choose another folder with outputs=FOLDER"
        )
    raise error
