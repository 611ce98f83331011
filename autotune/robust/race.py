"""When a trial over several workloads may stop early, and how narrow its value's interval is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from autotune.robust.mix import MARK, MEAN, Gains, Mix, by_workload
from autotune.stats import Values, expected_maximum, worse

Pair = tuple[Values, Values]
Width = Callable[[Gains, float], float | None]


def loses(
    ours: Mapping[str, float], theirs: Mapping[str, float], mix: Mix, *, alpha: float, rivals: int, planned: int
) -> bool:
    """Whether a candidate cannot be chosen, by the units measured so far; `stats.worse` has the allowance for luck.

    mean: its weighted mean lies below the incumbent's. Otherwise: it is worse on every workload, so it is the best for
    none and its regret is the larger, whatever else is found.
    """
    pairs = paired(ours, theirs)
    if set(pairs) != set(mix.names) or any(len(left) < 2 for left, _ in pairs.values()):
        return False
    share = planned / sum(len(left) for left, _ in pairs.values())
    if mix.rule == MEAN:
        return _below(pairs, mix, alpha, rivals, share)
    return all(
        worse(left, right, alpha=alpha, rivals=rivals, planned=max(1, round(share * len(left))))
        for left, right in pairs.values()
    )


def paired(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, Pair]:
    """By workload, on the units that both have."""
    found: dict[str, list[tuple[float, float]]] = {}
    for unit, gain in ours.items():
        if unit in theirs:
            found.setdefault(unit.partition(MARK)[0], []).append((gain, theirs[unit]))
    return {name: (np.array(pairs)[:, 0], np.array(pairs)[:, 1]) for name, pairs in found.items()}


def _below(pairs: Mapping[str, Pair], mix: Mix, alpha: float, rivals: int, share: float) -> bool:
    """One-sided t-test of the weighted mean difference; its variance is sum_w weight^2 s_w^2 / n_w, with
    Satterthwaite's degrees of freedom.
    """
    from scipy.stats import t

    apart = {name: left - right for name, (left, right) in pairs.items()}
    mean = sum(mix.weights[name] * float(values.mean()) for name, values in apart.items())
    parts = {name: mix.weights[name] ** 2 * float(values.var(ddof=1)) / len(values) for name, values in apart.items()}
    variance = sum(parts.values())
    if variance == 0:
        return mean < 0
    freedom = variance**2 / sum(part**2 / (len(apart[name]) - 1) for name, part in parts.items())
    luck = expected_maximum(rivals) * math.sqrt(variance / (2 * share))
    return (mean + luck) / math.sqrt(variance) < float(t.ppf(alpha, freedom))


def combined(measured: Gains, confidence: float, mix: Mix, width: Width) -> float | None:
    """The half-width of the value's interval from those of the workloads; None where one of them has none.

    Of a weighted mean the root of the weighted squares. Of the other rules the widest, as any workload may decide.
    """
    strata = by_workload(measured)
    found = {name: width(strata[name], confidence) if name in strata else None for name in mix.names}
    known = {name: each for name, each in found.items() if each is not None}
    if len(known) < len(found):
        return None
    if mix.rule == MEAN:
        return math.sqrt(sum((mix.weights[name] * half) ** 2 for name, half in known.items()))
    return max(known.values())
