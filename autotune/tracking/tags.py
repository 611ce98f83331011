"""What runs can be filtered by: tags.method = 'ngram', tags.kind = 'study'."""

from __future__ import annotations

from typing import Any

from autotune.console import words
from autotune.dimension import METHOD
from autotune.result import Result
from autotune.settings import Settings
from autotune.trial import Trial

NOTE = "mlflow.note.content"
INHERITED = ("method", "searched", "model", "workload", "load", "objective", "study", "measurement")
"""Tags that a trial has from its study."""


def of_study(settings: Settings, study: str, measurement: str) -> dict[str, Any]:
    """Of a run from its beginning. `method` is what is searched until one of several has won."""
    return {
        "kind": "study",
        "method": settings.method.name,
        "searched": settings.method.name,
        "model": settings.model.name,
        "workload": settings.workload.name,
        "load": settings.load.name,
        "objective": settings.objective.name,
        "study": study,
        "measurement": measurement,
    }


def of_trial(trial: Trial, study: dict[str, Any]) -> dict[str, Any]:
    """A child's: its study's, its own method where several are searched, and how it ended."""
    own = {"method": trial.parameters[METHOD]} if METHOD in trial.parameters else {}
    lossless = trial.lossless.get("lossless")
    return {
        **{name: study[name] for name in INHERITED if name in study},
        **own,
        "kind": "trial",
        "status": str(trial.status),
        "cause": str(trial.cause),
        "reason": trial.reason,
        "output_law": trial.output_law,
        **({} if lossless is None else {"lossless": lossless}),
    }


def of_result(result: Result) -> dict[str, Any]:
    """Added when a run has ended; the note is what MLflow shows as the run's description."""
    return {
        NOTE: described(result),
        "status": "finished",
        "method": result.method,
        "lossless": result.lossless,
        "output_law": result.output_law,
        "confirmed": result.confirmed,
    }


def described(result: Result) -> str:
    """The answer in Markdown, and what a reader must know of it."""
    sure = "confirmed" if result.confirmed else "not confirmed"
    headline = f"**{words.labelled(result.speedup, result.output_law)} {words.bounds(result.interval)}**, {sure}."
    verdict = words.verdict_words(result.speedup, result.interval, result.said)
    notes = [f"- {note}" for note in result.details.get("notes", ())]
    return "\n".join([f"{headline} {verdict}", "", *notes])
