"""Put the page of a multirun together, from comparison.json and what the jobs have left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.console import words
from autotune.measurement import TARGET
from autotune.report.charts.chart import parameters
from autotune.report.sweep.jobs import Job, Sweep, read
from autotune.report.sweep.matrix import answers, label, matrix, varied
from autotune.report.sweep.strip import strips
from autotune.report.write import fill, write_page

MACHINE = ("device_name", "dtype", "spectune")


def write_comparison(folder: Path) -> Path:
    """report.html of a multirun's folder."""
    return write_page(folder, render(read(folder)))


def render(sweep: Sweep) -> str:
    """The page as text; it has no script."""
    ranked = sorted(sweep.jobs, key=lambda job: job.place)
    keys, places = varied(sweep.jobs), strips(sweep.jobs)
    environment: dict[str, Any] = next((job.line["environment"] for job in ranked if job.line), {})
    values = {
        "title": " × ".join(keys) or "the jobs",
        "count": len(ranked),
        "failed": sum(job.line is None for job in ranked),
        "answers": answers(sweep.jobs),
        "matrix": matrix(sweep.jobs),
        "rows": [_row(job, keys, places.get(job.number)) for job in ranked],
        "common": "  ".join(f"{key}={value}" for key, value in _common(sweep.jobs, keys).items()),
        "environment": {name: environment[name] for name in MACHINE if name in environment},
        "bounds": words.bounds,
    }  # fmt: skip
    return fill("sweep.html.j2", values)


def _common(jobs: list[Job], keys: list[str]) -> dict[str, str]:
    return {key: value for key, value in (jobs[0].given if jobs else {}).items() if key not in keys}


def _row(job: Job, keys: list[str], strip: Any) -> dict[str, Any]:
    line = job.line or {}
    metrics = line.get("metrics") or {}
    return {
        "job": job,
        "what": label(job, keys),
        "strip": strip,
        "confirmed": "yes" if job.confirmed else "no",
        "lossless": "" if not line else "yes" if line["lossless"] else "no" if job.law == TARGET else f"no: {job.law}",
        "tpot": words.number((metrics.get("tpot_ms") or {}).get("p50"), 3),
        "accepted": words.percent(metrics.get("acceptance_rate")),
        "parameters": parameters({**_method(line), **line["parameters"]}) if line.get("parameters") else "",
    }


def _method(line: dict[str, Any]) -> dict[str, str]:
    """The method that won, where several were searched."""
    return {"method": line["method"]} if line.get("searched", line["method"]) != line["method"] else {}
