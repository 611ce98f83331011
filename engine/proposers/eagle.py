"""EAGLE 1 and 2: a one-layer head that extrapolates the target's last hidden state."""

from engine.drafting.heads import HeadProposer
from engine.models.eagle import EagleNetwork


class EagleProposer(HeadProposer):
    def load(self) -> EagleNetwork:
        return EagleNetwork(self.folder, self.host)


PROPOSER = EagleProposer
