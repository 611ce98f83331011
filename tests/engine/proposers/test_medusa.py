"""Medusa heads of both layouts against the formula, written out."""

import pytest
import torch
from checkpoints import build
from torch.nn.functional import silu

from engine import ConfigError, Engine
from tests.engine.proposers.drafting import check, check_probs, drive, hidden_states, target_of

SIZES = {"hidden_size": 64, "vocab_size": 96}
LAYOUTS = {
    "medusa_reference": ("medusa_reference", {}),
    "medusa_reference, two blocks": ("medusa_reference", {"medusa_num_layers": 2}),
    "medusa_vllm": ("medusa_vllm", {}),
    "medusa_vllm, biases, two blocks": ("medusa_vllm", {"medusa_fc_bias": True, "num_hidden_layers": 2}),
    "medusa_vllm, one output head": ("medusa_vllm", {"original_lm_head": True}),
    "medusa_vllm, fewer tokens": ("medusa_vllm", {"truncated_vocab_size": 40}),
}


def slow(checkpoint, model):
    """Drafts from the facts: z + silu(W z + b) for every block, then the head's matrix, one head at a time."""
    tensors = {name.removeprefix("medusa_heads."): tensor for name, tensor in checkpoint.tensors.items()}

    def logits(i, h):
        block = 0
        while (name := f"{i}.{block}.linear") + ".weight" in tensors or (
            name := f"blocks.{i}.layers.{block}"
        ) + ".weight" in tensors:
            h = h + silu(tensors[name + ".weight"] @ h + tensors.get(name + ".bias", 0))
            block += 1
        named = [f"{i}.{block}.weight", f"lm_heads.{i}.weight", "lm_heads.0.weight"]
        return tensors[next(name for name in named if name in tensors)] @ h

    def wide(short):
        if "token_map" not in tensors:
            return short
        return torch.full((96,), -torch.inf).index_copy(0, tensors["token_map"], short)

    def draft(tokens, limit, choose):
        h = hidden_states(model, tokens[:-1])[-1]
        for i in range(limit):
            choose(i, wide(logits(i, h)))

    return draft


@pytest.mark.parametrize("case", LAYOUTS)
@pytest.mark.parametrize(("batch", "cutoff"), [(1, None), (3, None), (3, 2)])
def test_drafts_are_those_of_the_formula(tmp_path, case, batch, cutoff):
    layout, wishes = LAYOUTS[case]
    model, checkpoint = target_of(tmp_path / "target"), build(layout, SIZES, **wishes)
    settings = {"method": "medusa", "model": str(checkpoint.save(tmp_path / "draft")), "num_speculative_tokens": 4}
    made = drive(tmp_path / "target", settings | ({"disable_by_batch_size": cutoff} if cutoff else {}), batch)
    check(made, slow(checkpoint, model))


@pytest.mark.parametrize("case", ["medusa_reference", "medusa_vllm, fewer tokens"])
def test_q_of_a_node_is_the_softmax_of_its_head(tmp_path, case):
    layout, wishes = LAYOUTS[case]
    model, checkpoint = target_of(tmp_path / "target"), build(layout, SIZES, **wishes)
    settings = {"method": "medusa", "model": str(checkpoint.save(tmp_path / "draft")), "num_speculative_tokens": 4}
    made = drive(tmp_path / "target", settings | {"draft_sample_method": "probabilistic"}, batch=3)
    check_probs(made, slow(checkpoint, model))


def load(tmp_path, checkpoint, k=2):
    target_of(tmp_path / "target")
    folder = checkpoint.save(tmp_path / "draft")
    settings = {"method": "medusa", "model": str(folder), "num_speculative_tokens": k}
    return Engine.load(tmp_path / "target", settings, num_threads=1)


def test_vllm_names_may_have_a_prefix(tmp_path):
    checkpoint = build("medusa_vllm", SIZES)
    checkpoint.tensors = {f"medusa_heads.{name}": tensor for name, tensor in checkpoint.tensors.items()}
    assert load(tmp_path, checkpoint)._proposer.network.num_heads == 5


def test_the_tensors_tell_the_number_of_heads(tmp_path):
    checkpoint = build("medusa_reference", SIZES, heads=3)
    assert checkpoint.config["medusa_num_heads"] == 2
    load(tmp_path, checkpoint, k=3)
    with pytest.raises(ConfigError, match=r"num_speculative_tokens=4 is above the 3 heads of .*draft"):
        load(tmp_path, checkpoint, k=4)


def broken(layout, change, **wishes):
    checkpoint = build(layout, SIZES, **wishes)
    change(checkpoint.tensors)
    return checkpoint


@pytest.mark.parametrize(
    ("layout", "wishes", "change", "message"),
    [
        ("medusa_reference", {}, lambda t: t.pop("1.0.linear.bias"), "1.0.linear.bias is missing"),
        ("medusa_reference", {}, lambda t: t.update({"1.1.weights": t.pop("1.1.weight")}), "1.1.weight is missing"),
        ("medusa_reference", {}, lambda t: t.update({"2.1.weight": torch.zeros(95, 64)}), "2.1.weight .*shape"),
        ("medusa_reference", {}, lambda t: t.update({"0.2.weight": torch.zeros(2)}), "no place for: 0.2.weight"),
        ("medusa_vllm", {}, lambda t: t.pop("lm_heads.3.weight"), "lm_heads.3.weight is missing"),
        ("medusa_vllm", {}, lambda t: t.update({"blocks.0.layers.0.bias": torch.zeros(64)}), "no place for: blocks.0"),
        ("medusa_vllm", {"truncated_vocab_size": 40}, lambda t: t.pop("token_map"), "token_map is missing"),
        (
            "medusa_vllm",
            {"truncated_vocab_size": 40},
            lambda t: t["token_map"].fill_(3),
            "token_map in .* must name 40 different ids",
        ),
        ("medusa_vllm", {"vocab_size": 128}, lambda t: None, "vocab_size=128.*96"),
        ("medusa_vllm", {"hidden_size": 32}, lambda t: None, "hidden_size=32.*64"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(tmp_path, layout, wishes, change, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, broken(layout, change, **wishes))


def test_a_shortened_vocabulary_may_come_with_whole_heads(tmp_path):
    checkpoint = build("medusa_vllm", SIZES, truncated_vocab_size=40)
    ids, generator = checkpoint.tensors["token_map"], torch.Generator().manual_seed(5)
    for i in range(5):
        whole = torch.randn(96, 64, generator=generator)
        whole[ids] = checkpoint.tensors[f"lm_heads.{i}.weight"]
        checkpoint.tensors[f"lm_heads.{i}.weight"] = whole
    z = torch.randn(3, 64)
    network = load(tmp_path, checkpoint)._proposer.network
    logits = network.logits(1, z)
    assert torch.allclose(logits[:, ids], z @ checkpoint.tensors["lm_heads.1.weight"][ids].T, atol=1e-4)
    assert (logits > float("-inf")).sum() == 3 * 40
