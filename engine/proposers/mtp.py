"""Multi-token prediction: the modules that a model was trained with, from its own folder or from another."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from engine import sequence as running
from engine.draft import Seen
from engine.drafting.chains import Stepper
from engine.drafting.heads import HeadProposer
from engine.drafting.host import Host
from engine.drafting.module_chain import ChainStepper, ModuleChain
from engine.errors import ConfigError
from engine.models.decoder import TargetOutput
from engine.models.mtp.families import FAMILIES
from engine.models.mtp.network import MtpNetwork
from engine.speculative_config import SpeculativeConfig


class MtpProposer(HeadProposer):
    """One module is a head that feeds on its own output; several form a chain. `model` is the target if not given."""

    needs_model = False
    network: MtpNetwork

    def __init__(self, config: SpeculativeConfig, host: Host):
        super().__init__(config, host)
        modules = self.network.modules
        if len(modules) > 1 and self.is_padded:
            raise ConfigError(
                f"disable_padded_drafter_batch=False is not allowed with {len(modules)} MTP modules, which take in "
                "only what became final: true, or leave it out"
            )
        self._chain = ModuleChain(modules, self.cache, host.num_slots, self._outputs) if len(modules) > 1 else None

    def fixed_kind(self) -> Hashable | None:
        """Neither several modules nor blocks that transformers computes."""
        return super().fixed_kind() if self._chain is None and self.network.is_native else None

    @classmethod
    def can_split(cls, raw: Mapping[str, Any]) -> bool:
        """Not the blocks that transformers computes."""
        family = FAMILIES.get((raw.get("architectures") or [""])[0])
        return family is not None and family.published is None

    def load(self) -> MtpNetwork:
        return MtpNetwork(self.folder, self.host)

    def observe(self, seen: Sequence[Seen], output: TargetOutput) -> None:
        if self._chain is None:
            super().observe(seen, output)
        else:
            self._chain.observe(seen, self.network.condition(output))

    def stepper(self, sequences: Sequence["running.Sequence"]) -> Stepper:
        if self._chain is None:
            return super().stepper(sequences)
        slots = torch.tensor([sequence.slot for sequence in sequences], device=self._outputs.device)
        return ChainStepper(self._chain, slots, self.config.num_speculative_tokens or 0)


PROPOSER = MtpProposer
