"""What a result over several workloads keeps and says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.analysis import Gains, interval_of
from autotune.arms import shown
from autotune.console import words
from autotune.robust.choose import Single, against, ahead, bests, ordered, regret, singles
from autotune.robust.mix import MEAN, REGRET, WORST, Mix, by_workload
from autotune.robust.parts import weighs_alike
from autotune.settings import Settings, StudySettings
from autotune.ties import words as in_words
from autotune.trial import Trial, ranking

SENTENCES = {
    MEAN: "The factor is the geometric mean over the workloads, {weights}.",
    WORST: "The factor is that of the workload that gains least; by it the configuration was chosen.",
    REGRET: "The factor is the geometric mean over the workloads; the configuration was chosen by its regret, the most "
    "that it loses on any of them against the best that was found for that one.",
}


def details(settings: Settings, trials: Sequence[Trial], chosen: Trial, held_out: Gains) -> dict[str, Any]:
    """`robust` for the details; nothing where there is one workload."""
    mix, ranked = settings.mix, ranking(list(trials))
    if mix is None:
        return {}
    rows = [_row(trial, ranked, settings, mix) for trial in ordered(ranked, mix)]
    return {
        "robust": {
            "rule": mix.rule,
            "weights": dict(mix.weights),
            "rows": rows,
            "chosen": chosen.number,
            "confirmed": factors(held_out, settings),
            "singles": [each.to_json() for each in singles(ranked, mix, settings.study)] if len(ranked) > 1 else [],
        }
    }


def factors(measured: Gains, settings: Settings) -> dict[str, dict[str, Any]]:
    """The speed-up on every workload with its interval."""
    found = {name: interval_of(gains, settings.study) for name, gains in by_workload(measured).items()}
    return {name: {"speedup": each.factor, "interval": each.factor_bounds} for name, each in found.items()}


def _row(trial: Trial, ranked: Sequence[Trial], settings: Settings, mix: Mix) -> dict[str, Any]:
    """`regret` is the share of the speed that it loses where it loses most."""
    return {
        "trial": trial.number,
        "parameters": shown(trial.parameters),
        "by_workload": factors(trial.gains, settings),
        "regret": 1 - math.exp(-regret(trial, ranked, mix)),
    }


def notes(settings: Settings, trials: Sequence[Trial], chosen: Trial, held_out: Gains) -> list[str]:
    """For the reader of the result."""
    mix, ranked = settings.mix, ranking(list(trials))
    if mix is None:
        return []
    found = factors(held_out, settings)
    each = ", ".join(f"{name} {words.factor(one['speedup'])} {words.bounds(one['interval'])}" for name, one in
                     found.items())  # fmt: skip
    sentences = [f"By workload, on the held-out prompts: {each}. {SENTENCES[mix.rule].format(weights=weights(mix))}"]
    slower = [name for name, one in found.items() if one["interval"] and one["interval"][1] < 1]
    if slower:
        sentences.append(
            f"Slower than no speculation on {', '.join(slower)}: turn it off there if requests can be told."
        )
    if settings.study.model and len(ranked) > 1 and not weighs_alike(settings):
        sentences.append(
            "The model of cost and acceptance, which weighs every prompt alike, had no part in this search."
        )
    if len(ranked) < 2:
        return sentences
    return [
        *sentences,
        _of_chosen(chosen, ranked, mix, settings.study),
        *_of_singles(singles(ranked, mix, settings.study), chosen),
    ]


def weights(mix: Mix) -> str:
    if len(set(mix.weights.values())) == 1:
        return "each counting alike"
    return "weighed " + ", ".join(f"{name} {words.percent(weight)}" for name, weight in mix.weights.items())


def _of_chosen(chosen: Trial, ranked: Sequence[Trial], mix: Mix, study: StudySettings) -> str:
    """What it loses where it seems to lose most, and whether that is sure."""
    lost = ahead(chosen, ranked, mix)
    where = max(lost, key=lambda name: lost[name], default="")
    if not where or lost[where] <= 0:
        return "On the search's prompts no configuration was better on any of the workloads."
    loss = f"{_share(lost[where])} on {where} against the best for that"
    there = against(chosen, bests(ranked, mix)[where], where, study)
    if there.high is None or there.high >= 0:
        return f"On the search's prompts no configuration was surely better on any workload; it seems to lose {loss}."
    return f"On the search's prompts it loses {loss}, and less elsewhere."


def _of_singles(found: Sequence[Single], chosen: Trial) -> list[str]:
    """A sentence for every workload whose own best is another configuration that loses somewhere."""
    return [
        f"The best for {single.workload} alone ({in_words(single.trial.parameters)}) would lose "
        f"{_losses(single.losses)} against the best there."
        for single in found
        if single.losses and single.trial.key != chosen.key
    ]


def _losses(losses: Mapping[str, float]) -> str:
    return " and ".join(f"{words.percent(loss)} on {name}" for name, loss in losses.items())


def _share(log_ratio: float) -> str:
    return f"{100 * (1 - math.exp(-log_ratio)):.1f} %"
