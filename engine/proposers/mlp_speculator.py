"""The MLP speculator: a stage for every drafted token, each fed with the token of the stage before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine import sequence as running
from engine.drafting.chains import Stepper
from engine.drafting.fixed import Roots
from engine.drafting.host import Host
from engine.drafting.last_state import LastStateProposer
from engine.drafting.level import DraftLevel
from engine.models.mlp_speculator import MlpSpeculatorNetwork
from engine.speculative_config import SpeculativeConfig


class MlpSpeculatorProposer(LastStateProposer):
    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        folder = self.folder
        self.network = host.keep(("mlp_speculator", str(folder)), lambda: MlpSpeculatorNetwork(folder, host))
        self.refuse_beyond(self.network.sizes.n_predict, "stages (n_predict)")

    def stepper(self, sequences: Sequence["running.Sequence"]) -> "MlpSpeculatorStepper":
        states = self.last_states(sequences)
        last = torch.tensor([sequence.tokens[-1] for sequence in sequences], device=states.device)
        return MlpSpeculatorStepper(self.network, self.network.start(states), last)

    def fixed_stepper(self, roots: Roots) -> "MlpSpeculatorStepper":
        """See FixedProposer."""
        states = self._states.index_select(0, roots.states)
        return MlpSpeculatorStepper(self.network, self.network.start(states), roots.tokens)


class MlpSpeculatorStepper(Stepper):
    """Its stage and state [S, inner] after the last token."""

    def __init__(self, network: MlpSpeculatorNetwork, start: Tensor, tokens: Tensor):
        self._network, self._stage = network, 0
        self._state = network.advance(0, start, tokens)

    def logits(self) -> Tensor:
        return self._network.logits(self._stage, self._state)

    def narrow(self, keep: Tensor) -> None:
        self._state = self._state.index_select(0, keep)

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        self._stage = level.depth + 1
        self._state = self._network.advance(self._stage, self._state, tokens)


PROPOSER = MlpSpeculatorProposer
