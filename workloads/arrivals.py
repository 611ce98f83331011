"""When requests arrive under open load. Pure functions: seconds from the start of a window, ascending.

Every process here is a unit process (one arrival a unit of load, gaps of a gamma law) bent to a rate that changes over
time: with Lambda(t) the load offered up to t, the arrivals are Lambda^-1 of the unit process. For exponential gaps that
is the inhomogeneous Poisson process exactly (Cinlar 1975, section 4.7).

As in vLLM's benchmark, a window's unit times are scaled so that the last arrival falls where its load is fulfilled:
every window then offers exactly the rate that was asked for, and windows differ in their order of calm and crowd only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import accumulate

from workloads.errors import WorkloadError

Times = tuple[float, ...]


def unit_times(count: int, burstiness: float, seed: str) -> Times:
    """`count` arrivals at rate 1, the last at `count`. Gaps are gamma with shape `burstiness` and mean 1: their
    coefficient of variation is 1 / sqrt(burstiness), so 1 is Poisson, less is burstier, more is smoother.
    """
    draw = random.Random(seed)
    gaps = [draw.gammavariate(burstiness, 1 / burstiness) for _ in range(count)]
    scale = count / sum(gaps)
    return tuple(each * scale for each in accumulate(gaps))


def constant(unit: Times, rate: float) -> Times:
    """`rate` arrivals a second throughout."""
    return tuple(each / rate for each in unit)


def ramp(unit: Times, start: float, end: float) -> Times:
    """From `start` to `end` arrivals a second on a straight line, so n arrivals take T = 2 n / (start + end).

    Lambda(t) = start t + a t^2 with a = (end - start) / 2T; the root below is the stable one for either sign of a.
    """
    length = 2 * len(unit) / (start + end)
    a = (end - start) / (2 * length)
    return tuple(2 * load / (start + math.sqrt(max(start * start + 4 * a * load, 0.0))) for load in unit)


def steps(unit: Times, rates: Sequence[float]) -> Times:
    """Each of `rates` for the same length of time, n / sum(rates)."""
    length = len(unit) / sum(rates)
    offered = [0.0, *accumulate(rate * length for rate in rates)]
    return tuple(_at(load, rates, offered, length) for load in unit)


def _at(load: float, rates: Sequence[float], offered: Sequence[float], length: float) -> float:
    """The time at which `load` requests have been offered; `offered[i]` were when step i began."""
    step = next((i for i, rate in enumerate(rates) if rate and load <= offered[i + 1]), None)
    if step is None:  # the very last, lifted above the sum by rounding
        return len(rates) * length
    return step * length + (load - offered[step]) / rates[step]


def stretch(times: Sequence[float], count: int, window: int, speed: float) -> Times:
    """`count` neighbouring arrivals of a trace: the first ones for window 0, the next ones for window 1, and from the
    beginning again where no whole stretch is left. `speed` 2 plays it twice as fast.

    The stretch begins one mean gap before its first arrival, so that its requests over its length are its rate.
    """
    if count > len(times):
        raise WorkloadError(
            f"the trace has {len(times)} arrivals for {count} prompts; give a longer one, or lower "
            f"workload.num_prompts and workload.num_confirm_prompts to at most {len(times)}"
        )
    first = window % (len(times) // count) * count
    found = times[first : first + count]
    gap = (found[-1] - found[0]) / (count - 1) if count > 1 else 0.0
    return tuple((each - found[0] + gap) / speed for each in found)
