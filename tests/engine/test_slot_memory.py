"""A CPU's cache takes memory where positions are in use, and gives it back with the slot."""

import gc

import psutil
import pytest
import torch

from engine import Engine, SamplingParams
from engine.models.config import read_config
from engine.models.kv_cache import KVCache
from engine.models.slot_memory import SlotMemory, can_release
from tests.engine.conftest import save_model

CPU, MIB = torch.device("cpu"), 2**20
pytestmark = pytest.mark.skipif(not can_release(CPU), reason="this system's slots keep their memory")


def resident() -> float:
    """MiB of this process in memory."""
    gc.collect()
    return psutil.Process().memory_info().rss / MIB


def test_written_pages_are_resident_and_released_ones_are_not():
    size = {"num_slots": 8, "slot_len": 1024, "width": 1024, "dtype": torch.float32}  # 4 MiB a slot
    assert SlotMemory(**size).tensor.max() == 0  # what torch loads at the first time is there
    memory = SlotMemory(**size)
    before = resident()
    assert memory.tensor.max() == 0
    assert resident() - before < 2  # to read takes none
    memory.tensor.fill_(1.0)
    assert 31 < resident() - before < 34
    for slot in (1, 2, 7):
        memory.release(slot)
    assert 19 < resident() - before < 22
    kept = memory.tensor.view(8, -1)
    assert [bool(kept[slot].all()) for slot in range(8)] == [slot not in (1, 2, 7) for slot in range(8)]
    assert not kept[1].any()


def test_pages_shared_with_a_neighbour_stay():
    memory = SlotMemory(num_slots=3, slot_len=100, width=33, dtype=torch.bfloat16)  # 6,600 bytes: never whole pages
    memory.tensor.fill_(1.0)
    memory.release(1)
    kept = memory.tensor.view(3, -1)
    assert kept[0].all()
    assert kept[2].all()


def test_without_a_budget_the_cache_is_a_plain_tensor(random_model):
    config = read_config(random_model)
    assert not KVCache(config, 2, 64, torch.float32, CPU).is_paged
    whole, shared = (KVCache(config, 64, 256, torch.float32, CPU, budget=budget) for budget in (10**9, 1000))
    assert shared.is_paged
    assert shared.num_bytes * whole.num_positions == whole.num_bytes * 1000  # the budget is what must fit


def test_resident_memory_follows_the_positions_in_use(tmp_path):
    """Slots for 256,000 positions of 12 KiB: 3 GiB of addresses, of which a few thousand positions take memory."""
    save_model(tmp_path, hidden_size=512, num_hidden_layers=3, num_key_value_heads=4, max_position_embeddings=16_000)
    small = {"max_num_batched_tokens": 64, "dtype": "float32", "num_threads": 1}
    settings = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1}
    engine = Engine.load(tmp_path, settings, max_num_seqs=16, kv_cache_tokens=8192, **small)
    wish = SamplingParams(max_tokens=2, temperature=0.0, ignore_eos=True)
    engine.generate([[1] * 16], wish)  # what is allocated once is there
    engine.warm_up()
    before, row = resident(), 3 * 2 * 512 * 4 / MIB
    engine.add_request("long", [1, *(3 + i % 90 for i in range(2900))], SamplingParams(max_tokens=64, temperature=0.0))
    while engine.kv_cache_usage < 2901 / 8192 or not engine._scheduler.running[0].is_decoding:
        engine.step()
    used = resident() - before
    assert 2900 * row < used < 2900 * row + 12
    engine.abort_request("long")
    assert resident() - before < 12
    assert engine.environment()["kv_cache_memory"] == "follows use"
