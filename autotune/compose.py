"""From a composed Hydra config to frozen settings: the one place that knows how the YAML is laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autotune import constraints, joint
from autotune.errors import UsageError, nearest
from autotune.models import local_folder
from autotune.robust import choice as workloads_of
from autotune.schema import build
from autotune.settings import (
    EngineSettings,
    LoadSettings,
    MethodSettings,
    ModelSettings,
    ObjectiveSettings,
    Settings,
    StudySettings,
    TrackingSettings,
    WorkloadSettings,
)
from autotune.slo import Slo

PLAIN_GROUPS = {
    "model": ModelSettings,
    "workload": WorkloadSettings,
    "load": LoadSettings,
    "objective": ObjectiveSettings,
    "study": StudySettings,
    "tracking": TrackingSettings,
}
TRIALS = 14
TOP_LEVEL = [*PLAIN_GROUPS, "method", "engine", "search", "constraints", "outputs"]


def resolve(config: Mapping[str, Any]) -> Settings:
    """The settings of a plain (resolved, container) config; UsageError names what is wrong."""
    for key in config:
        if key not in TOP_LEVEL:
            raise UsageError(f"unknown key {key}; {nearest(str(key), TOP_LEVEL)}")
    choice = config.get("method")
    methods = tuple(method(entry) for entry in joint.entries(choice).values())
    config = {**config, "load": with_slo(config.get("load")), "study": with_trials(config.get("study"), len(methods))}
    config["objective"] = with_first(config.get("objective"))
    workloads = workloads_of.several(config.get("workload"))
    groups: dict[str, Any] = {
        name: build(cls, config.get(name), name)
        for name, cls in PLAIN_GROUPS.items()
        if not workloads or name != "workload"
    }
    if workloads:
        groups["workload"] = workloads_of.together(config.get("workload"), workloads)
    groups["workload"] = with_recording(groups["workload"], groups["model"])
    outputs, search = config.get("outputs"), config.get("search") or {}
    if not isinstance(outputs, str) or not outputs:
        raise UsageError(f"outputs is {outputs!r}; it must be the name of a folder")
    if not isinstance(search, Mapping):
        raise UsageError(f"search is {search!r}; it must be a mapping such as {{method: {{key: {{int: [1, 8]}}}}}}")
    return Settings(
        **groups,
        method=several(choice) if methods else method(choice),
        engine=engine(config.get("engine")),
        search=search,
        outputs=outputs,
        methods=methods,
        left_out=joint.left_out(choice),
        constraints=constraints.parse(config.get("constraints") or {}),
        workloads=workloads,
        mix=workloads_of.mix_of(config.get("workload")),
    )


def with_trials(study: object, num_methods: int) -> object:
    """The study's values with a number of trials where it is null: a wider space takes more."""
    if not isinstance(study, Mapping) or study.get("n_trials", 0) is not None:
        return study
    return {**study, "n_trials": TRIALS + max(0, num_methods - 1)}


def with_first(objective: object) -> object:
    """The objective's values with the first of several metrics as the one; left as it is where that cannot be."""
    if not isinstance(objective, Mapping) or not isinstance(objective.get("metrics"), list) or not objective["metrics"]:
        return objective
    first = objective["metrics"][0]
    if objective.get("metric", first) != first:
        raise UsageError(f"objective.metric is {objective['metric']!r} beside objective.metrics; leave one of them out")
    return {**objective, "metric": first}


def several(values: object) -> MethodSettings:
    """What stands for the methods of a joint study together."""
    for entry in joint.entries(values).values():
        if entry.get("warm_requests"):
            raise UsageError(
                f"method.{entry.get('name')}.warm_requests is {entry['warm_requests']}, but methods are compared with "
                "nothing remembered; search this method alone to measure it warm"
            )
    return MethodSettings(joint.name(values), None, {})


def with_slo(load: object) -> object:
    """The load's values with its limits in their own type; left as it is where that cannot be."""
    if not isinstance(load, Mapping) or "slo" not in load:
        return load
    return {**load, "slo": build(Slo, load["slo"], "load.slo")}


def with_recording(workload: WorkloadSettings, model: ModelSettings) -> WorkloadSettings:
    """In a replay the model's files are where the pairs come from."""
    if model.kind != "recording":
        return workload
    return replace(workload, options={**workload.options, "path": model.path, "prompts": model.prompts})


def method(values: object) -> MethodSettings:
    """`name`, `search` and `warm_requests` are ours; `method` and every other key belong to the speculative config."""
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise UsageError(f"method is {values!r}; it must be a mapping with a name, a method and its fields")
    if "method" not in values:
        raise UsageError(f"method {values['name']} has no key 'method'; it must be vLLM's name of the method, or null")
    search = values.get("search") or {}
    if not isinstance(search, Mapping):
        raise UsageError(f"method.search is {search!r}; it must be a mapping such as {{key: {{int: [1, 8]}}}}")
    warm = values.get("warm_requests", 0)
    if isinstance(warm, bool) or not isinstance(warm, int) or warm < 0:
        raise UsageError(f"method.warm_requests is {warm!r}; it must be a whole number of at least 0")
    fields = {key: value for key, value in values.items() if key not in ("name", "search", "warm_requests")}
    if fields["method"] is None and len(fields) > 1:
        extra = ", ".join(key for key in fields if key != "method")
        raise UsageError(
            f"method {values['name']} makes no drafts, so it has no {extra}; remove it or choose another method"
        )
    return MethodSettings(values["name"], fields if fields["method"] is not None else None, search, warm)


def _tokenizer(path: str) -> str:
    folder = local_folder(path, "engine.tokenizer")
    if folder is None:
        raise UsageError(
            f"engine.tokenizer {path!r} does not exist; it must be a folder in Hugging Face format, or null"
        )
    return str(folder)


def engine(values: object) -> EngineSettings:
    if not isinstance(values, Mapping):
        raise UsageError(f"engine is {values!r}; it must be a mapping with a name, a loader and its options")
    for key in ("name", "loader"):
        if not isinstance(values.get(key), str):
            raise UsageError(f"engine.{key} is {values.get(key)!r}; it must be text")
    if ":" not in values["loader"]:
        raise UsageError(f"engine.loader is {values['loader']!r}; it must be module:callable")
    options = {key: value for key, value in values.items() if key not in ("name", "loader")}
    if options.get("tokenizer") is not None:
        options["tokenizer"] = _tokenizer(str(options["tokenizer"]))
    return EngineSettings(values["name"], values["loader"], options)
