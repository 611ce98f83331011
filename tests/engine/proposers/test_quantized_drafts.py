"""Drafts in 8 and 4 bits: every trained draft of the embedded model drafts nearly as well, and no token changes."""

import itertools
from pathlib import Path

import pytest
import torch
from checkpoints import build

import workloads
from engine import Engine, SamplingParams
from engine.errors import ConfigError
from engine.models.linear import build_linear
from engine.models.quantized import products
from engine.models.quantized.formats import to_fp8, to_int4, to_int8
from engine.models.quantized.products import by_kernels, check_quantized, describe_quantized, refusal_on_gpu
from tests.engine.proposers.drafting import target_of

MODELS = Path(__file__).resolve().parents[3] / "models"
TINY = MODELS / "tiny"
DRAFTS = {
    "draft_model": "tiny-draft",
    "eagle": "tiny-eagle",
    "eagle3": "tiny-eagle3",
    "medusa": "tiny-medusa",
    "mlp_speculator": "tiny-mlp-speculator",
    "mtp": "tiny-mtp",
}
RUNS = {"int8": "int8 (fbgemm, inputs too)", "int4": "int4 (bfloat16 inputs)", "fp8": "fp8 (expanded at load)"}
KEEPS = {"int8": 0.85, "int4": 0.7, "fp8": 0.85}  # of the acceptance of the draft as it is
WISH = SamplingParams(max_tokens=24, temperature=0.0)


@pytest.fixture(scope="module")
def engine():
    return Engine.load(TINY, max_num_seqs=4, dtype="float32", num_threads=1)


@pytest.fixture(scope="module")
def prompts(engine):
    made = [r for name in ("chat", "code") for r in workloads.build(name, split="eval", num_prompts=10, seed=3)]
    encode = engine.tokenizer.apply_chat_template
    chats = [[{"role": m.role, "content": m.content} for m in request.prompt] for request in made]
    return [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


@pytest.fixture(scope="module")
def truth(engine, prompts):
    engine.configure_speculation(None)
    return [output.token_ids for output in engine.generate(prompts, WISH)]


@pytest.mark.skipif(not (TINY / "model.safetensors").exists(), reason="models/tiny is not built")
@pytest.mark.parametrize("method", DRAFTS)
def test_a_quantized_draft_agrees_mostly_and_changes_no_token(engine, prompts, truth, method):
    settings = {"method": method, "model": str(MODELS / DRAFTS[method]), "num_speculative_tokens": 3}
    rates = {}
    for kind in (None, *RUNS):
        engine.configure_speculation(settings | ({"quantization": kind} if kind else {}))
        assert [output.token_ids for output in engine.generate(prompts, WISH)] == truth
        rates[kind] = engine.stats.acceptance_rate
        ran = engine.environment()["draft_linear"]
        assert ran == RUNS[kind] if kind else ran in ("half_packed", "torch")
    assert all(rates[kind] > KEEPS[kind] * rates[None] for kind in RUNS), rates
    assert len(set(rates.values())) > 1  # the rounding is there
    engine.configure_speculation(None)
    assert "draft_linear" not in engine.environment()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("kind", "most"), [("int8", 0.02), ("fp8", 0.04), ("int4", 0.12)])
def test_products_are_near_the_exact_one(kind, most, dtype):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(50, 96, dtype=dtype), torch.randn(50, dtype=dtype), torch.randn(5, 96, dtype=dtype)
    exact = build_linear(weight.float(), bias.float(), "torch")(x.float())
    for offset, make in itertools.product((None, bias), (build_linear, by_kernels)):
        wanted = exact if offset is not None else exact - bias.float()
        got = make(weight, offset, kind)(x)
        assert got.dtype == dtype
        assert 0 < ((got - wanted).norm() / wanted.norm()).item() < most


@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_another_device_takes_the_kernels(kind):
    weight, x = torch.empty(50, 96, device="meta"), torch.empty(5, 96, device="meta")
    assert build_linear(weight, None, kind)(x).shape == (5, 50)
    assert describe_quantized(kind, torch.device("cuda"), torch.bfloat16) == f"{kind} (weights only)"


def test_a_gpu_may_be_too_old(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    assert refusal_on_gpu(torch.device("cuda"), "fp8").startswith("fp8 needs compute capability 8.9, this GPU has 8.6")
    assert refusal_on_gpu(torch.device("cuda"), "int4") is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert refusal_on_gpu(torch.device("cuda"), "fp8") is None
    monkeypatch.setattr(products, "find_spec", lambda name: None)
    assert refusal_on_gpu(torch.device("cuda"), "int8") == "on a GPU it needs triton"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_stored_stands_for_the_weights(dtype):
    """Also rows of zeros, and rows of one sign; a code is never further than half a step away."""
    torch.manual_seed(1)
    weight = torch.stack([torch.randn(64), torch.zeros(64), torch.rand(64) + 3.0, -torch.rand(64)]).to(dtype)
    exact, stored = weight.float(), to_int4(weight)
    assert stored.packed.shape == (4, 32)
    step = stored.scales.float().repeat_interleave(stored.group, 1)
    assert ((stored.expanded(torch.float32) - exact).abs() <= 1.01 * step).all()
    for eight, bound in ((to_int8(weight), 0.51 / 127), (to_fp8(weight), 1 / 16)):
        expanded = eight.weight.float() * eight.scales[:, None]
        assert ((expanded - exact).abs() <= bound * exact.abs().amax(1, keepdim=True)).all()


@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_what_cannot_be_granted_is_said(tmp_path):
    target_of(tmp_path / "target", num_hidden_layers=6)
    sizes = {"hidden_size": 64, "vocab_size": 96}
    for layout, kind, message in (
        ("mtp_deepseek_v3", "int8", "computed by transformers, in the model's dtype; leave it out"),
        ("medusa_reference", "int2", "quantization='int2' is not allowed: fp8, int8, int4"),
    ):
        folder = build(layout, sizes).save(tmp_path / layout)
        settings = {"method": layout.split("_")[0], "model": str(folder), "num_speculative_tokens": 2}
        with pytest.raises(ConfigError, match=message):
            Engine.load(tmp_path / "target", settings | {"quantization": kind}, num_threads=1)


def test_four_bits_need_whole_groups():
    with pytest.raises(ConfigError, match=r"rows of a multiple of 32 weights, and a matrix here is \(8, 40\); leave"):
        check_quantized([torch.ones(8, 40)], "int4")
    assert check_quantized([torch.ones(8, 40)], "int8") == "int8"
