"""The session of a replay: the same calls as those of a real one, answered from recorded responses. Runs in the worker.

Nothing is timed. A run's cost is that of its target passes, in steps without speculation: one each, or what the table
of step costs says of their rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autotune import step_costs
from autotune.errors import UsageError
from autotune.samples import Arm, ArmRun, RequestSample, UnitResult
from autotune.worker.protocol import WARM, Opened, Recording
from autotune.worker.serve import counters
from autotune.worker.session import loader
from engine.text import Text
from workloads import Request


@dataclass(frozen=True)
class Pair:
    """A prompt and what was answered, as token ids."""

    request_id: str
    prompt: list[int]
    response: list[int]


class ReplaySession:
    """Every measured run begins with the same memory, as in a real session: empty, or the warm responses."""

    def __init__(self, opening: Recording) -> None:
        self._replay = loader(opening.loader)()
        self._costs = step_costs.read(opening.step_costs) if opening.step_costs is not None else None
        encoder = Encoder(opening.tokenizer)
        self._pairs = {split: [encoder.pair(request) for request in found] for split, found in opening.requests.items()}
        self._responses = [pair.response for pair in self._pairs.get(WARM, [])]
        self._arms: dict[str, Arm] = {}
        lengths = {split: [len(pair.prompt) for pair in pairs] for split, pairs in self._pairs.items()}
        self.opened = Opened(_environment(opening), lengths)

    def prepare(self, arms: Sequence[Arm], split: str) -> None:
        """Take up the arms of the next measurements; what cannot be replayed is refused now."""
        self._arms = {arm.name: arm for arm in arms}
        for arm in arms:
            self._switch(arm)
            if arm.speculative_config is not None:
                self._cost(1 + self._replay.most_drafted)
                if self._responses:
                    self._replay.remember(self._responses)
            self._replay.reset()

    def measure(
        self,
        unit: str,
        split: str,
        indices: Sequence[int],
        repeat: int,
        order: Sequence[str],
        arrivals: Sequence[float] = (),
    ) -> UnitResult:
        """Every arm on the same pairs. The responses are the recorded ones, so there is nothing to compare; without a
        clock nothing arrives either.
        """
        pairs = [self._pairs[split][index] for index in indices]
        return UnitResult(unit, repeat, tuple(order), {name: self._run(self._arms[name], pairs) for name in order})

    def _run(self, arm: Arm, pairs: Sequence[Pair]) -> ArmRun:
        replay = self._switch(arm)
        replay.reset()
        if self._responses and replay.remembers_requests:
            replay.remember(self._responses)
        samples = tuple(_sample(pair, replay.serve(pair.request_id, pair.prompt, pair.response)) for pair in pairs)
        drafts = arm.speculative_config is not None
        cost = sum(count * (self._cost(rows) if drafts else 1.0) for rows, count in replay.rows.items())
        return ArmRun(arm.name, None, samples, counters(replay), cost=cost)

    def _cost(self, rows: int) -> float:
        return 1.0 if self._costs is None else self._costs.cost(rows)

    def _switch(self, arm: Arm) -> Any:
        self._replay.configure_speculation(dict(arm.speculative_config) if arm.speculative_config is not None else None)
        return self._replay


class Encoder:
    """Texts to token ids; a recording of token ids needs no tokenizer."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder

    def pair(self, request: Request) -> Pair:
        """UsageError for a pair that is text where no tokenizer was given."""
        response: Any = request.response
        prompt, response = self._ids(request, request.prompt, True), self._ids(request, response, False)
        return Pair(request.request_id, prompt, response[: request.max_tokens])

    def _ids(self, request: Request, value: Any, special: bool) -> list[int]:
        if not isinstance(value, str):
            return list(value)
        if self._folder is None:
            raise UsageError(
                f"pair {request.request_id} is text; give the model's tokenizer with model.tokenizer=FOLDER, "
                "or record token ids"
            )
        return self._tokenizer.encode(value, add_special_tokens=special).ids

    @cached_property
    def _tokenizer(self) -> Any:
        return Text(Path(self._folder or "")).backend


def _sample(pair: Pair, counted: Any) -> RequestSample:
    return RequestSample(
        request_id=pair.request_id,
        prompt_tokens=len(pair.prompt),
        tokens=len(pair.response),
        ttft=None,
        e2e=None,
        tpot=None,
        drafts=counted.num_drafts,
        draft_tokens=counted.num_draft_tokens,
        accepted_tokens=counted.num_accepted_tokens,
        acceptance_histogram=tuple(counted.acceptance_histogram),
    )


def _environment(opening: Recording) -> Mapping[str, Any]:
    return {
        "engine": "none: recorded responses are replayed",
        "time": "not measured",
        "recording": opening.path,
        "tokenizer": opening.tokenizer or "none: token ids were recorded",
        "step_costs": opening.step_costs or "none: every target pass counts as one",
    }
