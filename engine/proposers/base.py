"""What a drafting method is to the engine. The engine reads these declarations, never a method's name."""

from collections.abc import Sequence as Sequences
from typing import TYPE_CHECKING, ClassVar

from engine.draft import Draft, Verification
from engine.sequence import Sequence
from engine.speculative_config import MAX_SPEC_LEN, SpeculativeConfig, check_count

if TYPE_CHECKING:
    from engine.models.decoder import TargetOutput


class Proposer:
    """Drafts tokens for decoding sequences. Subclasses override `propose` and what they need of the rest."""

    knobs: ClassVar[tuple[str, ...]] = ()  # fields of SpeculativeConfig that this method reads, beside the common ones
    taps: tuple[int, ...] = ()  # layer boundaries whose hidden states it needs

    def __init__(self, config: SpeculativeConfig, max_model_len: int):
        self.config = config
        self.max_model_len = max_model_len

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        """Check this method's fields and fill those not given."""
        check_count("num_speculative_tokens", config.num_speculative_tokens, 1, MAX_SPEC_LEN, required=True)
        return config

    def start(self, sequences: Sequences[Sequence], output: "TargetOutput") -> None:
        """Sequences whose prompt was just computed and whose first token was sampled."""

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        """Draft at most limits[i] tokens for sequences[i]; a limit of 0 asks for no draft."""
        raise NotImplementedError

    def observe(self, sequences: Sequences[Sequence], verification: Verification, output: "TargetOutput") -> None:
        """The sequences after their tokens were extended; called in every step, drafted or not."""

    def stop(self, sequence: Sequence) -> None:
        """A sequence has finished or was aborted."""

    def reset(self) -> None:
        """Forget what is carried from one request to the next."""
