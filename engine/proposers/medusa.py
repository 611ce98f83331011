"""Medusa: a head for every offset, all of them on the target's last state. Its top-1 chain is drafted."""

from collections.abc import Sequence

from torch import Tensor

from engine import sequence as running
from engine.drafting.chains import Stepper
from engine.drafting.fixed import Roots
from engine.drafting.host import Host
from engine.drafting.last_state import LastStateProposer
from engine.drafting.level import DraftLevel
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

    def fixed_stepper(self, roots: Roots) -> "MedusaStepper":
        """See FixedProposer."""
        return MedusaStepper(self.network, self._residuals(self._states.index_select(0, roots.states)))


class MedusaStepper(Stepper):
    """z [heads, S, H] of all heads. No head sees a token, so the rows of a sequence have the same logits."""

    def __init__(self, network: MedusaNetwork, z: Tensor):
        self._network, self._z, self._depth = network, z, 0
        self._rows: Tensor | None = None  # the sequence of each row; None: one each

    def logits(self) -> Tensor:
        found = self._network.logits(self._depth, self._z[self._depth])
        return found if self._rows is None else found.index_select(0, self._rows)

    def narrow(self, keep: Tensor) -> None:
        self._rows = keep if self._rows is None else self._rows.index_select(0, keep)

    def feed(self, tokens: Tensor, level: DraftLevel) -> None:
        self._depth = level.depth + 1


PROPOSER = MedusaProposer
