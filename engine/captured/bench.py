"""Single captured steps to be timed, over sequences that are not there: for benchmarks, on an idle engine.

The returned functions start the work and do not wait for it. As a step does, they write into the cache.
"""

from collections.abc import Callable

import torch

from engine.captured import filling
from engine.captured.path import CapturedPath
from engine.captured.sizes import Size
from engine.captured.target_step import TargetStep
from engine.errors import EngineError
from engine.outputs import RequestMetrics
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence
from engine.step_loop import StepLoop


@torch.inference_mode()
def target_step(engine: StepLoop, batch: int, q_len: int, context: int) -> Callable[[], None]:
    """The target's pass over `batch` sequences of q_len rows after `context` cached tokens, and its verdict."""
    step = _filled(engine, batch, q_len - 1, context)

    @torch.inference_mode()
    def run() -> None:
        step.forward.run()
        step.judge("target", filtered=False).run()

    return run


@torch.inference_mode()
def draft_loop(engine: StepLoop, batch: int, num_tokens: int, context: int) -> Callable[[], None]:
    """What the engine's method does in a step: draft chains of num_tokens, and take in what became final."""
    path, proposer = captured_path(engine), engine._proposer
    if proposer.fixed_key is None:
        raise EngineError(f"method {engine.speculative_config.method} does not draft in fixed shapes")
    step = _filled(engine, batch, num_tokens, context)
    graphs = path.graphs(step, proposer)

    @torch.inference_mode()
    def run() -> None:
        graphs.propose("greedy", filtered=False)
        if proposer.takes_in:
            graphs.take_in()

    step.forward.run()
    step.judge("target", filtered=False).run()
    return run


def captured_path(engine: StepLoop) -> CapturedPath:
    """Of an engine that captures its steps."""
    if engine._captured is None:
        raise EngineError("the engine is eager: load it with kernels=fused and enforce_eager=False")
    return engine._captured


def _filled(engine: StepLoop, batch: int, nodes: int, context: int) -> TargetStep:
    step = captured_path(engine).step(Size(batch, nodes, nodes, 0), engine._proposer)
    params = SamplingParams(temperature=0.0)
    tokens = [1] * (context + 1)
    sequences = [
        Sequence(str(slot), tokens, 1, params, 0, context + 1, RequestMetrics(0.0), slot=slot, num_computed=context)
        for slot in range(batch)
    ]
    filling.fill(step.inputs, sequences, [nodes] * batch, [nodes] * batch, nobody=engine._cache.num_slots)
    step.inputs.send()
    return step
