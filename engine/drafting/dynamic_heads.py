"""Heads that may also draft dynamic trees: EAGLE and EAGLE-3."""

from collections.abc import Hashable
from collections.abc import Sequence as Sequences

from engine.draft import Draft
from engine.drafting.dynamic import draft_dynamic
from engine.drafting.heads import HeadProposer
from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig
from engine.tree.masks import MAX_FED


class DynamicHeadProposer(HeadProposer):
    """Static trees and chains as every head; a dynamic tree where the config asks for one."""

    knobs = (*HeadProposer.knobs, "dynamic_tree_topk", "dynamic_tree_num_draft_tokens")

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        self._topk, self._num_nodes = config.dynamic_tree_topk or 0, config.dynamic_tree_num_draft_tokens or 0

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        config = super().fill_defaults(config)
        fed = (config.dynamic_tree_topk or 0) * ((config.num_speculative_tokens or 0) - 1)
        if fed > MAX_FED:
            raise ConfigError(
                f"dynamic_tree_topk={config.dynamic_tree_topk} is too many on {config.num_speculative_tokens} levels: "
                f"topk x (num_speculative_tokens - 1) may be {MAX_FED} at most"
            )
        return config

    def fixed_kind(self) -> Hashable | None:
        kind = super().fixed_kind()
        return None if kind is None else (kind, self.dynamic, self.config.num_speculative_tokens)

    @property
    def dynamic(self) -> tuple[int, int] | None:
        return (self._topk, self._num_nodes) if self._num_nodes else None

    def fixed_nodes(self, limit: int) -> int:
        """All nodes of few levels may be fewer than are asked for."""
        if not self._num_nodes or not limit:
            return super().fixed_nodes(limit)
        width = min(self._topk, self.host.target.config.vocab_size)
        return min(self._num_nodes, width + (limit - 1) * width**2)

    def host_drafted(self, sequences: Sequences[Sequence], batch: int, depth: int) -> None:
        if not self._num_nodes:
            return super().host_drafted(sequences, batch, depth)
        self.num_draft_rows += batch * self._topk * (depth - 1)
        return None

    def num_rows(self, limit: int) -> int:
        return self._num_nodes or super().num_rows(limit)

    def draft(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        if not self._num_nodes:
            return super().draft(sequences, limits)
        return draft_dynamic(self.stepper(sequences), sequences, limits, self._topk, self._num_nodes)
