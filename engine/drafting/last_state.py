"""Drafts that read nothing but the target's final state of the last accepted position: Medusa, the MLP speculator."""

from collections.abc import Hashable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from engine import sequence as running
from engine.draft import Seen
from engine.drafting.fixed import Roots, Verified
from engine.drafting.host import Host
from engine.drafting.trained import TrainedProposer
from engine.errors import ConfigError
from engine.models.decoder import FINAL, TargetOutput
from engine.speculative_config import SpeculativeConfig
from kernels.draft_inputs.op import draft_inputs
from kernels.draft_inputs.reference import DraftInputs


class LastStateProposer(TrainedProposer):
    """Keeps one state [H] per slot. Subclasses give `stepper` and draft at most `depth` tokens."""

    taps = (FINAL,)
    takes_in: ClassVar[bool] = True

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        target = host.target
        shape, dtype, device = (host.num_slots + 1, target.config.hidden_size), target.dtype, target.device
        # Of every slot, and last of none: steps of fixed shape write there for sequences that are not there.
        key = type(self), str(self.folder), "states"
        self._states = host.keep(key, lambda: torch.zeros(shape, dtype=dtype, device=device))

    def observe(self, seen: Sequence[Seen], output: TargetOutput) -> None:
        if not seen:
            return
        rows = self._index([found.rows[-1] for found in seen])
        self._states.index_copy_(0, self._slots([found.sequence for found in seen]), output.taps[FINAL][rows])

    def last_states(self, sequences: Sequence["running.Sequence"]) -> Tensor:
        """[S, H]: of each sequence the state from which the target chose its last token."""
        return self._states[self._slots(sequences)]

    def fixed_kind(self) -> Hashable | None:
        return type(self), str(self.folder), str(self.tree), self.config.num_speculative_tokens

    def take_in(self, roots: Roots, verified: Verified, output: TargetOutput, num_rows: int) -> None:
        """See FixedProposer."""
        pairs = DraftInputs(*draft_inputs(*verified, roots.starts, roots.slots, num_rows, 0))  # it has no cache
        self._states.index_copy_(0, roots.states, output.taps[FINAL].index_select(0, pairs.last_rows))

    def refuse_beyond(self, depth: int, what: str) -> None:
        """Raise where more tokens are asked for than the checkpoint can draft."""
        asked = self.config.num_speculative_tokens or 0
        if asked > depth:
            raise ConfigError(f"num_speculative_tokens={asked} is above the {depth} {what} of {self.folder}")

    def _slots(self, sequences: Sequence["running.Sequence"]) -> Tensor:
        return self._index([sequence.slot for sequence in sequences])

    def _index(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._states.device)
