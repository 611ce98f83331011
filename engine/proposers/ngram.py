"""Prompt lookup: draft what followed the last occurrence of the same few tokens in the request's own text.

The longest n in [prompt_lookup_min, prompt_lookup_max] for which the last n tokens occurred before wins; among its
occurrences the earliest. vLLM finds it by a pass over the context in every step; here an index per request is extended
by the new tokens only, so a step costs the same at any context length.

With a token tree that draft is its first path, and what followed other occurrences branches off from it
(engine/drafting/occurrences.py has their order); both are bounded in number, so the cost stays as flat.
"""

from collections.abc import Sequence as Sequences
from dataclasses import replace

from engine.draft import Draft
from engine.drafting.branches import Branch, Branches
from engine.drafting.host import Host
from engine.drafting.occurrences import Occurrences
from engine.errors import ConfigError
from engine.proposers.base import Proposer
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig, check_count
from engine.tree.token_tree import TokenTree

DEFAULT_LOOKUP = 5
MAX_LOOKUP = 256
MOST_OCCURRENCES = 16  # of an n-gram that a tree is filled from, beside the earliest


class NgramIndex:
    """Where every n-gram of a growing token list first ended, for n from `low` to `high`."""

    def __init__(self, low: int, high: int):
        self._sizes = range(low, high + 1)
        self._first_end: list[dict[tuple[int, ...], int]] = [{} for _ in self._sizes]
        self._indexed = 0  # n-grams ending at positions below this are in the index

    def continuation(self, tokens: list[int], limit: int) -> list[int]:
        """Up to `limit` tokens that followed the earliest occurrence of the longest matching suffix of `tokens`."""
        self._extend(tokens)
        for size, first_end in zip(reversed(self._sizes), reversed(self._first_end), strict=True):
            if size < len(tokens):
                end = first_end.get(tuple(tokens[-size:]))
                if end is not None:
                    return tokens[end : end + limit]
        return []

    def _extend(self, tokens: list[int]) -> None:
        """Index every n-gram that ends before the last token: the suffix itself must not match itself."""
        for end in range(self._indexed + 1, len(tokens)):
            for size, first_end in zip(self._sizes, self._first_end, strict=True):
                if size > end:
                    break
                first_end.setdefault(tuple(tokens[end - size : end]), end)
        self._indexed = max(self._indexed, len(tokens) - 1)


class NgramProposer(Proposer):
    model_free = True
    knobs = ("prompt_lookup_min", "prompt_lookup_max", "speculative_token_tree")

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        self._window = config.prompt_lookup_min or DEFAULT_LOOKUP, config.prompt_lookup_max or DEFAULT_LOOKUP
        self._indexes: dict[str, NgramIndex] = {}
        self._occurrences: dict[str, Occurrences] = {}

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        """Neither bound given: 5 and 5. One given: the other takes its value."""
        config = super().fill_defaults(config)
        check_count("prompt_lookup_min", config.prompt_lookup_min, 1, MAX_LOOKUP)
        check_count("prompt_lookup_max", config.prompt_lookup_max, 1, MAX_LOOKUP)
        low = config.prompt_lookup_min or config.prompt_lookup_max or DEFAULT_LOOKUP
        high = config.prompt_lookup_max or low
        if low > high:
            raise ConfigError(
                f"prompt_lookup_min={low} is above prompt_lookup_max={high}: the minimum must not exceed it"
            )
        return replace(config, prompt_lookup_min=low, prompt_lookup_max=high)

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        pairs = zip(sequences, limits, strict=True)
        if self.tree is None:
            return Draft.chains([self._chain(sequence, limit) for sequence, limit in pairs])
        return Draft.trees([self._branch(self.tree, sequence, limit) for sequence, limit in pairs])

    def stop(self, sequence: Sequence) -> None:
        self._indexes.pop(sequence.request_id, None)
        self._occurrences.pop(sequence.request_id, None)

    def reset(self) -> None:
        self._indexes.clear()
        self._occurrences.clear()

    def _chain(self, sequence: Sequence, limit: int) -> list[int]:
        if limit <= 0:
            return []
        index = self._indexes.get(sequence.request_id)
        if index is None:
            index = self._indexes[sequence.request_id] = NgramIndex(*self._window)
        return index.continuation(sequence.tokens, limit)

    def _branch(self, tree: TokenTree, sequence: Sequence, limit: int) -> Branch:
        branches = Branches(tree)
        if limit > 0:
            index = self._occurrences.get(sequence.request_id)
            if index is None:
                index = self._occurrences[sequence.request_id] = Occurrences(*self._window)
            for continuation in index.continuations(sequence.tokens, limit, MOST_OCCURRENCES):
                branches.add(continuation)
                if branches.is_full:
                    break
        return branches.branch()


PROPOSER = NgramProposer
