"""Which knobs decided whether a configuration was among the best.

PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255) of Optuna: how far a knob's values among the best third of the
configurations differ from its values among all that were measured; shares of the whole. It knows conditional knobs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.console import words
from autotune.report.charts.chart import BLUE, GREY, Chart, axis, figure
from autotune.report.data import Run

BEST = 1 / 3
BELIEVED = ("complete", "pruned", "infeasible")
ENOUGH = 15  # so that five are among the best third: fewer make no distribution


def importance(run: Run) -> Chart | None:
    """None where nothing was searched or fewer than two knobs varied."""
    shares = importances(run)
    if not shares:
        return None
    names = list(reversed(shares))
    values = [shares[name] for name in names]
    dead = {knob["knob"] for knob in run.details.get("trust", {}).get("dead_knobs", ())}
    trace = {
        "type": "bar", "orientation": "h", "x": values, "y": [name.replace("_", " ") for name in names],
        "marker": {"color": [GREY if name in dead else BLUE for name in names]},
        "text": [words.percent(value) for value in values], "textposition": "outside", "cliponaxis": False,
        "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": axis("share", tickformat=".0%", range=[0, 1.18 * max(values)]), "yaxis": axis("", ticks=""),
        "height": 110 + 34 * len(names),
    }  # fmt: skip
    return Chart(
        "Which knobs mattered",
        f"PED-ANOVA over {len(configurations(run))} configurations: how much a knob's values among the best third "
        "differ from those among all, as a share of all knobs. It says what told good from bad in this range, not "
        "how many percent a knob brings.",
        figure([trace], layout),
        ("knob", "share"),
        [[name, words.percent(share)] for name, share in shares.items()],
    )


def too_few(run: Run) -> str:
    """A sentence where there is something to compare and not enough of it; else empty."""
    count = len(configurations(run))
    if count >= ENOUGH or len(varied(configurations(run))) < 2:
        return ""
    return f"Which knobs mattered is not shown: {count} configurations were measured, {ENOUGH} are needed to tell."


def configurations(run: Run) -> list[Mapping[str, Any]]:
    """Of each configuration the last trial that can be believed, which pools the earlier ones."""
    believed = [trial for trial in run.measured if trial["status"] in BELIEVED]
    last = {repr(sorted(trial["parameters"].items())): trial for trial in believed}
    return list(last.values())


def varied(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """The knobs with two values or more among the trials that have them."""
    names = dict.fromkeys(name for trial in trials for name in trial["parameters"])
    return [
        name
        for name in names
        if len({repr(t["parameters"][name]) for t in trials if name in t["parameters"]}) > 1
    ]  # fmt: skip


def importances(run: Run) -> dict[str, float]:
    """Shares by knob, largest first; empty for too few configurations or fewer than two knobs."""
    trials = configurations(run)
    names = varied(trials)
    if len(trials) < ENOUGH or len(names) < 2 or run.best["command"] != "tune":
        return {}
    return _ped_anova(trials, names)


def _ped_anova(trials: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    import optuna

    ranges = {name: _distribution([t["parameters"][name] for t in trials if name in t["parameters"]]) for name in names}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about choices that are lists, and an interface that may change
        for trial in trials:
            own = {name: _plain(trial["parameters"][name]) for name in names if name in trial["parameters"]}
            study.add_trial(
                optuna.trial.create_trial(
                    params=own, distributions={name: ranges[name] for name in own}, value=math.log(trial["speedup"])
                )
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
    return {name: share for name, share in found.items() if math.isfinite(share)}


def _distribution(values: Sequence[Any]) -> Any:
    """The smallest one that holds the values."""
    import optuna.distributions as of

    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return of.IntDistribution(min(values), max(values))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return of.FloatDistribution(float(min(values)), float(max(values)))
    return of.CategoricalDistribution(list(dict.fromkeys(map(_plain, values))))


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, list | dict) else value
