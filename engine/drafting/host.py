"""What a proposer may use of the engine it drafts for."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from engine.draft_config import DraftModelConfig, DraftParallelConfig, Quantization
from engine.loading import Target
from engine.models.config import DecoderConfig
from engine.models.kernel_choice import stack_type
from engine.models.layers import LayerWeights
from engine.models.linear import Product, can_pack_half, describe_product
from engine.models.quantized.formats import FourBits, Matrix
from engine.models.quantized.products import check_quantized
from engine.models.shard import WHOLE, Shard
from engine.models.stack import Stack

T = TypeVar("T")


@dataclass(frozen=True)
class Host:
    """The target, the size of its cache, and a shelf for what outlives a change of drafting parameters."""

    target: Target
    num_slots: int
    kv_cache_tokens: int | None = None  # positions that all slots share; None: room for all
    draft: DraftModelConfig | None = None  # that this host is for
    shard: Shard = WHOLE  # what this process computes of its layers
    _shelf: dict[Hashable, Any] = field(default_factory=dict)

    def drafting(self, draft: DraftModelConfig | None, parallel: DraftParallelConfig | None) -> "Host":
        """This host, over the same shelf, for one draft: whole, or in parts as the target is."""
        is_whole = parallel is None or parallel.tensor_parallel_size == 1
        return replace(self, draft=draft, shard=WHOLE if is_whole else self.target.shard)

    @property
    def quantization(self) -> Quantization | None:
        """What the draft's matrices are to be rounded to."""
        if self.draft is None or self.draft.stored is not None:
            return None
        return cast(Quantization | None, self.draft.quantization)

    @property
    def variant(self) -> Hashable:
        """What tells apart the weights and caches that are made of one folder."""
        return self.quantization, self.shard.size

    def keep(self, key: Hashable, build: Callable[[], T]) -> T:
        """`build()` the first time, the same object after: weights and caches are made once per engine."""
        full = self.variant, key
        if full not in self._shelf:
            self._shelf[full] = build()
        return self._shelf[full]

    @property
    def facts(self) -> dict[str, str]:
        """How the draft's matrices are stored and multiplied, for the record; empty where it has none."""
        stored = self.draft.stored if self.draft is not None else None
        found = {"draft_quantization": stored, "draft_linear": " and ".join(self._products)}
        return {name: value for name, value in found.items() if value}

    @property
    def _products(self) -> dict[str, None]:
        """Those of the draft in this folder, in the order in which they were met."""
        return self.keep(("products", self.draft and self.draft.folder), dict)

    def forget(self) -> None:
        """Empty the shelf; what is no longer used frees its memory."""
        self._shelf.clear()

    def product_for(self, matrices: Sequence[Matrix]) -> Product:
        """The product that `quantization` asks for, ConfigError where it cannot be had.

        Else the one that the target was found quickest with, where it is exact for these weights too.
        """
        product = self._choose(matrices)
        if any(isinstance(matrix, FourBits) for matrix in matrices):
            self._products["int4 (as stored)"] = None
        self._products[describe_product(product, self.target.device, self.target.dtype)] = None
        return product

    def _choose(self, matrices: Sequence[Matrix]) -> Product:
        if self.quantization is not None:
            return check_quantized(matrices, self.quantization)
        wanted = self.target.decoder.product
        return wanted if wanted == "torch" or self.shard.all(can_pack_half(matrices)) else "torch"

    def stack(self, config: DecoderConfig, layers: Sequence[LayerWeights], product: Product) -> Stack:
        """Layers of a draft network, for the positions and by the kernels of the target."""
        target = self.target
        build = stack_type(target.kernels)
        return build(config, layers, target.max_model_len, target.dtype, target.device, product)
