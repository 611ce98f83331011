"""EAGLE-3: a one-layer head fed with the target's states at three depths."""

from engine.drafting.aux_probe import warn_of_other_convention
from engine.drafting.dynamic_heads import DynamicHeadProposer
from engine.models.aux_layers import convention
from engine.models.config import read_raw_config
from engine.models.eagle3 import Eagle3Network


class Eagle3Proposer(DynamicHeadProposer):
    knobs = (*DynamicHeadProposer.knobs, "aux_layer_convention")

    def key(self) -> tuple:
        return (*super().key(), self.config.aux_layer_convention)

    def load(self) -> Eagle3Network:
        raw = read_raw_config(self.folder)
        kind = convention(raw, self.config.aux_layer_convention)
        network = Eagle3Network(self.folder, raw, self.host, kind)
        warn_of_other_convention(network, raw, kind, self.host)
        return network


PROPOSER = Eagle3Proposer
