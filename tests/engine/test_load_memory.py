"""Loading makes no second copy: what is allocated at its worst is the model."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from engine.models.config import read_config
from engine.models.decoder import load_weights

CPU = torch.device("cpu")


def peak_bytes(run, folder) -> int:
    """The most that torch held on the CPU at a time, beyond what it held before and without the mapped files."""
    mapped = {file.stat().st_size for file in folder.iterdir()}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        kept = run()
    held = most = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]" and abs(event.nbytes()) not in mapped:
            held += event.nbytes()
            most = max(most, held)
    del kept
    return most


@pytest.mark.parametrize("max_shard_size", ["50GB", "400KB"])
def test_the_peak_of_a_load_is_the_model(tmp_path, max_shard_size):
    shape = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "vocab_size": 64}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(**shape, **heads)).to(torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    size = 4 * sum(parameter.numel() for parameter in model.parameters())
    config = read_config(tmp_path)
    peak = peak_bytes(lambda: load_weights(tmp_path, config, torch.float32, CPU), tmp_path)
    assert size <= peak < 1.01 * size
