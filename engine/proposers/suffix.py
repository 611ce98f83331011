"""Suffix decoding: draft the likeliest continuation of the last tokens, in this request's text or in earlier responses.

Two trees: one per running request over prompt and output, one shared over the responses of up to max_cached_requests
requests (first in, first out). For every length m of the matched suffix, up to m * max_spec_factor tokens are followed;
the path with the highest expected number of accepts is drafted, so the draft's length changes from step to step.

With a token tree that path is its first, and the other continuations of all matches in both trees branch off from it.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Sequences
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from engine.draft import Draft
from engine.drafting.branches import Branch, Branches
from engine.drafting.host import Host
from engine.drafting.suffix_branches import grow
from engine.errors import ConfigError
from engine.proposers.base import Proposer
from engine.sequence import Sequence
from engine.speculative_config import SpeculativeConfig, check_count
from engine.suffix_tree import EMPTY, Path, Place, SuffixTree, Text
from engine.tree.token_tree import TokenTree

DEFAULTS = {
    "suffix_decoding_max_tree_depth": 24,
    "suffix_decoding_max_cached_requests": 10_000,
    "suffix_decoding_max_spec_factor": 1.0,
    "suffix_decoding_min_token_prob": 0.1,
}


class Match(NamedTuple):
    """The last `length` tokens occur in a tree and end at `place`."""

    length: int
    place: Place


class SuffixCache:
    """The two trees. `observe` and `draft` cost microseconds a token; nothing in them grows with the cache."""

    def __init__(self, max_depth: int, max_cached_requests: int, factor: float, min_prob: float):
        self._depth, self._most, self._factor, self._min_prob = max_depth, max_cached_requests, factor, min_prob
        self._local: dict[str, tuple[SuffixTree, Text]] = {}
        self._responses: dict[str, Text] = {}  # in the order in which the requests came
        self._shared = SuffixTree(max_depth)

    def observe(self, request_id: str, tokens: Sequences[int], num_prompt_tokens: int) -> None:
        """Take up the tokens of a request that were not seen before."""
        tree, text = self._local.get(request_id) or self._open(request_id)
        for i in range(len(text.tokens), len(tokens)):
            tree.append(text, tokens[i])
            response = self._responses.get(request_id)
            if response is not None and i >= num_prompt_tokens:
                self._shared.append(response, tokens[i])

    def draft(self, request_id: str, limit: int) -> list[int]:
        """The best path of both trees, at most `limit` tokens; of equals the request's own."""
        tree, text = self._local[request_id]
        own = self._best(tree, self._own_matches(text), limit)
        shared = self._best(self._shared, self._shared_matches(text), limit)
        return (shared if shared.score > own.score else own).tokens

    def branch(self, request_id: str, shape: TokenTree, limit: int) -> Branch:
        """That path first, then the likeliest tokens after every match in both trees, the longer match of equals;
        `limit` is a depth, and so is the budget of a match. The number of nodes is the shape's.
        """
        branches, text = Branches(shape), self._local[request_id][1]
        limit = min(limit, shape.depth)
        branches.add(self.draft(request_id, limit))
        matches = [*_distinct(self._own_matches(text)), *_distinct(self._shared_matches(text))]
        matches.sort(key=lambda match: -match.length)
        grow(branches, [(match.place, self._budget(match.length, limit)) for match in matches], self._min_prob)
        return branches.branch()

    def close(self, request_id: str) -> None:
        self._local.pop(request_id, None)

    def remember(self, request_id: str, response: Sequences[int]) -> None:
        """A whole response at once, as if its request had been served; nothing where no request is kept."""
        if self._most:
            text = self._keep(request_id)
            for token in response:
                self._shared.append(text, token)

    def _own_matches(self, text: Text) -> Iterator[Match]:
        """Of the last 1, 2, ... tokens in the request's own tree."""
        most = min(len(text.tokens), self._depth) - 1
        for m, node in enumerate(islice(reversed(text.ends), most), start=1):
            yield Match(m, Place(node, node.length))

    def _shared_matches(self, text: Text) -> Iterator[Match]:
        """The same in the tree of responses, as far as there are any."""
        pattern = text.tokens[-self._depth :]
        for m in range(1, len(pattern)):
            place = self._shared.find(pattern[-m:])
            if place is None:
                return
            yield Match(m, place)

    def _best(self, tree: SuffixTree, matches: Iterable[Match], limit: int) -> Path:
        best = EMPTY
        for m, place in matches:
            best = self._better(tree.likeliest_path(place, self._budget(m, limit), self._min_prob), best)
        return best

    def _budget(self, m: int, limit: int) -> int:
        return min(limit, int(m * self._factor + 1e-6))

    @staticmethod
    def _better(path: Path, best: Path) -> Path:
        """The one with the higher score; of equals the later, which matched more."""
        return path if path.tokens and path.score >= best.score else best

    def _open(self, request_id: str) -> tuple[SuffixTree, Text]:
        self._local[request_id] = SuffixTree(self._depth), Text()
        if self._most:
            self._keep(request_id)
        return self._local[request_id]

    def _keep(self, request_id: str) -> Text:
        """Room for a new response among the shared ones; the oldest goes where there are too many."""
        self._evict(request_id)
        text = self._responses[request_id] = Text()
        while len(self._responses) > self._most:
            self._evict(next(iter(self._responses)))
        return text

    def _evict(self, request_id: str) -> None:
        response = self._responses.pop(request_id, None)
        if response is not None:
            self._shared.remove(response)


class SuffixProposer(Proposer):
    model_free = True
    remembers_requests = True
    knobs = (*DEFAULTS, "speculative_token_tree")

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        self.reset()

    @classmethod
    def fill_defaults(cls, config: SpeculativeConfig) -> SpeculativeConfig:
        """num_speculative_tokens not given: the depth of the trees."""
        missing: dict[str, Any] = {name: value for name, value in DEFAULTS.items() if getattr(config, name) is None}
        config = replace(config, **missing)
        check_count("suffix_decoding_max_tree_depth", config.suffix_decoding_max_tree_depth, 1, 1024)
        check_count("suffix_decoding_max_cached_requests", config.suffix_decoding_max_cached_requests, 0)
        _check_real("suffix_decoding_max_spec_factor", config.suffix_decoding_max_spec_factor, float("inf"))
        _check_real("suffix_decoding_min_token_prob", config.suffix_decoding_min_token_prob, 1.0)
        if config.num_speculative_tokens is None:
            config = replace(config, num_speculative_tokens=config.suffix_decoding_max_tree_depth)
        return super().fill_defaults(config)

    def propose(self, sequences: Sequences[Sequence], limits: Sequences[int]) -> Draft:
        for sequence in sequences:
            self._cache.observe(sequence.request_id, sequence.tokens, sequence.num_prompt_tokens)
        pairs = zip(sequences, limits, strict=True)
        if self.tree is None:
            return Draft.chains([self._cache.draft(seq.request_id, limit) if limit > 0 else [] for seq, limit in pairs])
        return Draft.trees([self._cache.branch(seq.request_id, self.tree, limit) for seq, limit in pairs])

    def stop(self, sequence: Sequence) -> None:
        self._cache.observe(sequence.request_id, sequence.tokens, sequence.num_prompt_tokens)
        self._cache.close(sequence.request_id)

    def reset(self) -> None:
        config = self.config
        self._cache = SuffixCache(*(getattr(config, name) for name in DEFAULTS))
        self._remembered = 0

    def remember(self, responses: Sequences[Sequences[int]]) -> None:
        if not self.config.suffix_decoding_max_cached_requests:
            raise ConfigError("suffix_decoding_max_cached_requests=0 keeps no response: its cache cannot be warm")
        for response in responses:
            self._cache.remember(f"remembered-{self._remembered}", response)
            self._remembered += 1


def _distinct(matches: Iterable[Match]) -> Iterator[Match]:
    """Of matches with the same occurrences, which counts tell, the longest alone."""
    longest: Match | None = None
    for match in matches:
        if longest is not None and longest.place.node.count != match.place.node.count:
            yield longest
        longest = match
    if longest is not None:
        yield longest


def _check_real(name: str, value: object, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= high:
        allowed = "a number >= 0" if high == float("inf") else f"a number from 0 to {high:g}"
        raise ConfigError(f"{name}={value!r} is not allowed: {allowed}")


PROPOSER = SuffixProposer
