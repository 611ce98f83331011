"""Put the page together: one file with everything inline."""

from __future__ import annotations

import json
from pathlib import Path

from autotune.console import words
from autotune.dialect import refusal
from autotune.measurement import MEASURED
from autotune.report.cards import cards
from autotune.report.data import Run, read
from autotune.report.figures import charts
from autotune.report.tables import batch_rows, metric_rows, parameter_names, trial_rows
from autotune.report.tree_picture import trees
from autotune.trees import shortened

TEMPLATE = Path(__file__).with_name("page.html.j2")


def write_report(folder: Path) -> Path:
    """report.html of a finished run's folder, made from its files."""
    target = folder / "report.html"
    part = folder / "report.html.part"
    part.write_text(render(read(folder)), encoding="utf-8")
    part.replace(target)
    return target


def render(run: Run) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    best = run.best
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        run=run,
        best=best,
        details=run.details,
        headline=words.factor(best["speedup"]) if best["speedup"] is not None else "No result",
        bounds=words.bounds(run.interval),
        verdict=words.verdict_words(best["speedup"], run.interval, run.measurement),
        said=run.measurement,
        quantity=run.measurement.quantity,
        plain=run.measurement is MEASURED,
        measured=run.measurement.is_timed,
        load=words.load(run.details["load"]),
        limits=words.limits(run.details["load"].get("slo", {})),
        refusal=refusal(run.measurement.output_law),
        compared=words.compared(run.details["lossless"]) if run.details.get("lossless") else "",
        batches=batch_rows(run),
        confidence=words.percent(run.details.get("confidence")),
        cards=cards(run) if best["all_metrics"] else [],
        charts=charts(run),
        trees=trees(run),
        shortened=shortened,
        metrics=metric_rows(run) if best["all_metrics"] else [],
        trials=trial_rows(run),
        parameter_names=parameter_names(run),
        speculative_config=json.dumps(best["speculative_config"]),
        plotly=get_plotlyjs(),
    )
