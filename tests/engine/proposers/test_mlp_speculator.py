"""The MLP speculator against the formula, written out."""

import math

import pytest
import torch
from checkpoints import build

from engine import ConfigError, Engine
from tests.engine.proposers.drafting import check, check_probs, drive, hidden_states, target_of

SIZES = {"hidden_size": 64, "vocab_size": 96}
CASES = {
    "plain": ("mlp_speculator", {}),
    "scaled": ("mlp_speculator", {"scale_input": True}),
    "tied and scaled": ("mlp_speculator_tied", {}),
    "inner_dim 0": ("mlp_speculator_tied", {"inner_dim": 64, "scale_input": False}),
    "four stages": ("mlp_speculator", {"n_predict": 4}),
}


def slow(checkpoint, model):
    """Drafts from the facts, a vector at a time."""
    config, t = checkpoint.config, {n.removeprefix("speculator."): x for n, x in checkpoint.tensors.items()}
    stages, tied, inner = config["n_predict"], config["tie_weights"], config["inner_dim"] or config["emb_dim"]
    sw = 0.5 ** (0.5 / stages)
    ew = math.sqrt((1 - sw * sw) * inner / 2)

    def plain(x):
        return x * torch.rsqrt((x * x).mean() + 1e-6)

    def draft(tokens, limit, choose):
        s, token = hidden_states(model, tokens[:-1])[-1], tokens[-1]
        if config["scale_input"]:
            s = plain(s) / math.sqrt(2)
        for i in range(limit):
            one, projection = (0, min(i, 1)) if tied else (i, i)
            s = t[f"proj.{projection}.weight"] @ s + ew / sw * t[f"emb.{one}.weight"][token]
            s = plain(s) * t[f"ln.{one}.weight"] + t[f"ln.{one}.bias"]
            s = 0.5 * s * (1 + torch.erf(s / math.sqrt(2)))
            token = choose(i, t[f"head.{one}.weight"] @ s)

    return draft


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("batch", "cutoff"), [(1, None), (3, None), (3, 2)])
def test_drafts_are_those_of_the_formula(tmp_path, case, batch, cutoff):
    layout, wishes = CASES[case]
    model, checkpoint = target_of(tmp_path / "target"), build(layout, SIZES, **wishes)
    if case == "inner_dim 0":
        checkpoint.config["inner_dim"] = 0
    depth = checkpoint.config["n_predict"]
    draft = str(checkpoint.save(tmp_path / "draft"))
    settings = {"method": "mlp_speculator", "model": draft, "num_speculative_tokens": depth}
    made = drive(tmp_path / "target", settings | ({"disable_by_batch_size": cutoff} if cutoff else {}), batch)
    check(made, slow(checkpoint, model))


def test_q_is_the_softmax_after_the_tokens_drafted_before(tmp_path):
    model, checkpoint = target_of(tmp_path / "target"), build("mlp_speculator", SIZES)
    draft = str(checkpoint.save(tmp_path / "draft"))
    settings = {"method": "mlp_speculator", "model": draft, "num_speculative_tokens": 3}
    made = drive(tmp_path / "target", settings | {"draft_sample_method": "probabilistic"}, batch=3)
    check_probs(made, slow(checkpoint, model))


def load(tmp_path, checkpoint, k=3):
    target_of(tmp_path / "target")
    folder = checkpoint.save(tmp_path / "draft")
    settings = {"method": "mlp_speculator", "model": str(folder), "num_speculative_tokens": k}
    return Engine.load(tmp_path / "target", settings, num_threads=1)


def test_no_more_tokens_than_stages(tmp_path):
    with pytest.raises(ConfigError, match=r"num_speculative_tokens=4 is above .*3"):
        load(tmp_path, build("mlp_speculator", SIZES), k=4)


def test_names_may_lack_the_prefix_and_tied_files_may_hold_copies(tmp_path):
    checkpoint = build("mlp_speculator_tied", SIZES)
    tensors = {name.removeprefix("speculator."): tensor for name, tensor in checkpoint.tensors.items()}
    for i in (1, 2):
        for name in ("emb.{}.weight", "ln.{}.weight", "ln.{}.bias", "head.{}.weight"):
            tensors[name.format(i)] = tensors[name.format(0)].clone()
    tensors["proj.2.weight"] = tensors["proj.1.weight"].clone()
    checkpoint.tensors = tensors
    load(tmp_path, checkpoint)
    tensors["head.2.weight"] += 1
    with pytest.raises(ConfigError, match=r"head.2.weight in .* is not head.0.weight, although tie_weights"):
        load(tmp_path, checkpoint)


@pytest.mark.parametrize(
    ("wishes", "change", "message"),
    [
        ({}, lambda t: t.pop("speculator.proj.2.weight"), "proj.2.weight is missing"),
        ({}, lambda t: t.update({"speculator.ln.1.bia": t.pop("speculator.ln.1.bias")}), "ln.1.bias is missing"),
        ({}, lambda t: t.update({"speculator.head.0.weight": torch.zeros(96, 47)}), "head.0.weight .*shape"),
        ({}, lambda t: t.update({"speculator.norm.weight": torch.zeros(3)}), "no place for: norm.weight"),
        ({"tie_weights": True}, lambda t: t.pop("speculator.proj.1.weight"), "proj.1.weight is missing"),
        ({"tie_weights": True}, lambda t: t.pop("speculator.emb.0.weight"), "emb.0.weight is missing"),
        ({"vocab_size": 80}, lambda t: None, "vocab_size=80.*96"),
        ({"emb_dim": 32}, lambda t: None, "emb_dim=32.*64"),
        ({"top_k_tokens_per_head": [5]}, lambda t: None, "must have n_predict=3 entries"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(tmp_path, wishes, change, message):
    checkpoint = build("mlp_speculator", SIZES, **wishes)
    change(checkpoint.tensors)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, checkpoint)
