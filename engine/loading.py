"""From a folder and a few wishes to a decoder that is ready: device, dtype, threads and product are settled here."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.draft_config import TargetFacts
from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.config import DecoderConfig, read_config
from engine.models.decoder import Decoder, DecoderWeights, load_weights
from engine.models.kernel_choice import Kernels, describe_kernels, resolve_kernels
from engine.models.kv_cache import KVCache
from engine.models.linear import Product, can_pack_half
from engine.models.shard import WHOLE, Shard
from engine.threads import quickest_times, thread_counts

# More threads must earn their keep: on a machine that others use too, a step waits for the slowest of them.
WORTH_A_THREAD = 0.85
LOAD_FORMATS = ("auto", "dummy")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Target:
    """A loaded target model, or this process's shard of it, and what was chosen for it.

    `config` has the shapes of the shard, where that is not the whole.
    """

    folder: Path
    decoder: Decoder
    config: DecoderConfig
    max_model_len: int
    dtype: torch.dtype
    device: torch.device
    num_threads: int
    load_format: str = "auto"
    kernels: Kernels = "torch"
    shard: Shard = WHOLE

    @property
    def facts(self) -> TargetFacts:
        return _facts(self.folder, self.config, self.max_model_len, self.dtype, self.shard.size)


def target_facts(
    folder: Path, max_model_len: int | None, dtype: str, device: str, tensor_parallel_size: int = 1
) -> TargetFacts:
    """What a speculative config is checked against, before the weights are read."""
    config = _config_of(folder)
    kind = resolve_dtype(dtype, config, resolve_device(device))
    return _facts(folder, config, _resolve_length(max_model_len, config), kind, tensor_parallel_size)


def load_target(
    folder: Path,
    max_model_len: int | None,
    dtype: str,
    device: str,
    num_threads: int | str,
    load_format: str = "auto",
    kernels: str = "auto",
    shard: Shard = WHOLE,
) -> Target:
    """Load the model in `folder`; a wrong wish is a ConfigError that says what is allowed."""
    if load_format not in LOAD_FORMATS:
        raise ConfigError(f"load_format={load_format!r} is not allowed: {', '.join(LOAD_FORMATS)}")
    config = _config_of(folder)
    place = shard.device(resolve_device(device))
    kind, path = resolve_dtype(dtype, config, place), resolve_kernels(kernels, place)
    length = _resolve_length(max_model_len, config)
    threads = thread_counts(num_threads, place, shard.size)
    weights, config = load_weights(folder, config, kind, place, load_format, shard), shard.config(config)
    product, count = _choose(config, weights, length, threads, path)
    torch.set_num_threads(count)
    decoder = Decoder(config, weights, length, product, path)
    return Target(folder, decoder, config, length, kind, place, count, load_format, path, shard)


def _config_of(folder: Path) -> DecoderConfig:
    if not folder.is_dir():
        raise ConfigError(f"model folder {folder} does not exist: give the path of a Hugging Face model folder")
    return read_config(folder)


def _facts(
    folder: Path, config: DecoderConfig, max_model_len: int, dtype: torch.dtype, tensor_parallel_size: int
) -> TargetFacts:
    name = str(dtype).removeprefix("torch.")
    return TargetFacts(folder, config.raw, max_model_len, name, tensor_parallel_size)


def resolve_device(device: str) -> torch.device:
    """ "auto" is the GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"device={device!r} is not allowed: auto, cpu, cuda or cuda:N") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device={device!r} was asked for but torch sees no GPU: use device=cpu or device=auto")
    return place


def resolve_dtype(dtype: str, config: DecoderConfig, device: torch.device) -> torch.dtype:
    """ "auto" is fp32 on a CPU, where half precision is slower, and the checkpoint's own dtype on a GPU."""
    own = str(config.raw.get("dtype") or config.raw.get("torch_dtype") or "bfloat16")
    name = dtype if dtype != "auto" else ("float32" if device.type == "cpu" else own)
    if name not in DTYPES:
        raise ConfigError(f"dtype={dtype!r} is not allowed: auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _resolve_length(asked: int | None, config: DecoderConfig) -> int:
    limit = config.max_position_embeddings
    if asked is None:
        return limit
    if isinstance(asked, bool) or not isinstance(asked, int) or not 2 <= asked <= limit:
        raise ConfigError(f"max_model_len={asked!r} is not allowed: from 2 to the model's {limit} positions")
    return asked


def _choose(
    config: DecoderConfig, weights: DecoderWeights, length: int, threads: list[int], kernels: Kernels
) -> tuple[Product, int]:
    """The product and thread count that make a step of one row and of five rows fastest on this machine."""
    packs = weights.shard.all(can_pack_half(weights.matrices))
    products: list[Product] = ["half_packed", "torch"] if packs else ["torch"]
    if len(products) * len(threads) == 1:
        return products[0], threads[0]
    place, count = weights.shard.decided(lambda: _quickest(config, weights, length, products, threads, kernels))
    return products[place], count


def _quickest(
    config: DecoderConfig,
    weights: DecoderWeights,
    length: int,
    products: list[Product],
    threads: list[int],
    kernels: Kernels,
) -> list[int]:
    """The place of the product and the thread count; of a shard what it computes on its own."""
    device, length = weights.embeddings.device, min(length, 256)
    layers = [replace(layer, shard=WHOLE) for layer in weights.layers[:4]]
    trial = DecoderWeights(weights.embeddings, layers, weights.final_norm, weights.head)
    cache = KVCache(config, 1, length, weights.embeddings.dtype, device)
    decoders = {product: Decoder(config, trial, length, product, kernels) for product in products}
    steps = {product: partial(_one_and_five, decoder, cache) for product, decoder in decoders.items()}
    times: dict[tuple[Product, int], float] = {}
    for count in threads:
        torch.set_num_threads(count)
        hopeless = 3 * min(times.values(), default=math.inf)
        found = {(product, count): seconds for product, seconds in quickest_times(steps, hopeless).items()}
        if times and min(found.values()) > WORTH_A_THREAD * min(times.values()):
            break
        times |= found
    product, count = min(times, key=lambda choice: times[choice])
    return [products.index(product), count]


@torch.inference_mode()
def _one_and_five(decoder: Decoder, cache: KVCache) -> None:
    last = cache.max_model_len
    for rows in (1, min(5, last)):
        decoder.forward([0] * rows, [Span(0, last - rows, rows)], [], cache)


def describe(target: Target) -> dict[str, Any]:
    """What runs, for the record that goes with every result."""
    return (
        {
            "device": str(target.device),
            "device_name": torch.cuda.get_device_name(target.device) if target.device.type == "cuda" else _cpu_name(),
            "dtype": str(target.dtype).removeprefix("torch."),
            "num_threads": target.num_threads,
            "linear": target.decoder.product,
            "max_model_len": target.max_model_len,
            "weights": "random" if target.load_format == "dummy" else "checkpoint",
            "torch": torch.__version__,
        }
        | describe_kernels(target.kernels, target.device)
        | target.decoder.stored
        | target.shard.describe()
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or "unknown"
