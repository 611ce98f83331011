"""Drafting with weights: what all trained drafts have in common."""

from collections.abc import Hashable
from collections.abc import Sequence as Sequences
from functools import cached_property
from typing import ClassVar

from engine.draft import Draft
from engine.drafting.chains import Stepper, draft_chains
from engine.drafting.host import Host
from engine.drafting.trees import draft_trees
from engine.errors import ConfigError
from engine.proposers.base import Proposer
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig
from engine.tree.token_tree import TokenTree


class TrainedProposer(Proposer):
    """Drafts chains or trees with a network from a folder. Subclasses give `stepper`."""

    knobs: ClassVar[tuple[str, ...]] = ("model", "max_model_len", "draft_sample_method", "speculative_token_tree")
    needs_model: ClassVar[bool] = True

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        self.sample_method = config.draft_sample_method or "greedy"
        draft = config.draft_model_config
        assert draft is not None, "made by resolve for every method with a model"
        self.folder, self.draft_len = draft.folder, draft.max_model_len
        self.tree = _tree(config)

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        if cls.needs_model and config.model is None:
            raise ConfigError(f"method {config.method} needs `model`: the folder of its draft weights")
        return super().fill_defaults(config)

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        """Drafts for those that may; beyond the draft's own max_model_len nothing is drafted."""
        limits = self.fixed_limits(sequences, limits)
        drafting = [i for i, limit in enumerate(limits) if limit > 0]
        if not drafting:
            return Draft.empty(len(sequences))
        chosen = [sequences[i] for i in drafting]
        return self.draft(chosen, [limits[i] for i in drafting]).among(len(sequences), drafting)

    @cached_property  # asked several times a step
    def fixed_key(self) -> Hashable | None:
        captured = self.config.enforce_eager is not True and self.host.target.kernels == "fused"
        kind = self.fixed_kind() if captured else None
        return None if kind is None else (kind, self.host.variant)

    def fixed_kind(self) -> Hashable | None:
        """What tells one draft in fixed shapes from another; None where it cannot be made."""
        return None

    def fixed_limits(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> list[int]:
        return [max(min(k, self.draft_len - len(s)), 0) for k, s in zip(limits, sequences, strict=True)]

    def host_ready(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> bool:
        """See FixedProposer."""
        return True

    def host_drafted(self, sequences: Sequences[Sequence], batch: int, depth: int) -> None:
        """See FixedProposer."""

    def host_taken_in(self, rows: int) -> None:
        """See FixedProposer."""

    def draft(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        """Chains or trees of at most limits[i] levels, at least 1, for sequences[i]."""
        stepper = self.stepper(sequences)
        if self.tree is None:
            return draft_chains(stepper, sequences, limits, self.sample_method)
        return draft_trees(stepper, sequences, limits, self.tree, self.sample_method)

    def stepper(self, sequences: Sequences[Sequence]) -> Stepper:
        """The network, ready to give the logits of the first drafted token of these sequences."""
        raise NotImplementedError


def _tree(config: SpeculativeConfig) -> TokenTree | None:
    """The static tree, None for the chain of num_speculative_tokens."""
    depth = config.num_speculative_tokens or 0
    if config.speculative_token_tree is None:
        return None
    tree = TokenTree.parse(config.speculative_token_tree, depth)
    return None if tree.is_chain and tree.depth == depth else tree
