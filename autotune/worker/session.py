"""What the worker does: load once, then measure arms on prompts, call by call. Runs in the worker process only."""

from __future__ import annotations

import gc
import importlib
import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autotune.errors import UsageError, nearest
from autotune.samples import BASELINE, Arm, ArmRun, Divergence, UnitResult
from autotune.worker import memory
from autotune.worker.contexts import at_lengths
from autotune.worker.disturbance import MOST_DISCARDED, disturbed
from autotune.worker.judge import judge
from autotune.worker.prompts import Prompt, prepare, template_of
from autotune.worker.protocol import WARM, Opened, Opening
from autotune.worker.serve import run_arm, serve


class Session:
    """An engine with its prompts. A searched engine option needs a second engine; it is kept until the option
    changes.

    A method that remembers requests begins every measured run with the same memory: empty, or the responses to the
    warm prompts, taken up afresh. So it never drafts from an earlier answer to the prompt that it is measured on.
    """

    def __init__(self, opening: Opening) -> None:
        logging.getLogger("transformers").setLevel(logging.ERROR)  # prompts that are too long are our own error
        self._opening = opening
        self._loader = loader(opening.loader)
        self._own = load(self._loader, opening.model_path, opening.engine_options)
        self._other: tuple[Mapping[str, Any], Any] | None = None
        self._arms: dict[str, Arm] = {}
        self._unneeded: dict[str, int] = {}  # bytes of the drafts of other arms
        self._notes: dict[str, None] = {}  # what the engine warned of, each once
        environment = dict(self._own.environment())
        self._dtype = str(environment.get("dtype", "float32"))
        tokenizer, limit = self._own.tokenizer, environment.get("max_model_len")
        self._prompts = {
            split: prepare(requests, tokenizer, None if opening.contexts else limit, opening.seed)
            for split, requests in opening.requests.items()
        }
        if opening.contexts:
            self._prompts |= at_lengths(self._prompts, opening.contexts, tokenizer, limit)
        self._responses = self._answer_warm()
        gc.freeze()  # what is loaded now stays; a collection between windows need not walk it
        lengths = {split: [len(p.token_ids) for p in prompts] for split, prompts in self._prompts.items()}
        self.opened = Opened({**environment, "chat_template": template_of(tokenizer)}, lengths)

    def prepare(self, arms: Sequence[Arm], split: str, concurrency: int | None = None) -> list[str]:
        """Take up the arms of the next measurements, clear what an earlier trial left, and warm every shape.

        `concurrency` requests run at once from here on. Returns what the engine warned of so far.
        """
        if concurrency is not None:
            self._opening = replace(self._opening, concurrency=concurrency)
        self._arms = {arm.name: arm for arm in arms}
        warm = self._prompts[split][: self._opening.concurrency]
        alone = {arm.name: self._weighed(arm, warm) for arm in arms} if self._opening.weighs else {}
        for arm in arms:
            self._take_up(arm, warm)
        self._unneeded = {name: max(0, memory.now() - weight) for name, weight in alone.items()}
        return list(self._notes)

    def _take_up(self, arm: Arm, warm: Sequence[Prompt]) -> None:
        engine = self._switch(arm)
        engine.reset()
        engine.warm_up(max_batch=self._opening.concurrency)
        serve(engine, warm, self._opening.concurrency)
        engine.reset()
        if self._responses and arm.speculative_config is not None:
            engine.remember(self._responses)  # a method that cannot says so now

    def _weighed(self, arm: Arm, warm: Sequence[Prompt]) -> int:
        """The memory in use where no drafts are loaded but this arm's, in bytes."""
        self._engine(arm.engine_options).forget_drafts()
        gc.collect()
        self._take_up(arm, warm)
        return memory.now()

    def measure(
        self,
        unit: str,
        split: str,
        indices: Sequence[int],
        repeat: int,
        order: Sequence[str],
        arrivals: Sequence[float] = (),
    ) -> UnitResult:
        """Every arm on the same prompts, in the given order, and then the comparison of what they answered. With
        `arrivals` every prompt is served when it is due, in every arm at the same time of its window.

        Every arm runs twice, there and back, and its quicker run counts: the work is the same each time, and a shared
        machine can only make it slower. Where even that was interrupted, all run again, a few times at most. Not so in
        an open loop, where a prompt that arrives while others decode holds them up as an interruption would.
        """
        prompts = [self._prompts[split][index] for index in indices]
        runs, answers = self._there_and_back(order, prompts, arrivals)
        for discarded in range(MOST_DISCARDED + 1):
            if arrivals or discarded == MOST_DISCARDED or not any(disturbed(run) for run in runs.values()):
                break
            runs, answers = self._there_and_back(order, prompts, arrivals)
        return UnitResult(unit, repeat, tuple(order), runs, self._judge(prompts, answers), discarded)

    def _there_and_back(
        self, order: Sequence[str], prompts: Sequence[Prompt], arrivals: Sequence[float]
    ) -> tuple[dict[str, ArmRun], dict[str, list[Any]]]:
        first, answers = self._run(order, prompts, arrivals)
        second, _ = self._run(tuple(reversed(order)), prompts, arrivals)
        quicker = waited if arrivals else wall
        return {name: min(first[name], second[name], key=quicker) for name in order}, answers

    def _run(
        self, order: Sequence[str], prompts: Sequence[Prompt], arrivals: Sequence[float]
    ) -> tuple[dict[str, ArmRun], dict[str, list[Any]]]:
        runs: dict[str, ArmRun] = {}
        answers: dict[str, list[Any]] = {}
        for name in order:
            engine = self._switch(self._arms[name])
            self._refill(engine)
            opening = self._opening
            runs[name], answers[name] = run_arm(engine, name, prompts, opening.concurrency, arrivals, opening.slo)
            runs[name] = with_cache(without(runs[name], self._unneeded.get(name, 0)), engine.environment())
        return runs, answers

    def _refill(self, engine: Any) -> None:
        """Clear what the method remembers, then give it the responses to the warm prompts; for others nothing."""
        if engine.remembers_requests:
            engine.reset()
            if self._responses:
                engine.remember(self._responses)

    def _answer_warm(self) -> list[list[int]]:
        """The model's responses to the warm prompts, as token ids. They are the same with every method."""
        prompts = self._prompts.get(WARM, [])
        outputs, _ = serve(self._own, prompts, self._opening.engine_options.get("max_num_seqs", 1))
        return [output.token_ids for output in outputs]

    def _judge(self, prompts: Sequence[Prompt], answers: Mapping[str, list[Any]]) -> tuple[Divergence, ...]:
        found = []
        for name in answers.keys() - {BASELINE}:
            engine = self._switch(self._arms[name])
            for prompt, base, other in zip(prompts, answers[BASELINE], answers[name], strict=True):
                divergence = judge(engine, prompt, name, base.token_ids, other.token_ids, self._dtype)
                found += [divergence] if divergence else []
        return tuple(found)

    def _switch(self, arm: Arm) -> Any:
        """The engine of an arm, drafting as the arm wants; the weights stay."""
        engine = self._engine(arm.engine_options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            engine.configure_speculation(found(arm.speculative_config, self._opening.drafts))
        self._notes |= dict.fromkeys(str(each.message) for each in caught if each.category is UserWarning)
        return engine

    def _engine(self, options: Mapping[str, Any]) -> Any:
        if dict(options) == dict(self._opening.engine_options):
            return self._own
        if self._other is None or self._other[0] != dict(options):
            self._other = None  # the memory of the last one must be free before the next is loaded
            gc.collect()
            self._other = (dict(options), load(self._loader, self._opening.model_path, options))
        return self._other[1]


def without(run: ArmRun, unneeded: int) -> ArmRun:
    """The run with the peak that it would have had without so many bytes of others."""
    return run if run.peak_memory is None or not unneeded else replace(run, peak_memory=run.peak_memory - unneeded)


def with_cache(run: ArmRun, environment: Mapping[str, Any]) -> ArmRun:
    """The run with the size of the cache it ran with; another project's engine need not tell."""
    return replace(run, kv_tokens=environment.get("kv_cache_tokens"), kv_bytes=environment.get("kv_cache_bytes"))


def wall(run: ArmRun) -> float:
    """Of a run that was timed, as all of this session's are."""
    assert run.wall is not None
    return run.wall


def waited(run: ArmRun) -> float:
    """All that the requests waited for their ends: where arrivals set the pace, the wall time hardly tells."""
    return sum(request.e2e or 0.0 for request in run.requests)


def found(config: Mapping[str, Any] | None, drafts: Mapping[str, str]) -> dict[str, Any] | None:
    """The config with the folder of its draft in place of a name, and of the revision that the folder is of."""
    if config is None or config.get("model") not in drafts:
        return dict(config) if config is not None else None
    return {key: value for key, value in config.items() if key != "revision"} | {"model": drafts[config["model"]]}


def loader(name: str) -> Any:
    """The callable behind "module:callable"."""
    module_name, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"engine.loader is {name!r}, which cannot be imported ({error}); it must be module:callable"
        ) from error
    return found


def load(build: Any, model_path: str, options: Mapping[str, Any]) -> Any:
    """An engine without speculation; UsageError for an option that this engine does not have."""
    known = [name for name in inspect.signature(build).parameters if name not in ("model", "speculative_config")]
    for name in options:
        if name not in known:
            raise UsageError(f"unknown key engine.{name}; {nearest(name, known)}")
    return build(model_path, None, **options)
