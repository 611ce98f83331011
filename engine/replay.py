"""Drive drafting methods along recorded responses. What the target chose is known, so there is no target, and no clock.

The first token of a response comes from its prompt's pass, undrafted. Every step then drafts, accepts the longest
path from the root that equals the record, and emits one token more. A draft is not cut at the end of the record.
For one-hot drafts that is exactly what a target does, greedy or sampling: it accepts a draft that equals its choice.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from typing import Any, cast

from engine.control import Control
from engine.draft import Draft, Verification
from engine.drafting.host import Host
from engine.drafting.kept import Proposers
from engine.errors import ConfigError
from engine.loading import Target
from engine.outputs import RequestMetrics
from engine.proposers import available_methods, find_proposer, resolve
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig
from engine.stats import SpecDecodingStats, StepTimings

NO_LIMIT = 2**31


@dataclass(frozen=True)
class Unlimited:
    """All that a model-free method may know of a target."""

    max_model_len: int = NO_LIMIT


class Replay:
    """The part of an engine that needs no model. `rows[q]` counts the steps whose target pass had q rows."""

    def __init__(self) -> None:
        self._proposers = Proposers(Host(cast(Target, Unlimited()), num_slots=1))
        self.configure_speculation(None)

    def configure_speculation(self, speculative_config: SpeculativeConfig | Mapping[str, Any] | None) -> None:
        """Change how drafts are made; counters start anew. A method that needs a model is a ConfigError."""
        method = SpeculativeConfig.from_any(speculative_config).method
        if method is not None:
            refuse_with_model(method)
        self.speculative_config = resolve(speculative_config)
        refuse_with_model(self.speculative_config.method or "none")
        self._proposer = self._proposers.use(self.speculative_config)
        self._reset_counters()

    @property
    def remembers_requests(self) -> bool:
        """Whether the method drafts for one request from what earlier ones were answered."""
        return self._proposer.remembers_requests

    @property
    def most_drafted(self) -> int:
        """Tokens in the largest draft there can be."""
        tree = self.speculative_config.token_tree
        return (self.speculative_config.num_speculative_tokens or 0) if tree is None else len(tree)

    def remember(self, responses: Sequences[Sequences[int]]) -> None:
        """Let the method draft from `responses` as if they had just been served, in this order."""
        self._proposer.remember(responses)

    def reset(self) -> None:
        """Clear what drafting carries from request to request, and the counters."""
        self._proposers.reset(self._proposer)
        self._reset_counters()

    def serve(self, request_id: str, prompt: Sequences[int], response: Sequences[int]) -> RequestMetrics:
        """Replay one request, which has counts and no times; the counters of the engine go on."""
        sequence = _sequence(request_id, [*prompt, *response[:1]], len(prompt))
        self.timing.count_output(len(response[:1]), decoding=False)
        done = 1
        while done < len(response):
            limits = self.control.limits([sequence], num_running=1, kv_usage=0.0)
            draft = self._proposer.propose([sequence], limits) if any(limits) else Draft.empty(1)
            path = _descend(draft, response, done)
            self.control.observe([sequence], draft, Verification([len(path)], []))
            if draft.tokens:
                self._count(draft, path, sequence.metrics)
            emitted = response[done : done + len(path) + 1]
            sequence.tokens += emitted
            self.timing.num_steps += 1
            self.timing.count_output(len(emitted), decoding=True)
            self.rows[1 + len(draft.tokens)] += 1
            done += len(emitted)
        self._proposer.stop(sequence)
        self.control.stop(sequence)
        return sequence.metrics

    def _count(self, draft: Draft, path: Sequences[int], metrics: RequestMetrics) -> None:
        shape = draft.shapes[0]
        self.stats.observe_draft(len(draft.tokens), len(path), shape.depth)
        if self.speculative_config.speculative_token_tree is not None:
            self.stats.observe_tree(shape.parents, path, draft.nodes)
        metrics.count_draft(len(draft.tokens), len(path), shape.depth)

    def _reset_counters(self) -> None:
        self.control = Control(self.speculative_config, max_num_seqs=1)
        self.stats = SpecDecodingStats(self.speculative_config.num_speculative_tokens or 0)
        self.timing = StepTimings()
        self.rows: Counter[int] = Counter()


def refuse_with_model(method: str) -> None:
    """ConfigError unless the tokens of requests are all that the method needs."""
    if not find_proposer(method).model_free:
        free = [name for name in available_methods() if find_proposer(name).model_free]
        raise ConfigError(f"method {method} needs a model, which a replay has not: allowed are {', '.join(free)}")


def _sequence(request_id: str, tokens: list[int], num_prompt_tokens: int) -> Sequence:
    params = SamplingParams(temperature=0.0)
    return Sequence(request_id, tokens, num_prompt_tokens, params, 0, NO_LIMIT, RequestMetrics(0.0), slot=0)


def _descend(draft: Draft, response: Sequences[int], start: int) -> list[int]:
    """The nodes of one sequence's draft that equal the record from `start` on, from the root down."""
    at, path = -1, list[int]()
    for node, parent in enumerate(draft.shapes[0].parents):
        if start + len(path) < len(response) and parent == at and draft.tokens[node] == response[start + len(path)]:
            at = node
            path.append(node)
    return path
