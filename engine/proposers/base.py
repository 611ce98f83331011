"""What a drafting method is to the engine. The engine reads these declarations, never a method's name."""

from collections.abc import Hashable, Mapping
from collections.abc import Sequence as Sequences
from typing import TYPE_CHECKING, Any, ClassVar

from engine.draft import Draft, Seen
from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.sequence import Sequence
from engine.speculative_config import MAX_SPEC_LEN, SpeculativeConfig, check_count

if TYPE_CHECKING:
    from engine.models.decoder import TargetOutput


class Proposer:
    """Drafts tokens for decoding sequences. Subclasses override `propose` and what they need of the rest."""

    knobs: ClassVar[tuple[str, ...]] = ()  # fields of SpeculativeConfig that this method reads, beside the common ones
    drafts: ClassVar[bool] = True  # false for no speculation, whose drafts are always empty
    model_free: ClassVar[bool] = False  # the tokens of requests are all it needs: no weights, no hidden states
    remembers_requests: ClassVar[bool] = False  # drafts for one request from the responses to earlier ones
    takes_in: ClassVar[bool] = False  # of a method that drafts in fixed shapes: `take_in` stands for `observe` there
    sample_method: str = "greedy"  # how drafted tokens are picked, see drafting/sampling.py
    num_draft_rows: int = 0  # that a draft head computed
    taps: tuple[int, ...] = ()  # boundaries of the target whose hidden states it needs (TargetOutput)

    def __init__(self, config: SpeculativeConfig, host: Host):
        self.config = config
        self.host = host
        self.max_model_len = host.target.max_model_len
        self.tree = config.token_tree

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        """Check this method's fields and fill those not given."""
        check_count("num_speculative_tokens", config.num_speculative_tokens, 1, MAX_SPEC_LEN, required=True)
        return config

    @classmethod
    def can_split(cls, raw: Mapping[str, Any]) -> bool:
        """Whether the layers of the draft with this config.json can be dealt out to the processes of a target."""
        return False

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        """Draft at most limits[i] tokens for sequences[i]; a limit of 0 asks for no draft."""
        raise NotImplementedError

    def observe(self, seen: Sequences[Seen], output: "TargetOutput") -> None:
        """What a step made final of the unfinished sequences: first those decoding, by slot, then prompt chunks.

        Called in every step, drafted or not, so that a draft's own cache has no holes.
        """

    @property
    def fixed_key(self) -> Hashable | None:
        """None: it drafts on the host's word. Else it is a drafting.fixed.FixedProposer; proposers of equal keys draft
        alike, from the same weights and caches."""
        return None

    def fixed_limits(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> list[int]:
        """The limits that `propose` would keep to."""
        return list(limits)

    @property
    def dynamic(self) -> tuple[int, int] | None:
        """Of trees that take their shape from the draft's chances: nodes a level and children a node, and all nodes."""
        return None

    def fixed_nodes(self, limit: int) -> int:
        """How many nodes a draft of this limit has in fixed shapes."""
        return self.num_rows(limit) if limit else 0

    def num_rows(self, limit: int) -> int:
        """Cache positions that a draft of this limit takes: its nodes."""
        return limit if self.tree is None else len(self.tree.within(limit))

    def release(self, slot: int) -> None:
        """A slot was given back: its sequence ended, or was preempted and will be observed anew from its first token.

        What is kept by request must stay; a preempted one goes on.
        """

    def stop(self, sequence: Sequence) -> None:
        """A sequence has finished or was aborted."""

    def reset(self) -> None:
        """Forget what is carried from one request to the next."""

    def remember(self, responses: Sequences[Sequences[int]]) -> None:
        """Take up `responses` as if their requests had been served; only a method that remembers requests can."""
        raise ConfigError(
            f"method {self.config.method} remembers nothing of earlier requests: its cache cannot be warm"
        )
