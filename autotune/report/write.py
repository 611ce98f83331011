"""Put the page together: one file with everything inline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autotune.console import words
from autotune.dialect import refusal, serve_command
from autotune.measurement import MEASURED
from autotune.report import trusted
from autotune.report.cards import break_even, cards
from autotune.report.charts import schedule, workloads
from autotune.report.charts.chart import Chart, parameters
from autotune.report.charts.history import history
from autotune.report.charts.importance import importance, too_few
from autotune.report.charts.machine import machine
from autotune.report.charts.pareto import objective_rows, pareto
from autotune.report.charts.positions import positions
from autotune.report.charts.prediction import prediction, step_costs
from autotune.report.charts.prompts import prompts
from autotune.report.charts.slices import slices
from autotune.report.charts.split import split
from autotune.report.data import Run, read
from autotune.report.tables import batch_rows, environment_rows, metric_rows, parameter_names, trial_rows
from autotune.report.tree_picture import trees
from autotune.report.versus import versus
from autotune.trees import shortened

TEMPLATES = Path(__file__).parent
# The page may run what it carries and ask nobody for anything.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)  # fmt: skip


def write_report(folder: Path) -> Path:
    """report.html of a finished run's folder, made from its files."""
    return write_page(folder, render(read(folder)))


def write_page(folder: Path, page: str) -> Path:
    """Whole or not at all."""
    target, part = folder / "report.html", folder / "report.html.part"
    part.write_text(page, encoding="utf-8")
    part.replace(target)
    return target


def render(run: Run) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    return fill("page.html.j2", {**_answer(run), **_seen(run), **_measured(run), "plotly": get_plotlyjs()})


def fill(template: str, values: dict[str, Any]) -> str:
    """A template of this folder; a name that it has and `values` lack is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=FileSystemLoader(TEMPLATES),
    )  # fmt: skip
    return environment.get_template(template).render(policy=POLICY, **values)


def _answer(run: Run) -> dict[str, Any]:
    best, said = run.best, run.measurement
    return {
        "run": run,
        "best": best,
        "details": run.details,
        "headline": words.factor(best["speedup"]) if best["speedup"] is not None else "No result",
        "bounds": words.bounds(run.interval),
        "verdict": words.verdict_words(best["speedup"], run.interval, said),
        "chosen_parameters": parameters(best["parameters"]) if best["parameters"] else "",
        "said": said,
        "quantity": said.quantity,
        "plain": said is MEASURED,
        "measured": said.is_timed,
        "load": _load(run.details["load"]),
        "limits_of_load": words.limits(run.details["load"].get("slo", {})),
        "refusal": refusal(said.output_law),
        "serve_command": serve_command(best["environment"], "speculative_config.json"),
        "notes": [note for note in run.details["notes"] if not said.label or note != said.sentence],
        "confidence": words.percent(run.details.get("confidence")),
        "cards": cards(run) if best["all_metrics"] else [],
        "speculative_config": json.dumps(best["speculative_config"]),
    }


def _load(load: dict[str, Any]) -> str:
    """How the requests came, as the first words of a sentence."""
    said = "one request at a time" if load["kind"] == "single" else words.load(load)
    return said[0].upper() + said[1:]


def _seen(run: Run) -> dict[str, Any]:
    return {
        "versus": versus(run),
        "limits": trusted.limits(run),
        "workloads": workloads.workloads(run),
        "workload_head": workloads.workload_head(run),
        "workload_rows": workloads.workload_rows(run),
        "alone": workloads.alone_rows(run),
        "break_even": break_even(run),
        "pareto": pareto(run),
        "objectives": objective_rows(run),
        "schedule": schedule.schedule(run),
        "contexts": schedule.contexts(run),
        "buckets": schedule.bucket_rows(run),
        "crossovers": schedule.crossover_rows(run),
        "batches": batch_rows(run),
        **_searched(run),
        "drafting_charts": _there(positions(run), prompts(run), split(run)),
        "trees": trees(run),
    }


def _searched(run: Run) -> dict[str, Any]:
    """A schedule's trials are a grid of batch sizes and draft lengths, which its own charts show: no search."""
    if run.details.get("schedule"):
        return {"search_charts": [], "too_few": "", "slices": []}
    charts = _there(history(run), importance(run), prediction(run), step_costs(run))
    return {"search_charts": charts, "too_few": too_few(run), "slices": slices(run)}


def _measured(run: Run) -> dict[str, Any]:
    return {
        "trials": trial_rows(run),
        "parameter_names": parameter_names(run),
        "predicted": any(trial.get("prediction") for trial in run.trials),
        "shortened": shortened,
        "compared": words.compared(run.details["lossless"]) if run.details.get("lossless") else "",
        "trust": trusted.sentences(run),
        "doubted": trusted.doubted(run),
        "machine": machine(run) if run.measurement.is_timed else None,
        "metrics": metric_rows(run) if run.best["all_metrics"] else [],
        "environment": environment_rows(run),
    }


def _there(*charts: Chart | None) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
