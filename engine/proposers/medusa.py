"""Medusa: a head for every offset, all of them on the target's last state. Its top-1 chain is drafted."""

from collections.abc import Sequence

from torch import Tensor

from engine import sequence as running
from engine.drafting.host import Host
from engine.drafting.last_state import LastStateProposer
from engine.models.medusa import MedusaNetwork
from engine.speculative_config import SpeculativeConfig


class MedusaProposer(LastStateProposer):
    """The heads do not see each other's tokens: q of the token at depth i is the softmax of head i."""

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        folder = self.folder
        self.network = host.keep(("medusa", str(folder)), lambda: MedusaNetwork(folder, host))
        self.refuse_beyond(self.network.num_heads, "heads")
        self._residuals = self.network.residuals(config.num_speculative_tokens or 0)

    def stepper(self, sequences: Sequence["running.Sequence"]) -> "MedusaStepper":
        return MedusaStepper(self.network, self._residuals(self.last_states(sequences)))


class MedusaStepper:
    """z [heads, S, H] of all heads; a depth's logits are computed for the sequences that still draft there."""

    def __init__(self, network: MedusaNetwork, z: Tensor):
        self._network, self._z, self._depth = network, z, 0

    def logits(self) -> Tensor:
        return self._network.logits(self._depth, self._z[self._depth])

    def narrow(self, keep: Tensor) -> None:
        self._z = self._z.index_select(1, keep)

    def feed(self, tokens: Tensor, sequences: Sequence["running.Sequence"], depth: int) -> None:
        self._depth = depth + 1


PROPOSER = MedusaProposer
