"""A decoder in parts against the whole one: families, uneven vocabularies, fewer key-value heads than parts."""

import threading
from pathlib import Path

import pytest
import torch

from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.config import read_config
from engine.models.decoder import Decoder, load_weights
from engine.models.kernel_choice import cache_type
from engine.models.quantized import keeping
from engine.models.shard import WHOLE
from engine.models.tensor_files import SafetensorsFile
from engine.parallel.group import Group, open_store
from engine.parallel.part import Part
from tests.engine.conftest import save_model
from tests.engine.quantized_checkpoints import KINDS, save_quantized

CPU = torch.device("cpu")
CASES = [
    ("Llama", 2, {"attention_bias": True, "mlp_bias": True, "vocab_size": 97}),
    ("Llama", 4, {"num_key_value_heads": 2, "vocab_size": 9}),  # two parts a key-value head, none of the head for one
    ("Llama", 4, {"num_key_value_heads": 1}),
    ("Qwen2", 2, {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}),
    ("Qwen3", 2, {"head_dim": 32, "tie_word_embeddings": True, "vocab_size": 97}),
    ("Ernie4_5", 2, {"head_dim": 16}),
]


def in_parts(size: int, act) -> list:
    """act(shard) for every part, each in a thread of its own."""
    store, found = open_store(size), [None] * size

    def run(rank: int) -> None:
        group = Group(store if rank == 0 else open_store(size, store.port), rank, size, CPU)
        found[rank] = act(Part(group))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@torch.inference_mode()
def logits(folder: Path, shard=WHOLE, kernels="torch", load_format="auto") -> list[torch.Tensor]:
    """Of a prompt, then of rows of two sequences."""
    config = read_config(folder)
    weights = load_weights(folder, config, torch.float32, CPU, load_format, shard)
    decoder = Decoder(shard.config(config), weights, 64, "torch", kernels)
    cache = cache_type(kernels)(decoder.config, 2, 64, torch.float32, CPU)
    prompt = decoder.forward(list(range(3, 9)) * 2, [], [Span(0, 0, 7), Span(1, 0, 5)], cache).logits
    return [prompt, decoder.forward([4, 5, 6], [Span(0, 7, 2), Span(1, 5, 1)], [], cache).logits]


@pytest.mark.parametrize("kernels", ["torch", "fused"])
@pytest.mark.parametrize(("kind", "size", "shape"), CASES, ids=[f"{c[0]} {c[1]} {len(c[2])}" for c in CASES])
def test_parts_make_the_whole(tmp_path, kind, size, shape, kernels):
    save_model(tmp_path, kind, **({"num_hidden_layers": 2} | shape))
    whole = logits(tmp_path, kernels=kernels)
    parts = in_parts(size, lambda shard: logits(tmp_path, shard, kernels))
    for ranks, expected in zip(zip(*parts, strict=True), whole, strict=True):
        assert all(torch.equal(rank, ranks[0]) for rank in ranks)
        assert torch.allclose(ranks[0], expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_random_weights_are_parts_of_one_whole(random_model):
    whole = logits(random_model, load_format="dummy")
    parts = in_parts(2, lambda shard: logits(random_model, shard, load_format="dummy"))
    assert all(torch.allclose(part, one, atol=1e-5) for part, one in zip(parts[1], whole, strict=True))


@pytest.mark.parametrize(
    ("kind", "keep"), [("awq", True), ("gptq by activation order", True), ("fp8 in blocks", False)]
)
def test_quantized_checkpoints_are_split_too(tmp_path, monkeypatch, kind, keep):
    """Kept in 4 bits, as on a GPU, where no part cuts through a group; else expanded, then split."""
    monkeypatch.setattr(keeping, "can_multiply_codes", lambda device: keep)
    folder = save_quantized(tmp_path, *KINDS[kind])
    whole, parts = logits(folder), in_parts(2, lambda shard: logits(folder, shard))
    for part in parts:
        assert all(torch.allclose(mine, one, atol=1e-4) for mine, one in zip(part, whole, strict=True))


def test_each_reads_its_part_only(random_model, monkeypatch):
    numbers: dict[int, int] = {}
    read = SafetensorsFile.read

    def counted(self, name, part=None):
        tensor = read(self, name, part)
        if "proj" in name or "lm_head" in name:
            thread = threading.get_ident()
            numbers[thread] = numbers.get(thread, 0) + tensor.numel()
        return tensor

    monkeypatch.setattr(SafetensorsFile, "read", counted)
    in_parts(2, lambda shard: logits(random_model, shard))
    first, second = numbers.values()
    numbers.clear()
    logits(random_model)
    assert first == second == sum(numbers.values()) / 2


@pytest.mark.parametrize(
    ("size", "shape"),
    [(3, {}), (2, {"intermediate_size": 97}), (3, {"num_attention_heads": 6, "num_key_value_heads": 2})],
)
def test_what_cannot_be_split_is_refused(tmp_path, size, shape):
    save_model(tmp_path, num_hidden_layers=1, hidden_size=48, **shape)
    from engine import Engine

    with pytest.raises(ConfigError, match=f"{size} processes cannot share .* lower tensor_parallel_size"):
        Engine.load(tmp_path, tensor_parallel_size=size, device="cpu")
