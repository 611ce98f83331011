"""Serve requests that come at times of their own, whether or not earlier ones are done. Runs inside measured windows.

What a request waits counts from when it was due, not from when this loop got round to it: a long step that delays the
loop delays the request too (otherwise the slowest moments would be left out: coordinated omission).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from autotune.worker.prompts import Prompt

Clock = Callable[[], float]


def serve_open(
    engine: Any,
    prompts: Sequence[Prompt],
    arrivals: Sequence[float],
    now: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[list[Any], float, float]:
    """The outputs in the prompts' order, the wall time, and when the window began by the engine's clock.

    `arrivals` are ascending seconds from that beginning. The loop steps while there is work and sleeps until the next
    arrival where there is none.
    """
    began = now()
    due = deque(zip((began + each for each in arrivals), prompts, strict=True))
    outputs: dict[str, Any] = {}
    while len(outputs) < len(prompts):
        while due and due[0][0] <= now():
            arrival, prompt = due.popleft()
            engine.add_request(prompt.request_id, prompt.token_ids, prompt.params, arrival_time=arrival)
        if engine.num_running + engine.num_waiting:
            outputs |= {output.request_id: output for output in engine.step()}
        else:
            sleep(max(0.0, due[0][0] - now()))
    return [outputs[prompt.request_id] for prompt in prompts], now() - began, began
