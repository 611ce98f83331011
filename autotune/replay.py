"""What a replay of recorded responses asks of the settings, checked before anything is read twice."""

from __future__ import annotations

from pathlib import Path

from autotune import arms, step_costs
from autotune.errors import UsageError
from autotune.measurement import TARGET
from autotune.metrics import OBJECTIVES
from autotune.settings import ModelSettings, Settings

ENGINE = "engine.replay:Replay"
SOURCE = "recorded"


def check_replay(settings: Settings) -> None:
    """UsageError where the choices of the groups do not go together."""
    if settings.replays != (settings.engine.loader == ENGINE):
        raise UsageError(
            f"engine={settings.engine.name} does not go with model={settings.model.name}; "
            "engine=replay and a model of recorded responses go together"
        )
    for metric in settings.objective.metrics or [settings.objective.metric]:
        _check_metric(metric, settings)
    if settings.replays:
        _check_recording(settings)


def _check_metric(metric: str, settings: Settings) -> None:
    if settings.replays == OBJECTIVES[metric].timed:
        allowed = [name for name, objective in OBJECTIVES.items() if objective.timed != settings.replays]
        why = "a replay measures no time" if settings.replays else "only a replay counts it"
        raise UsageError(f"objective.metric is {metric!r}, but {why}; allowed: {', '.join(allowed)}")


def _check_recording(settings: Settings) -> None:
    from engine.errors import ConfigError
    from engine.replay import refuse_with_model

    if settings.workload.source != SOURCE:
        raise UsageError(
            f"workload {settings.workload.name} has no recorded responses; a replay takes workload=recorded"
        )
    try:
        for method in settings.all_methods:
            refuse_with_model((method.speculative_config or {}).get("method") or "none")
    except ConfigError as error:
        raise UsageError(str(error)) from error
    if (law := arms.configured_law(settings)) != TARGET:
        raise UsageError(
            f"rejection_sample_method makes the answers {law}, but a replay compares drafts with what was recorded; "
            "leave it out"
        )
    if settings.load.kind != "single":
        raise UsageError(f"load={settings.load.name} has no meaning in a replay; it takes one request at a time")
    if settings.search.get("engine"):
        raise UsageError("search.engine has no effect in a replay, where no engine runs; allowed: search.method.KEY")
    if settings.model.step_costs is not None:
        step_costs.read(settings.model.step_costs)


def recording_of(model: ModelSettings) -> Path:
    """The file of the responses; UsageError if there is none."""
    if model.path is None:
        raise UsageError("model.path is null; give the recorded pairs of prompt and response: model.path=FILE")
    for name, path in (("path", model.path), ("prompts", model.prompts)):
        if path is not None and not Path(path).is_file():
            raise UsageError(f"model.{name} is {path!r}, which is no file; it must be a file of JSON lines")
    if model.tokenizer is not None and not Path(model.tokenizer).is_dir():
        raise UsageError(f"model.tokenizer is {model.tokenizer!r}, which is no folder; it must hold a tokenizer.json")
    return Path(model.path)
