"""Draft heads that read pairs (next token, the target's state before it) and feed their own output back: EAGLE, MTP.

Ragged drafting computes what is needed: the pairs that became final, and no draft beyond a sequence's limit. Padded
drafting (disable_padded_drafter_batch=false) computes all rows of the step and all sequences to the deepest limit, so
that shapes depend on the batch and not on what was accepted; what is beyond a sequence's end is overwritten or cut off.

Pair (x_{i+1}, h_i) sits at position i of the head's cache. In every step the pairs that became final are taken in with
the target's true states, over whatever drafting had written there; the last one's output starts the next draft.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from engine import sequence as running
from engine.draft import Draft, Seen
from engine.drafting.chains import Stepper
from engine.drafting.fixed import Roots, Verified
from engine.drafting.host import Host
from engine.drafting.level import DraftLevel
from engine.drafting.trained import TrainedProposer
from engine.drafting.trees import plan_of
from engine.models.attention import Span
from engine.models.config import DecoderConfig
from engine.models.decoder import TargetOutput
from engine.models.fixed_rows import Grid
from engine.models.kv_cache import KVCache
from engine.models.stack import Short
from engine.speculative_config import SpeculativeConfig
from engine.tree.masks import MAX_FED
from kernels.draft_inputs.op import draft_inputs
from kernels.draft_inputs.reference import DraftInputs


class HeadNetwork(Protocol):
    """A head over pairs. Tensors: tokens [R], hidden and outputs [R, H], logits [R, V]."""

    config: DecoderConfig

    @property
    def taps(self) -> tuple[int, ...]:
        """The target's boundaries that it reads."""

    @property
    def logits(self) -> Callable[[Tensor], Tensor]:
        """Outputs to logits."""

    @property
    def best(self) -> Callable[[Tensor], Tensor]:
        """Outputs to the likeliest tokens [R], where nothing else of the logits is asked for."""

    def condition(self, output: TargetOutput) -> Tensor:
        """What pairs take from the target, for all rows of a step."""

    def forward(self, tokens: Tensor, hidden: Tensor, short: Short, long: Sequence[Span], cache: KVCache) -> Tensor:
        """The outputs of these pairs: for `logits`, and as `hidden` of the next pair."""


class HeadProposer(TrainedProposer):
    """Subclasses say how the network is loaded. num_draft_rows counts the rows that it computed."""

    knobs: ClassVar[tuple[str, ...]] = (*TrainedProposer.knobs, "disable_padded_drafter_batch")
    takes_in: ClassVar[bool] = True

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        target = host.target
        self.network: HeadNetwork = host.keep(self.key(), self.load)
        self.taps = self.network.taps
        size = (self.network.config, host.num_slots, target.max_model_len, target.dtype, target.device, MAX_FED)
        self.cache = host.keep((*self.key(), "cache"), lambda: KVCache(*size, budget=host.kv_cache_tokens))
        self.is_padded = config.disable_padded_drafter_batch is False
        self.num_draft_rows = 0
        shape, like = (host.num_slots + 1, self.network.config.hidden_size), (target.dtype, target.device)
        # Of every slot, and last of none: steps of fixed shape write there for sequences that are not there.
        self._outputs = host.keep((*self.key(), "outputs"), lambda: _zeros(shape, *like))

    @classmethod
    def can_split(cls, raw: Mapping[str, Any]) -> bool:
        return True

    def key(self) -> tuple:
        """What distinguishes one loaded network from another."""
        return type(self), str(self.folder)

    def load(self) -> HeadNetwork:
        raise NotImplementedError

    def observe(self, seen: Sequence[Seen], output: TargetOutput) -> None:
        """Take in the true pairs and keep each sequence's last output."""
        if not seen:
            return
        tokens, rows, last, spans = _pairs(self._padded(seen) if self.is_padded else seen)
        self.num_draft_rows += len(rows)
        device = self._outputs.device
        hidden = self.network.condition(output)
        if rows != list(range(hidden.shape[0])):
            hidden = hidden.index_select(0, torch.tensor(rows, device=device))
        ids = torch.tensor(tokens, device=device)
        out = self.network.forward(ids, hidden, spans[False], spans[True], self.cache)
        slots = torch.tensor([found.sequence.slot for found in seen], device=device)
        self._outputs.index_copy_(0, slots, out.index_select(0, torch.tensor(last, device=device)))

    def release(self, slot: int) -> None:
        self.cache.release(slot)

    def propose(self, sequences: Sequence["running.Sequence"], limits: Sequence[int]) -> Draft:
        if not self.is_padded:
            return super().propose(sequences, limits)
        deepest = max(limits, default=0)
        whole = [
            min(deepest, self.max_model_len - len(s)) if k > 0 else 0 for k, s in zip(limits, sequences, strict=True)
        ]
        return super().propose(sequences, whole).cut(limits)

    def stepper(self, sequences: Sequence["running.Sequence"]) -> Stepper:
        slots = torch.tensor([sequence.slot for sequence in sequences], device=self._outputs.device)
        return CountingStepper(self, self._outputs.index_select(0, slots))

    def fixed_kind(self) -> Hashable | None:
        """A ragged batch (disable_padded_drafter_batch=true) has no fixed shape."""
        is_ragged = self.config.disable_padded_drafter_batch is True
        return None if is_ragged else (*self.key(), str(self.tree))

    def fixed_stepper(self, roots: Roots) -> Stepper:
        """See FixedProposer."""
        return HeadStepper(self, self._outputs.index_select(0, roots.states))

    def take_in(self, roots: Roots, verified: Verified, output: TargetOutput, num_rows: int) -> None:
        """See FixedProposer: the pairs that became final, padded to the deepest draft."""
        where = (roots.starts, roots.slots, num_rows, self.cache.slot_len)
        pairs = DraftInputs(*draft_inputs(*verified, *where))
        hidden = self.network.condition(output).index_select(0, pairs.rows.flatten())
        rows = pairs.positions.where(pairs.places >= 0, -1)
        given = Grid(roots.slots, rows, pairs.positions, roots.starts + 1, pairs.counts)
        out = self.network.forward(pairs.tokens.flatten(), hidden, given, [], self.cache)
        self._outputs.index_copy_(0, roots.states, out.index_select(0, pairs.last))

    def host_drafted(self, sequences: Sequence["running.Sequence"], batch: int, depth: int) -> None:
        fed = depth - 1 if self.tree is None else plan_of(self.tree).num_fed
        self.num_draft_rows += batch * fed

    def host_taken_in(self, rows: int) -> None:
        self.num_draft_rows += rows

    def _padded(self, seen: Sequence[Seen]) -> list[Seen]:
        """As many rows for all sequences that decode: the final ones, and then rejected ones, whose places come later.

        Fewer only where the positions end.
        """
        most = max((len(found.step_rows) for found in seen if not found.is_prompt), default=0)
        padded = []
        for found in seen:
            rows = list(found.rows)
            missing = min(most, self.max_model_len - found.start) - len(rows)
            filled = found if found.is_prompt else found._replace(rows=rows + [found.step_rows[-1]] * max(missing, 0))
            padded.append(filled)
        return padded


class HeadStepper(Stepper):
    """The draft loop's view of a head: its last outputs [R, H]."""

    def __init__(self, proposer: HeadProposer, hidden: Tensor):
        self._proposer, self._network, self._hidden = proposer, proposer.network, hidden

    def logits(self) -> Tensor:
        return self._network.logits(self._hidden)

    def best(self) -> Tensor:
        return self._network.best(self._hidden)

    def narrow(self, keep: Tensor) -> None:
        self._hidden = self._hidden.index_select(0, keep)

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        """A pair's position is one before that of its token."""
        self._hidden = self._network.forward(tokens, self._hidden, level.spans(-1), [], self._proposer.cache)


class CountingStepper(HeadStepper):
    """The same; every row that it feeds is one that the proposer computed."""

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        self._proposer.num_draft_rows += len(tokens)
        super().feed(tokens, level)


def _zeros(shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros(shape, dtype=dtype, device=device)


def _pairs(seen: Sequence[Seen]) -> tuple[list[int], list[int], list[int], dict[bool, list[Span]]]:
    """Of every pair its token and its row in the step; where each sequence's last true pair is; the spans by is_prompt.

    Rows beyond the final ones are padding, with token 0.
    """
    tokens: list[int] = []
    rows: list[int] = []
    last: list[int] = []
    spans: dict[bool, list[Span]] = {False: [], True: []}
    for sequence, start, wanted, is_prompt, _ in seen:
        final = sequence.tokens[start + 1 : start + len(wanted) + 1]
        last.append(len(tokens) + len(final) - 1)
        tokens += final + [0] * (len(wanted) - len(final))
        rows += wanted
        spans[is_prompt].append(Span(sequence.slot, start, len(wanted)))
    return tokens, rows, last, spans
