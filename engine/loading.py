"""From a folder and a few wishes to a decoder that is ready: device, dtype, threads and product are settled here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.errors import ConfigError
from engine.kv_cache import KVCache
from engine.models.attention import Span
from engine.models.config import DecoderConfig, read_config
from engine.models.decoder import Decoder, DecoderWeights, load_weights
from engine.models.linear import Product, can_pack_half
from engine.threads import fastest, thread_counts

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Target:
    """A loaded target model and what was chosen for it."""

    decoder: Decoder
    config: DecoderConfig
    max_model_len: int
    dtype: torch.dtype
    device: torch.device
    num_threads: int


def load_target(folder: Path, max_model_len: int | None, dtype: str, device: str, num_threads: int | str) -> Target:
    """Load the model in `folder`; a wrong wish is a ConfigError that says what is allowed."""
    if not folder.is_dir():
        raise ConfigError(f"model folder {folder} does not exist: give the path of a Hugging Face model folder")
    config = read_config(folder)
    place = resolve_device(device)
    kind = resolve_dtype(dtype, config, place)
    length = _resolve_length(max_model_len, config)
    threads = thread_counts(num_threads, place)
    weights = load_weights(folder, config, kind, place)
    product, count = _choose(config, weights, length, threads)
    torch.set_num_threads(count)
    return Target(Decoder(config, weights, length, product), config, length, kind, place, count)


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


def _choose(config: DecoderConfig, weights: DecoderWeights, length: int, threads: list[int]) -> tuple[Product, int]:
    """The product and thread count that make a step of one row and of five rows fastest on this machine."""
    products: list[Product] = ["half_packed", "torch"] if can_pack_half(weights.matrices) else ["torch"]
    choices = [(product, count) for product in products for count in threads]
    if len(choices) == 1:
        return choices[0]
    trial = DecoderWeights(weights.embeddings, weights.layers[:4], weights.final_norm, weights.head)
    device, dtype = weights.embeddings.device, weights.embeddings.dtype
    cache = KVCache(config, 1, min(length, 256), dtype, device)
    decoders = {product: Decoder(config, trial, min(length, 256), product) for product in products}

    def prepare(choice: tuple[Product, int]) -> Callable[[], None]:
        torch.set_num_threads(choice[1])
        return lambda: _one_and_five(decoders[choice[0]], cache)

    return fastest(choices, prepare)


def _one_and_five(decoder: Decoder, cache: KVCache) -> None:
    last = cache.max_model_len
    for _ in range(4):
        for rows in (1, min(5, last)):
            decoder.forward([0] * rows, [Span(0, last - rows, rows)], [], cache)


def describe(target: Target) -> dict[str, Any]:
    """What runs, for the record that goes with every result."""
    return {
        "device": str(target.device),
        "device_name": torch.cuda.get_device_name(target.device) if target.device.type == "cuda" else _cpu_name(),
        "dtype": str(target.dtype).removeprefix("torch."),
        "num_threads": target.num_threads,
        "linear": target.decoder.product,
        "attention": "scaled_dot_product_attention",
        "max_model_len": target.max_model_len,
        "torch": torch.__version__,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or "unknown"
