"""EAGLE and EAGLE-3 heads of every published layout draft what their definition says, token for token."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from checkpoints import SMALL, build
from recorded import record
from slow_head import attention, draft, hidden_states, mlp, norm, under

from engine import Engine
from engine.drafting import aux_probe
from engine.errors import ConfigError
from tests.engine.conftest import save_model

PROMPTS = [[1, *range(3, 3 + n)] for n in (5, 41, 17, 30)]
EAGLE = ("eagle_llama2", "eagle_llama3", "eagle_bare")
EAGLE3 = ("eagle3_reference", "eagle3_specforge", "eagle3_specforge_hf", "eagle3_speculators")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size", "rms_norm_eps")
    return folder, save_model(folder, seed=1, **{name: SMALL[name] for name in names})


def engine_with(target, folder, method, batch, **more):
    settings = {"method": method, "model": str(folder), "num_speculative_tokens": 4} | more
    return Engine.load(target[0], settings, max_num_seqs=batch, max_num_batched_tokens=16, num_threads=1)


def slow_eagle(call, tensors, config, model):
    """Pairs (x_{i+1}, h_i) through fc and one layer; the last output is fed back."""
    tensors = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    embeddings = tensors.get("embed_tokens.weight", model.model.embed_tokens.weight)
    layer = under(tensors, "layers.0.")
    hidden = list(hidden_states(model, call.tokens[:-1])[1])
    tokens = call.tokens[1:]

    def output():
        pair = torch.cat([embeddings[torch.tensor(tokens)], torch.stack(hidden)], -1)
        z = torch.nn.functional.linear(pair, tensors["fc.weight"], tensors.get("fc.bias"))
        u = z + attention(z, layer, config)
        return (u + mlp(norm(u, layer["post_attention_layernorm.weight"]), layer))[-1]

    def step(last, token):
        tokens.append(token)
        hidden.append(last)
        return output()

    return draft(call, output, step, lambda o: model.lm_head(o))


def slow_eagle3(call, tensors, config, model, boundaries):
    """Section 2.3 of the facts, in order."""
    tensors = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    inner = config.get("transformer_layer_config", config)
    embeddings = tensors.get("embed_tokens.weight", model.model.embed_tokens.weight)
    layer = under(tensors, "midlayer.") or under(tensors, "layers.0.")
    streams = hidden_states(model, call.tokens[:-1])[0]
    aux = torch.cat([streams[b] for b in boundaries], -1)
    if config.get("norm_before_fc"):
        aux = norm(aux, tensors["input_norm.weight"])
    if config.get("fc_norm"):
        parts = [norm(streams[b], tensors[f"fc_norm.{i}.weight"]) for i, b in enumerate(boundaries)]
        aux = torch.cat(parts, -1)
    hidden = list(aux @ tensors["fc.weight"].T)
    tokens = call.tokens[1:]

    def output():
        g = torch.stack(hidden)
        normed = norm(g, layer["hidden_norm.weight"])
        embedded = norm(embeddings[torch.tensor(tokens)], layer["input_layernorm.weight"])
        u = (normed if config.get("norm_before_residual") else g) + attention(
            torch.cat([embedded, normed], -1), layer, inner
        )
        o = (u + mlp(norm(u, layer["post_attention_layernorm.weight"]), layer))[-1]
        return norm(o, tensors["norm.weight"]) if config.get("norm_output") else o

    def step(last, token):
        tokens.append(token)
        hidden.append(last)
        return output()

    def logits(o):
        o = o if config.get("norm_output") else norm(o, tensors["norm.weight"])
        wide = torch.full((inner["vocab_size"],), -torch.inf)
        ids = torch.arange(len(tensors["d2t"])) + tensors["d2t"]
        wide[ids] = tensors["lm_head.weight"] @ o
        return wide

    return draft(call, output, step, logits)


def check(calls, slow):
    assert len(calls) > 20
    with torch.inference_mode():
        for call in calls:
            assert call.drafted == slow(call)


@pytest.mark.parametrize("layout", EAGLE)
@pytest.mark.parametrize(("batch", "temperature"), [(1, 0.0), (3, 3.0)])
def test_eagle_drafts_what_its_definition_says(target, tmp_path, layout, batch, temperature):
    head = build(layout, json.loads((target[0] / "config.json").read_text()) | {"rope_theta": 10000.0})
    engine = engine_with(target, head.save(tmp_path / "head"), "eagle", batch, draft_sample_method="coupled")
    calls, _ = record(engine, PROMPTS, temperature=temperature)
    check(calls, lambda call: slow_eagle(call, head.tensors, head.config, target[1]))
    if temperature:  # the noise is shared, so even a random head is accepted at times: all three kinds of step occur
        assert {call.accepted for call in calls} >= {0, 1}


@pytest.mark.parametrize("layout", EAGLE3)
@pytest.mark.parametrize(("batch", "temperature"), [(1, 0.0), (3, 3.0)])
def test_eagle3_drafts_what_its_definition_says(target, tmp_path, layout, batch, temperature):
    head = build(layout, json.loads((target[0] / "config.json").read_text()) | {"rope_theta": 10000.0})
    engine = engine_with(target, head.save(tmp_path / "head"), "eagle3", batch, draft_sample_method="coupled")
    calls, _ = record(engine, PROMPTS, temperature=temperature)
    check(calls, lambda call: slow_eagle3(call, head.tensors, head.config, target[1], (2, 3, 3)))


@pytest.mark.parametrize("flag", ["norm_before_fc", "fc_norm", "norm_output", "norm_before_residual"])
def test_eagle3_flags_of_the_config_are_obeyed(target, tmp_path, flag):
    head = build("eagle3_reference", json.loads((target[0] / "config.json").read_text()), **{flag: True})
    engine = engine_with(target, head.save(tmp_path / "head"), "eagle3", 1)
    calls, _ = record(engine, PROMPTS)
    check(calls, lambda call: slow_eagle3(call, head.tensors, head.config, target[1], (2, 3, 3)))


@pytest.mark.parametrize("convention", ["boundary", "output"])
def test_aux_layer_convention_chooses_the_layers(target, tmp_path, convention):
    head = build("eagle3_speculators", json.loads((target[0] / "config.json").read_text()))
    head.config["eagle_aux_hidden_state_layer_ids"] = [1, 2, 4]
    engine = engine_with(
        target, head.save(tmp_path / "head"), "eagle3", 1, aux_layer_convention=convention, draft_sample_method="greedy"
    )
    taps = {"boundary": (1, 2, 4), "output": (2, 3, 5)}[convention]
    assert engine._proposer.taps == taps
    calls, _ = record(engine, PROMPTS)
    check(calls, lambda call: slow_eagle3(call, head.tensors, head.config, target[1], taps))


def test_layer_ids_of_specforge_name_outputs(target, tmp_path):
    head = build("eagle3_specforge", json.loads((target[0] / "config.json").read_text()))
    assert head.config["eagle_config"]["eagle_aux_hidden_state_layer_ids"] == [1, 2, 2]
    assert engine_with(target, head.save(tmp_path / "head"), "eagle3", 1)._proposer.taps == (2, 3, 3)


def test_layer_ids_outside_the_target_are_refused(target, tmp_path):
    head = build("eagle3_speculators")
    head.config["eagle_aux_hidden_state_layer_ids"] = [2, 3, 9]
    with pytest.raises(ConfigError, match=r"\[2, 3, 9\].*outside a target of 6 layers"):
        engine_with(target, head.save(tmp_path / "head"), "eagle3", 1)


@pytest.mark.parametrize("layout", [*EAGLE, *EAGLE3])
def test_a_tensor_missing_renamed_or_misshapen_is_refused_by_name(target, tmp_path, layout):
    head = build(layout)
    method = "eagle3" if layout in EAGLE3 else "eagle"
    optional = {"embed_tokens.weight", "model.embed_tokens.weight", "t2d"}
    if "bias" not in head.config:
        optional.add("fc.bias")
    for name in head.tensors.keys() - optional:
        broken = build(layout)
        tensor = broken.tensors.pop(name)
        with pytest.raises(ConfigError, match=name):
            engine_with(target, broken.save(tmp_path / "gone"), method, 1)
        broken.tensors[name + "_"] = tensor
        with pytest.raises(ConfigError, match=name):
            engine_with(target, broken.save(tmp_path / "renamed"), method, 1)
    name = next(name for name in head.tensors if name.endswith("o_proj.weight"))
    head.tensors[name] = head.tensors[name][:, 1:].contiguous()
    with pytest.raises(ConfigError, match=rf"{name}.*shape"):
        engine_with(target, head.save(tmp_path / "shape"), method, 1)


def test_a_head_that_disagrees_with_its_vocabulary_map_is_refused(target, tmp_path):
    head = build("eagle3_reference")
    head.tensors["t2d"] = ~head.tensors["t2d"]
    with pytest.raises(ConfigError, match=r"d2t and t2d .* disagree"):
        engine_with(target, head.save(tmp_path / "head"), "eagle3", 1)


MODELS = Path(__file__).resolve().parents[3] / "models"
OWN_HEAD = {"method": "eagle3", "model": str(MODELS / "tiny-eagle3"), "num_speculative_tokens": 2}


@pytest.mark.skipif(not (MODELS / "tiny-eagle3").exists(), reason="models/tiny-eagle3 is not built")
def test_the_probe_tells_the_layers_that_a_head_was_trained_with():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = Engine.load(MODELS / "tiny", OWN_HEAD, num_threads=1)
    readings = {"boundary": (2, 8, 13), "output": (3, 9, 14)}
    found = aux_probe.agreements(engine._proposer.network, readings, engine._target)
    assert found["boundary"] > 0.4
    assert found["boundary"] > found["output"]


def test_a_head_that_would_be_accepted_far_more_often_with_other_layers_is_warned_of(target, tmp_path, monkeypatch):
    head = build("eagle3_speculators", json.loads((target[0] / "config.json").read_text()))
    head.config["eagle_aux_hidden_state_layer_ids"] = [1, 2, 4]
    monkeypatch.setattr(aux_probe, "agreements", lambda *_: {"boundary": 0.1, "output": 0.5})
    with pytest.warns(UserWarning, match=r"10% .* as boundary and on 50% as output: set aux_layer_convention=output"):
        engine_with(target, head.save(tmp_path / "head"), "eagle3", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine_with(target, tmp_path / "head", "eagle3", 1, aux_layer_convention="output")


@pytest.mark.parametrize(
    ("wishes", "given"), [({}, {"max_model_len": 30}), ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, {})]
)
def test_a_head_drafts_up_to_its_own_length_and_no_further(target, tmp_path, wishes, given):
    """Given, or of a head whose scaled positions end there; the request goes on."""
    head = build("eagle_llama3", json.loads((target[0] / "config.json").read_text()), **wishes)
    head.config["max_position_embeddings"] = 30
    engine = engine_with(target, head.save(tmp_path / "head"), "eagle", 1, **given)
    calls, outputs = record(engine, PROMPTS[2:3], max_tokens=40)
    assert max(len(call.tokens) + len(call.drafted) for call in calls) == 30
    assert len(outputs[0].token_ids) == 40
