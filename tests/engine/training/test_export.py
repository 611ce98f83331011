"""The exported folder is the trained network: same logits in transformers, and float16 loses nothing."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from engine.training.export import exact_in_half, export
from engine.training.network import Network, Shape

SHAPE = Shape(vocab_size=260, hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8,
              intermediate_size=48, max_positions=64)  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network, folder = Network(SHAPE), tmp_path_factory.mktemp("model")
    export(network, folder, bos=0, eos=1)
    return network, folder


def test_transformers_computes_the_same(exported):
    network, folder = exported
    for parameter in network.parameters():
        parameter.data = exact_in_half(parameter).float()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.randint(0, 260, (2, 30))
    with torch.no_grad():
        ours, theirs = F.linear(network(ids), network.embedding), model(ids).logits
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_float16_holds_every_weight_exactly(exported):
    for name, weight in load_file(exported[1] / "model.safetensors").items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight.to(torch.float16).float(), weight.float()), name


def test_small_weights_go_to_the_nearest_exact_value():
    small = torch.tensor([1e-9, 3e-8, -4.1e-8, 1e-5, 0.1, -7.0, 2.0**-14])
    exact = exact_in_half(small)
    assert torch.equal(exact.to(torch.float16).float(), exact.float())
    assert (exact.float() - small).abs().max() < 0.1 * 2**-8
    assert exact[0] == 0
    with pytest.raises(ValueError, match="65504"):
        exact_in_half(torch.tensor([1e30]))
