"""One proposer per config, so that what a method remembers of earlier requests survives a change of parameters."""

from engine.drafting.host import Host
from engine.proposers import find_proposer
from engine.proposers.base import Proposer
from engine.speculative_config import SpeculativeConfig


class Proposers:
    """Built when first asked for, the same object after, until `reset`."""

    def __init__(self, host: Host):
        self._host = host
        self._kept: list[Proposer] = []

    def use(self, config: SpeculativeConfig) -> Proposer:
        """The proposer of a resolved config."""
        for proposer in self._kept:
            if proposer.config == config:
                return proposer
        host = self._host.drafting(config.draft_model_config, config.draft_parallel_config)
        proposer = find_proposer(config.method or "none")(config, host)
        self._kept.append(proposer)
        return proposer

    def reset(self, current: Proposer) -> None:
        """Clear what `current` remembers; the others are forgotten as a whole."""
        current.reset()
        self._kept = [current]

    def forget(self, current: Proposer) -> None:
        """Keep nothing but `current`, which must need no weights of its own."""
        self._kept = [current]
        self._host.forget()
