"""No speculation: empty drafts, so that the baseline walks the very same code."""

from collections.abc import Sequence as Sequences
from dataclasses import replace

from engine.draft import Draft
from engine.proposers.base import Proposer
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig, check_count


class NoProposer(Proposer):
    drafts = False
    model_free = True

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        check_count("num_speculative_tokens", config.num_speculative_tokens, 0, 0)
        return replace(config, num_speculative_tokens=0)

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        return Draft.empty(len(sequences))


PROPOSER = NoProposer
