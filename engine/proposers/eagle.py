"""EAGLE 1 and 2: a one-layer head that extrapolates the target's last hidden state."""

from engine.drafting.dynamic_heads import DynamicHeadProposer
from engine.models.eagle import EagleNetwork


class EagleProposer(DynamicHeadProposer):
    def load(self) -> EagleNetwork:
        return EagleNetwork(self.folder, self.host)


PROPOSER = EagleProposer
