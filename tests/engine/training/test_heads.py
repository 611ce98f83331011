"""Every method: its chains are what a step-by-step recomputation with a growing cache gives, its loss falls, a run cut
in two is the same run, and the files have the published names and shapes."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from engine.training.acceptance import acceptance, agreeing
from engine.training.head_export import export_head, round_parameters
from engine.training.head_recipe import HeadRecipe
from engine.training.head_trainer import HeadTrainer
from engine.training.heads import methods

RECIPE = HeadRecipe(steps=40, warmup_steps=2, precision="fp32", report_steps=10, evaluate_steps=1000)
H, Q, KV, INNER, V = 64, 64, 32, 96, 96  # of the random target


def rotated(x, position, cos, sin):
    """One vector [heads, D] turned by its position."""
    left, right = x.chunk(2, -1)
    c, s = cos[position], sin[position]
    return torch.cat((left * c - right * s, right * c + left * s), -1)


class Cached:
    """A layer fed one row at a time, its keys and values in a list: slow and plain."""

    def __init__(self, block, cos, sin):
        self.block, self.cos, self.sin, self.rows = block, cos, sin, []

    def __call__(self, inputs, residual):
        part, position = self.block.self_attn, len(self.rows)
        q, k, v = (made(inputs).unflatten(-1, (-1, 16)) for made in (part.q_proj, part.k_proj, part.v_proj))
        self.rows.append((rotated(k, position, self.cos, self.sin), v))
        q, out = rotated(q, position, self.cos, self.sin), []
        for head in range(4):
            scores = torch.stack([q[head] @ keys[head // 2] / 4 for keys, _ in self.rows])
            out.append(sum(w * values[head // 2] for w, (_, values) in zip(scores.softmax(0), self.rows, strict=True)))
        u = residual + part.o_proj(torch.cat(out))
        return u + self.block.mlp(self.block.post_attention_layernorm(u))


def by_hand(head, method, batch, row, pair, steps):
    """[states] of one chain: true pairs 0 .. pair one after the other, then `steps` - 1 rows of its own."""
    cos, sin = head.teacher.rotation(200)
    ids, hidden, aux = batch.ids[row], batch.hidden[row].float(), batch.aux[row].float()
    blocks = {"eagle": "block", "eagle3": "midlayer", "mtp": "block"}
    if method == "draft_model":
        layers, states = [Cached(block, cos, sin) for block in head.layers], []
        for position in range(pair + 1 + steps):
            x = F.embedding(ids[position], head.embed_tokens)
            for norm, layer in zip(head.input_layernorms, layers, strict=True):
                x = layer(norm(x), x)
            states.append(x)
        return states[pair + 1 :]
    layer, state, states = Cached(getattr(head, blocks[method]), cos, sin), None, []
    for i in range(pair + steps):
        true = i <= pair
        embedded = head.teacher.embed(ids[i + 1])
        if method == "eagle":
            z = head.fc(torch.cat((embedded, hidden[i] if true else state)))
            state = layer(z, z)
        elif method == "mtp":
            z = head.fuse(embedded * (i > 0), aux[i] if true else state)
            state = head.final_layernorm(layer(head.input_layernorm(z), z))
        else:
            g = head.fc(aux[i]) if true else state
            state = layer(torch.cat((head.input_layernorm(embedded), head.hidden_norm(g))), g)
        states.append(state)
    return states[pair:]


@pytest.mark.parametrize("method", ["draft_model", "eagle", "eagle3", "mtp"])
@torch.no_grad()
def test_chains_are_what_a_growing_cache_gives(method, make_head, features):
    head, batch = make_head(method), features.get(1)
    for norm in (part for name, part in head.named_parameters() if "norm" in name):
        norm.mul_(1 + 0.3 * torch.randn_like(norm))
    chain = head.chain(batch)
    states = [chain.step(batch.tokens(step)) for step in range(4)]
    for row, place in ((0, 0), (1, 7), (2, 11)):
        expected = by_hand(head, method, batch, row, int(batch.first[row]) + place, 4)
        for step in range(4):
            torch.testing.assert_close(states[step][row, place], expected[step], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_medusa_and_the_speculator_see_the_state_of_their_pair(make_head, features):
    batch = features.get(0)
    pair = int(batch.first[2]) + 3
    hidden = batch.hidden[2, pair].float()
    medusa = make_head("medusa")
    assert torch.allclose(medusa.chain(batch).step(batch.tokens(0))[2, 3], hidden)  # the block is zero at the start
    head = make_head("mlp_speculator")
    chain = head.chain(batch)
    state = F.rms_norm(hidden, (H,), None, 1e-6) / 2**0.5
    for stage in range(3):
        token = batch.ids[2, pair + 1 + stage]
        weight = ((1 - 0.5 ** (1 / 3)) * H / 2) ** 0.5 / 0.5 ** (0.5 / 3)
        mixed = head.proj[stage](state) + weight * head.emb[stage].weight[token]
        state = F.gelu(F.rms_norm(mixed, (H,), None, 1e-6))
        torch.testing.assert_close(chain.step(batch.tokens(stage))[2, 3], state, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", methods())
@torch.no_grad()
def test_free_drafts_agree_with_one_chain_drafted_alone(method, make_head, features):
    head, batch = make_head(method), features.get(1)
    runs = agreeing(head, batch, 3)
    row, place = 2, 5
    chain, fed, run = head.chain(batch), batch.tokens(0), 0
    for step in range(3):
        drafted = head.drafted(chain.step(fed), step)
        if drafted[row, place] != batch.ids[row, int(batch.first[row]) + place + 2 + step]:
            break
        run, fed = run + 1, fed.clone()
        fed[row] = drafted[row]
    assert int(runs[row, place]) == run


@pytest.mark.parametrize("method", methods())
def test_the_loss_falls_and_a_resumed_run_is_the_same_run(method, make_head, features, tmp_path):
    held_out = [features.get(0)]
    whole = HeadTrainer(make_head(method), RECIPE, tmp_path / "whole", {"of": "this"})
    before, naive = whole.evaluate(held_out), acceptance(whole.head, held_out, 3).mean_length
    whole.run(features, held_out)
    for steps in (17, 23):
        parts = HeadTrainer(make_head(method), RECIPE, tmp_path / "parts", {"of": "this"})
        assert parts.resume() == (steps == 23)
        parts.run(features, held_out, stop_after=steps)
    assert parts.step == whole.step == 40
    for name, value in whole.head.state_dict().items():
        assert torch.equal(value, parts.head.state_dict()[name]), name
    assert whole.evaluate(held_out) < 0.985 * before  # most of it is the entropy of the random target
    assert acceptance(whole.head, held_out, 3).mean_length > naive
    with pytest.raises(ValueError, match="another of"):
        HeadTrainer(make_head(method), RECIPE, tmp_path / "parts", {"of": "that"}).resume()


def layer(prefix, width=H, bias=False):
    shapes = {
        "self_attn.q_proj.weight": [Q, width],
        "self_attn.k_proj.weight": [KV, width],
        "self_attn.v_proj.weight": [KV, width],
        "self_attn.o_proj.weight": [H, Q],
        "mlp.gate_proj.weight": [INNER, H],
        "mlp.up_proj.weight": [INNER, H],
        "mlp.down_proj.weight": [H, INNER],
        "post_attention_layernorm.weight": [H],
    }
    if bias:
        shapes |= {f"self_attn.{x}_proj.bias": [n] for x, n in (("q", Q), ("k", KV), ("v", KV))}
    return {prefix + name: shape for name, shape in shapes.items()}


def whole_model(layers, bias=False):
    shapes = {"model.embed_tokens.weight": [V, H], "lm_head.weight": [V, H], "model.norm.weight": [H]}
    for index in range(layers):
        shapes |= layer(f"model.layers.{index}.", bias=bias)
        shapes[f"model.layers.{index}.input_layernorm.weight"] = [H]
    return shapes


def with_norms(prefix, *names):
    return {f"{prefix}{name}.weight": [H] for name in names}


EXPECTED = {
    "draft_model": whole_model(2),
    "eagle": {"fc.weight": [H, 2 * H], **layer("layers.0.")},
    "eagle3": {
        "fc.weight": [H, 3 * H],
        **layer("midlayer.", 2 * H),
        **with_norms("midlayer.", "input_layernorm", "hidden_norm"),
        **with_norms("", "norm"),
        "lm_head.weight": [48, H],
        "d2t": [48],
        "t2d": [V],
    },
    "medusa": {
        f"{i}.{name}": shape
        for i in range(4)
        for name, shape in (("0.linear.weight", [H, H]), ("0.linear.bias", [H]), ("1.weight", [V, H]))
    },
    "mlp_speculator": {
        f"speculator.{name.format(i)}": shape
        for i in range(3)
        for name, shape in (
            ("emb.{}.weight", [V, H]),
            ("proj.{}.weight", [H, H]),
            ("ln.{}.weight", [H]),
            ("ln.{}.bias", [H]),
            ("head.{}.weight", [V, H]),
        )
    },
    "mtp": {
        **whole_model(3, bias=True),
        "model.mtp_layers.0.input_proj.weight": [H, 2 * H],
        **layer("model.mtp_layers.0.", bias=True),
        **with_norms(
            "model.mtp_layers.0.", "hidden_layernorm", "token_layernorm", "final_layernorm", "input_layernorm"
        ),
    },
}


@pytest.mark.parametrize("method", methods())
def test_files_have_the_published_names_and_shapes(method, make_head, tmp_path):
    head = make_head(method)
    export_head(head, tmp_path)
    config, found = json.loads((tmp_path / "config.json").read_text()), load_file(tmp_path / head.file)
    assert {name: list(part.shape) for name, part in found.items()} == EXPECTED[method]
    floats = {name: part for name, part in found.items() if part.is_floating_point()}
    assert all(part.dtype == torch.bfloat16 for part in floats.values())
    assert set(found) - set(floats) == ({"d2t", "t2d"} if method == "eagle3" else set())
    assert config["model_type"] in ("llama", "medusa", "mlp_speculator", "qwen2")
    round_parameters(head)
    trained = next(head.parameters())
    assert torch.equal(trained.half().float(), trained)
    if method == "eagle3":
        reached = torch.arange(48) + found["d2t"]
        assert torch.equal(reached, found["t2d"].nonzero()[:, 0])
        assert found["d2t"].dtype == torch.int64
        assert found["t2d"].dtype == torch.bool
