"""Several MTP modules in a row: module k drafts the token k + 1 places beyond the target's own.

Module k at position i reads the output of module k - 1 at position i and the token x_{i+k+1}; so all modules take in
the same tokens, each one position further back, and the state that a module reads at its first new position is the
newest output that the module before it had made final: that one is kept per slot.

A draft's step s is the logits of module s mod n. Past n steps module 0 goes on from the outputs that predicted the
drafted tokens, in the place of the target's states.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.draft import Seen
from engine.drafting.chains import Stepper
from engine.drafting.level import DraftLevel
from engine.models.attention import Span
from engine.models.kv_cache import KVCache
from engine.models.stack import Short


class Module(Protocol):
    """tokens [R], hidden [R, H] at the positions of the spans -> outputs [R, H]; and the logits [R, V] of those."""

    def forward(
        self, tokens: Tensor, hidden: Tensor, short: Sequence[Span], long: Sequence[Span], cache: KVCache
    ) -> Tensor: ...

    def logits(self, output: Tensor) -> Tensor: ...


class ModuleChain:
    """Modules over one cache, module k in its layer k; newest [n, slots, H] is what each last made of a true pair."""

    def __init__(self, modules: Sequence[Module], cache: KVCache, num_slots: int, like: Tensor):
        self.modules, self.cache = modules, cache
        self.newest = like.new_zeros(len(modules), num_slots, like.shape[-1])

    def observe(self, seen: Sequence[Seen], hidden: Tensor) -> None:
        """hidden [rows, H]: the target's states of the step."""
        states = [hidden[list(found.rows)] for found in seen]
        for k in range(len(self.modules)):
            outputs = self._take_in(k, seen, states)
            states = [self._one_back(k, found, out) for found, out in zip(seen, outputs, strict=True)]
            for found, out in zip(seen, outputs, strict=True):
                if len(out):
                    self.newest[k, found.sequence.slot] = out[-1]

    def _one_back(self, k: int, found: Seen, out: Tensor) -> Tensor:
        """Outputs of module k at the positions that are new to module k + 1: all start one position further back."""
        before = self.newest[k, found.sequence.slot][None] if found.start > k else out[:0]
        return torch.cat([before, out[:-1]])

    def _take_in(self, k: int, seen: Sequence[Seen], states: Sequence[Tensor]) -> list[Tensor]:
        """Module k over the last len(states[j]) pairs of seen[j]: fewer than its rows at the start of a text."""
        tokens: list[int] = []
        spans: dict[bool, list[Span]] = {False: [], True: []}
        for found, state in zip(seen, states, strict=True):
            if count := len(state):
                end = found.start + len(found.rows) + 1
                tokens += found.sequence.tokens[end - count : end]
                spans[found.is_prompt].append(Span(found.sequence.slot, end - 1 - k - count, count))
        if not tokens:
            return list(states)
        ids = torch.tensor(tokens, device=states[0].device)
        out = self.modules[k].forward(ids, torch.cat(list(states)), spans[False], spans[True], self.cache)
        return list(out.split([len(state) for state in states]))


class ChainStepper(Stepper):
    """The draft loop's view: newest [n, R, H], grown by drafted tokens. Drafts at most `most` levels."""

    def __init__(self, chain: ModuleChain, slots: Tensor, most: int):
        self._chain, self._newest, self._most = chain, chain.newest[:, slots], most
        self._module = 0  # whose logits are next

    def logits(self) -> Tensor:
        return self._chain.modules[self._module].logits(self._newest[self._module])

    def narrow(self, keep: Tensor) -> None:
        self._newest = self._newest.index_select(1, keep)

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        """Module k goes on by one position; where no step past the modules follows, only those still to be asked do."""
        count, before = len(self._chain.modules), self._newest
        states = [before[self._module], *before[:-1]]  # module 0: the output that predicted these tokens
        needed = range(count) if self._most > count else range(level.depth + 1, self._most)
        self._newest = before.clone()
        for k in needed:
            self._advance(k, tokens, states[k], level.spans(-1 - k))
        self._module = (level.depth + 1) % count

    def _advance(self, k: int, tokens: Tensor, states: Tensor, spans: Short) -> None:
        """A sequence whose text is too short for module k waits."""
        assert isinstance(spans, Sequence), "several modules are not drafted with in fixed shapes"
        rows: list[int] = []
        ready: list[Span] = []
        row = 0
        for span in spans:
            if span.start >= 0 and (span.tree is None or span.tree.base >= -1):
                rows += range(row, row + span.length)
                ready.append(span)
            row += span.length
        if not rows:
            return
        index = torch.tensor(rows, device=tokens.device)
        out = self._chain.modules[k].forward(tokens[index], states[index], ready, [], self._chain.cache)
        self._newest[k].index_copy_(0, index, out)
