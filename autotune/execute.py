"""Run one command in one folder, with a display; then print what a person wants to know."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from autotune.console.display import Display
from autotune.console.summary import print_summary
from autotune.context import Context
from autotune.dialect import refusal, serve_command
from autotune.errors import UsageError
from autotune.folder import RunFolder
from autotune.overrides import override
from autotune.result import Result
from autotune.settings import Settings
from autotune.study.naming import without_password
from autotune.sweep import Sweep

WIDTH = 120


def execute(command: str, settings: Settings, path: Path, config_yaml: str, typed: str, sweep: Sweep | None) -> Result:
    """The result of the command, after everything is written and the summary is printed."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH)
    folder = RunFolder(_short(path))
    folder.write_text("config.yaml", without_password(config_yaml))
    if sweep is not None:
        sweep.join(settings)
    with Display(console) as display:
        key = sweep.key if sweep is not None else None
        try:
            result = _command(command, settings.study.kind)(
                Context(command, settings, folder, display, without_password(typed), key)
            )
        except UsageError:
            folder.remove_if_unused()
            raise
    print_summary(console, result, _next_steps(result, folder))
    return result


def _command(name: str, kind: str) -> Callable[[Context], Result]:
    if name == "bench":
        from autotune.measure_one import bench

        return bench
    if kind == "schedule":
        from autotune.schedule.run import schedule

        return schedule
    from autotune.tune import tune

    return tune


def _short(path: Path) -> Path:
    """Relative to where we are, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _next_steps(result: Result, folder: RunFolder) -> list[str]:
    steps = [f"Report:  {folder.path / 'report.html'}"]
    if not result.said.is_timed:
        words = " ".join(override(f"method.{name}", value) for name, value in result.parameters.items())
        return [*steps, f"Measure: python -m autotune.bench model=YOUR_MODEL method={result.method} {words}"]
    if why := refusal(result.output_law):
        return [*steps, f"Deploy:  {why}"]
    if result.confirmed and result.speculative_config is not None:
        path = folder.path / "speculative_config.json"
        steps.append(f"Deploy:  {serve_command(result.environment, path)}")
    if result.command == "tune" and not result.confirmed:
        steps.append(
            "Next:    raise workload.num_prompts and workload.num_confirm_prompts, or try another method or workload"
        )
    return steps
