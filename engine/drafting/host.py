"""What a proposer may use of the engine it drafts for."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from engine.loading import Target
from engine.models.config import DecoderConfig
from engine.models.kernel_choice import stack_type
from engine.models.layers import LayerWeights
from engine.models.linear import Product, can_pack_half
from engine.models.stack import Stack

T = TypeVar("T")


@dataclass(frozen=True)
class Host:
    """The target, the size of its cache, and a shelf for what outlives a change of drafting parameters."""

    target: Target
    num_slots: int
    kv_cache_tokens: int | None = None  # positions that all slots share; None: room for all
    _shelf: dict[Hashable, Any] = field(default_factory=dict)

    def keep(self, key: Hashable, build: Callable[[], T]) -> T:
        """`build()` the first time, the same object after: weights and caches are made once per engine."""
        if key not in self._shelf:
            self._shelf[key] = build()
        return self._shelf[key]

    def forget(self) -> None:
        """Empty the shelf; what is no longer used frees its memory."""
        self._shelf.clear()

    def product_for(self, matrices: list[Tensor]) -> Product:
        """The matrix product that the target was found quickest with, where it is exact for these weights too."""
        wanted = self.target.decoder.product
        return wanted if wanted == "torch" or can_pack_half(matrices) else "torch"

    def stack(self, config: DecoderConfig, layers: Sequence[LayerWeights], product: Product) -> Stack:
        """Layers of a draft network, for the positions and by the kernels of the target."""
        target = self.target
        build = stack_type(target.kernels)
        return build(config, layers, target.max_model_len, target.dtype, target.device, product)
