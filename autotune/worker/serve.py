"""Serve requests at a fixed concurrency and take down what happened. With open_loop.py the only code that runs inside a
measured window.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

from autotune.samples import ArmRun, Counters, RequestSample
from autotune.slo import Slo
from autotune.worker import energy, memory
from autotune.worker.open_loop import serve_open
from autotune.worker.processor import since, waited_for_core
from autotune.worker.prompts import Prompt


class StepClock:
    """Times of the steps in which one request decoded, by the rows of their target pass. The engine's own clock."""

    def __init__(self, timing: Any) -> None:
        self._timing = timing
        self.seconds: dict[int, list[float]] = {}
        self._now = self._read()

    def tick(self) -> None:
        """A step has ended."""
        seconds, rows, passes = self._now
        self._now = self._read()
        if self._now[2] - passes == 1 and self._now[1] > rows:
            self.seconds.setdefault(self._now[1] - rows, []).append(self._now[0] - seconds)

    def _read(self) -> tuple[float, int, int]:
        timing = self._timing
        seconds = timing.draft + timing.target + timing.verify + timing.other
        return seconds, timing.num_target_rows, timing.num_decode_passes


def serve(
    engine: Any, prompts: Sequence[Prompt], concurrency: int, tick: Callable[[], None] | None = None
) -> tuple[list[Any], float]:
    """Keep `concurrency` requests in flight until all are served; the outputs in the prompts' order, and the wall
    time. `tick` is called after every step.
    """
    waiting = list(reversed(prompts))
    outputs: dict[str, Any] = {}
    began = time.perf_counter()
    while len(outputs) < len(prompts):
        while waiting and engine.num_running + engine.num_waiting < concurrency:
            prompt = waiting.pop()
            engine.add_request(prompt.request_id, prompt.token_ids, prompt.params)
        for output in engine.step():
            outputs[output.request_id] = output
        if tick is not None:
            tick()
    wall = time.perf_counter() - began
    return [outputs[prompt.request_id] for prompt in prompts], wall


def run_arm(
    engine: Any,
    arm: str,
    prompts: Sequence[Prompt],
    concurrency: int,
    arrivals: Sequence[float] = (),
    slo: Slo | None = None,
) -> tuple[ArmRun, list[Any]]:
    """One measured run: `concurrency` requests in flight, or, where there are `arrivals`, each at its time.

    The garbage collector waits, so that it falls on neither arm. Steps are timed where one request is served at a time,
    so that a step is its alone; otherwise the engine counts them by the number of requests that decode.
    """
    alone, gpus = concurrency == 1 and not arrivals, getattr(engine, "tensor_parallel_size", 1)
    before, clock = counters(engine), StepClock(engine.timing)
    steps = {} if alone else engine.steps_by_batch.copy()
    gc.collect()
    memory.reset_peak()
    gc.disable()
    began, waited, drawn = None, waited_for_core(), energy.spent(gpus)
    try:
        if arrivals:
            outputs, wall, began = serve_open(engine, prompts, arrivals)
        else:
            outputs, wall = serve(engine, prompts, concurrency, clock.tick if alone else None)
        stolen, joules = since(waited), energy.since(drawn, gpus)
    finally:
        gc.enable()
    samples = tuple(sample(output, began) for output in outputs)
    batches = {} if alone else engine.steps_by_batch.since(steps)
    done = counters(engine) - before
    run = ArmRun(arm, wall, samples, done, clock.seconds, None, batches, slo or Slo(), memory.peak(), stolen, joules)
    return run, outputs


def sample(output: Any, began: float | None) -> RequestSample:
    """`began` is when the window did, None in a closed loop, where an arrival says nothing."""
    metrics = output.metrics
    return RequestSample(
        request_id=output.request_id,
        prompt_tokens=len(output.prompt_token_ids),
        tokens=len(output.token_ids),
        ttft=metrics.ttft,
        e2e=metrics.e2e,
        tpot=metrics.tpot,
        drafts=metrics.num_drafts,
        draft_tokens=metrics.num_draft_tokens,
        accepted_tokens=metrics.num_accepted_tokens,
        gaps=tuple(metrics.gaps),
        acceptance_histogram=tuple(metrics.acceptance_histogram),
        finish_reason=output.finish_reason,
        preemptions=metrics.num_preemptions,
        arrival=None if began is None else metrics.arrival_time - began,
        queue=metrics.queue_time,
    )


def counters(engine: Any) -> Counters:
    stats, timing = engine.stats, engine.timing
    return Counters(
        stats.num_drafts,
        stats.num_draft_tokens,
        stats.num_accepted_tokens,
        tuple(stats.num_accepted_tokens_per_pos),
        tuple(stats.num_draft_tokens_per_pos),
        timing.num_steps,
        timing.num_decode_passes,
        timing.num_decode_tokens,
        timing.draft,
        timing.target,
        timing.verify,
        timing.other,
        tuple(stats.node_accepted),
        tuple(stats.node_tried),
        timing.num_drafts_cut,
        engine.control.stats.num_shortened,
        engine.control.stats.num_lengthened,
    )
