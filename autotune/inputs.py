"""Everything that can be checked before an engine is loaded: the model's folder, the prompts, the space, the
objective.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune import arms, constraints, objectives
from autotune.console.display import Display
from autotune.dimension import METHOD
from autotune.drafts import draft_folders
from autotune.environment import environment
from autotune.errors import RunError, UsageError
from autotune.load import check_load, check_windows, most_at_once
from autotune.models import model_folder
from autotune.replay import check_replay, recording_of
from autotune.robust import choice
from autotune.robust.parts import Parts, gathered
from autotune.search_space import space_of
from autotune.settings import Settings, StudySettings
from autotune.space import Space
from autotune.worker.client import Worker
from autotune.worker.protocol import Opening, Recording, Refused, WorkerProblem
from workloads import Request


@dataclass(frozen=True)
class Inputs:
    """What a run works on: a model's folder or a file of responses, `requests` by split, folders of drafts by name, and
    in `parts` which of the requests belong to which workload.
    """

    model: Path
    requests: Mapping[str, Sequence[Request]]
    space: Space
    drafts: Mapping[str, str]
    parts: Parts

    @property
    def counts(self) -> dict[str, int]:
        """How many prompts each split has."""
        return {split: len(requests) for split, requests in self.requests.items()}


def check(settings: Settings, *, searching: bool) -> Inputs:
    """UsageError for whatever is wrong, cheapest first."""
    objectives.check(settings)
    if settings.methods and not searching:
        raise UsageError(
            f"method {settings.method.name} is several, and one configuration is measured; choose one method"
        )
    choice.check(settings)
    check_replay(settings)
    only_of_schedules(settings.study)
    check_load(settings)
    constraints.check(settings.constraints, replays=settings.replays, has_slo=bool(settings.load.slo.given))
    _check_fields(settings)
    space = space_of(settings) if searching else Space((), {})
    space.starts()
    splits = ("search", "confirm") if searching else ("confirm",)
    drafts = _drafts(settings, space)
    model = recording_of(settings.model) if settings.replays else _folder_of(settings)
    requests, parts = gathered(settings, splits)
    found = Inputs(model, requests, space, drafts, parts)
    check_windows(settings.load, {f"{split} {part.name}": part.count for split in splits for part in parts[split]})
    return found


def only_of_schedules(study: StudySettings) -> None:
    """UsageError for what another study would leave unread."""
    for name in ("batch_sizes", "context_lengths", "context_weights"):
        if study.kind != "schedule" and getattr(study, name) is not None:
            raise UsageError(f"study.{name} is set, but only study=schedule reads it; add study=schedule or remove it")


def worker_for(settings: Settings, inputs: Inputs) -> Worker:
    """A worker that is not started yet."""
    model, engine = settings.model, settings.engine
    opening: Opening | Recording
    if settings.replays:
        opening = Recording(engine.loader, str(inputs.model), model.tokenizer, model.step_costs, inputs.requests)
    else:
        opening = Opening(
            engine.loader,
            str(inputs.model),
            engine.options,
            most_at_once(settings),
            settings.study.seed,
            inputs.requests,
            inputs.drafts,
            settings.load.slo,
            weighs=objectives.MEMORY in objectives.objectives_of(settings).names
            or any(each.name == constraints.MEMORY for each in settings.constraints),
            contexts=tuple(settings.study.context_lengths or ()),
        )
    return Worker(opening, call_limit=settings.study.call_limit, load_limit=settings.study.load_limit)


def open_worker(worker: Worker, settings: Settings, inputs: Inputs, display: Display) -> dict[str, Any]:
    """Wait for the weights and try the configured point, so that a wrong one ends the run before it began.

    Returns the environment. UsageError for what the engine refuses, RunError where it cannot be loaded at all.
    """
    display.phase(f"loading {settings.model.name} from {inputs.model}")
    try:
        opened = worker.open()
    except Refused as refusal:
        raise UsageError(str(refusal)) from refusal
    except WorkerProblem as problem:
        raise RunError(f"the model could not be loaded: {problem}") from problem
    if "metrics_url" in opened.environment:
        display.say(f"metrics: {opened.environment['metrics_url']}")
    display.phase("warming up")
    split = "search" if "search" in inputs.requests else "confirm"
    notes: list[str] = []
    try:
        notes = worker.prepare([arms.baseline(settings), *arms.configured(settings)], split)
    except Refused as refusal:
        raise UsageError(str(refusal)) from refusal
    except WorkerProblem:
        pass  # the first trial meets it again and records it
    for note in notes:
        display.say(f"note: {note}")
    return {**environment(opened.environment), "notes": notes}


def _folder_of(settings: Settings) -> Path:
    is_dummy = settings.has_random_weights
    if is_dummy != (settings.engine.options.get("load_format") == "dummy"):
        raise UsageError(
            "model.kind=dummy and engine.load_format=dummy go together; give model=dummy model.path=FOLDER"
        )
    return model_folder(settings.model.path or "", weights=not is_dummy)


def _check_fields(settings: Settings) -> None:
    """Field names and whatever else the config knows of itself; the engine checks the values when it is loaded."""
    from engine.errors import ConfigError
    from engine.speculative_config import SpeculativeConfig

    for method in settings.all_methods:
        try:
            SpeculativeConfig.from_any(arms.speculative_config(settings, {METHOD: method.name}))
        except ConfigError as error:
            raise UsageError(f"method {method.name}: {error}") from error


def _drafts(settings: Settings, space: Space) -> dict[str, str]:
    """The folders of all methods' drafts, by what the configs call them."""
    found: dict[str, str] = {}
    for method in settings.all_methods:
        others = space.choices("method.model", method.name if settings.methods else "")
        config = arms.speculative_config(settings, {METHOD: method.name})
        found |= draft_folders(config, others, settings.model.name)
    return found
