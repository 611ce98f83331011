"""What the rules look at: the numbers of a result, and what follows from them.

A step without speculation is the unit of cost: TPOT(method) * tokens per pass / TPOT(none) is what one of the method's
steps costs in it, and the shares of the step's time divide that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.diagnosis.again import again
from autotune.measurement import TARGET
from autotune.metrics import BATCHES, ratio
from autotune.result import Result
from autotune.settings import Settings
from autotune.trial import Trial

TREES = ("speculative_token_tree", "dynamic_tree_topk")
K = "num_speculative_tokens"


@dataclass(frozen=True)
class Seen:
    """`config` has every key of the method with its winning value; `searched` the keys that the study varied, `bounds`
    the largest number of drafted tokens that it could try. `several` says that other methods were searched too.
    """

    method: str
    model: str
    workload: str
    command_line: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    baseline: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    speedup: float | None = None
    interval: tuple[float, float] | None = None
    searched: tuple[str, ...] = ()
    bound: int | None = None
    several: bool = False
    temperature: float = 0.0
    prompts: int = 0
    timed: bool = True
    output_law: str = TARGET

    @property
    def drafted(self) -> bool:
        return bool(self.metrics.get("num_drafts"))

    @property
    def trained(self) -> bool:
        """Whether the draft has weights."""
        return "model" in self.config

    @property
    def tree(self) -> bool:
        return any(self.config.get(key) is not None for key in TREES)

    @property
    def positions(self) -> Sequence[float]:
        """Share of the drafts accepted up to each position."""
        return [share for share in self.metrics.get("acceptance_per_position") or () if share is not None]

    @property
    def tokens_per_pass(self) -> float | None:
        return self.metrics.get("tokens_per_target_pass")

    @property
    def passes(self) -> float | None:
        """Target passes of decoding requests: tokens after the first of each, over tokens a pass."""
        after_first = (self.metrics.get("num_output_tokens") or 0) - (self.metrics.get("num_requests") or 0)
        return ratio(after_first, self.tokens_per_pass or 0.0)

    @property
    def faster(self) -> float | None:
        """TPOT without speculation over TPOT with it."""
        mine, base = (_mean(metrics, "tpot_ms") for metrics in (self.metrics, self.baseline))
        return base / mine if mine and base else None

    @property
    def step_cost(self) -> float | None:
        """Of a step with the method, in steps without."""
        return self.tokens_per_pass / self.faster if self.tokens_per_pass and self.faster else None

    def share(self, part: str) -> float:
        return (self.metrics.get("time_split") or {}).get(part) or 0.0

    @property
    def draft_cost(self) -> float | None:
        return None if self.step_cost is None else self.share("draft") * self.step_cost

    @property
    def drafted_per_pass(self) -> float | None:
        return ratio(self.metrics.get("num_draft_tokens") or 0, self.passes or 0.0)

    @property
    def token_cost(self) -> float | None:
        """Of one drafted token, in steps without speculation: what a step costs more, over the tokens drafted in it."""
        if self.step_cost is None or not self.drafted_per_pass:
            return None
        return max(0.0, self.step_cost - 1) / self.drafted_per_pass

    @property
    def worth_drafting(self) -> float | None:
        """The acceptance from which one more drafted token pays. Tokens over cost rises with a token of acceptance a
        and cost m while (E + a) / (c + m) > E / c, that is a > m * E / c.
        """
        return None if self.token_cost is None or self.faster is None else self.token_cost * self.faster

    @property
    def batches(self) -> list[tuple[int, Mapping[str, Any], Mapping[str, Any]]]:
        """(requests decoding, steps without, steps with speculation) where both arms had such steps."""
        base, mine = self.baseline.get(BATCHES) or {}, self.metrics.get(BATCHES) or {}
        return [(int(size), base[size], mine[size]) for size in sorted(base, key=int) if size in mine and int(size)]

    def more_units(self, times: int) -> str:
        """A command with as many times the units of the confirmation: prompts, or windows under load."""
        if self.details.get("load", {}).get("kind") == "single":
            return self.command(f"workload.num_confirm_prompts={times * self.prompts}") if self.prompts else ""
        units = self.details.get("units")
        return self.command(f"load.confirm_passes={times * units}") if units else ""

    def command(self, *changes: str, module: str = "") -> str:
        """The run's command with these changes; of several methods this one alone."""
        of_method = any(change.lstrip("+~").startswith(("method.", "search.method.")) for change in changes)
        chosen = [f"method={self.method}"] if self.several and of_method else []
        return again(self.command_line, *chosen, *changes, module=module)


def seen_in(result: Result, settings: Settings, trials: Sequence[Trial]) -> Seen:
    """The view of a result that was just made."""
    parameters = next((trial.parameters for trial in trials if trial.number == result.details.get("trial")), {})
    method = settings.method_of(parameters)
    block = dict(method.search) | dict(settings.search.get("method") or {})
    varied = {path.rpartition(".")[2] for trial in trials for path in trial.parameters} if len(trials) > 1 else set()
    return Seen(
        method=result.method,
        model=settings.model.name,
        workload=settings.workloads[0].name if settings.workloads else result.workload,
        command_line=result.details["command_line"],
        config=dict(method.speculative_config or {}) | dict(result.speculative_config or {}),
        metrics=result.metrics,
        baseline=result.baseline,
        details=result.details,
        environment=result.environment,
        engine=settings.engine.options,
        trials=result.trials,
        speedup=result.speedup,
        interval=result.interval,
        searched=tuple(sorted(varied)),
        bound=_bound(block.get(K)),
        several=bool(settings.methods),
        temperature=settings.workload.temperature,
        prompts=settings.workload.num_confirm_prompts or 0,
        timed=result.said.is_timed,
        output_law=result.output_law,
    )


def _bound(block: Any) -> int | None:
    values = block.get("int") if isinstance(block, Mapping) else None
    return values[1] if isinstance(values, Sequence) and len(values) == 2 and isinstance(values[1], int) else None


def _mean(metrics: Mapping[str, Any], name: str) -> float | None:
    return (metrics.get(name) or {}).get("mean")
