"""Draft heads the slow way, for comparison: plain torch from the definitions, everything recomputed, no cache."""

import torch
from torch.nn.functional import linear, rms_norm, silu


def norm(x, weight, eps=1e-5):
    return rms_norm(x, (x.shape[-1],), weight, eps)


def rope(x, theta):
    """x [heads, n, D] at positions 0 .. n - 1, Hugging Face's half-split pairs."""
    dim = x.shape[-1]
    angles = torch.outer(torch.arange(x.shape[1]).float(), theta ** (-torch.arange(0, dim, 2).float() / dim))
    cos, sin = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def attention(x, t, config):
    """Causal self-attention of x [n, width] with the tensors `t` of a layer."""
    heads, kv, dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    q, k, v = (
        linear(x, t[f"self_attn.{n}_proj.weight"], t.get(f"self_attn.{n}_proj.bias"))
        .view(len(x), -1, dim)
        .transpose(0, 1)
        for n in "qkv"
    )
    theta = config.get("rope_theta", 10000.0)
    q, k = rope(q, theta), rope(k, theta)
    k, v = k.repeat_interleave(heads // kv, 0), v.repeat_interleave(heads // kv, 0)
    scores = q @ k.mT / dim**0.5 + torch.full((len(x), len(x)), -torch.inf).triu(1)
    return linear((scores.softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1), t["self_attn.o_proj.weight"])


def mlp(x, t):
    gate, up = linear(x, t["mlp.gate_proj.weight"]), linear(x, t["mlp.up_proj.weight"])
    return linear(silu(gate) * up, t["mlp.down_proj.weight"])


def under(tensors, prefix):
    """The tensors whose names begin with prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def hidden_states(model, tokens):
    """Of the transformers model: residual streams at boundaries 0 .. L, and the state after the final norm."""
    seen = []
    hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(out)) for layer in model.model.layers]
    with torch.inference_mode():
        ids = torch.tensor([tokens])
        final = model.model(ids).last_hidden_state[0]
    for hook in hooks:
        hook.remove()
    states = [out[0] if isinstance(out, tuple) else out for out in seen]
    return [model.model.embed_tokens(ids)[0].detach(), *[state.view(len(tokens), -1) for state in states]], final


def draft(call, first, step, logits):
    """`first()` gives the state that the first token comes from, `step(states, token)` the next one.

    call.pick(logits, depth) says which token is drafted; a token is drafted for each of call.drafted.
    """
    state, tokens = first(), []
    for depth in range(len(call.drafted)):
        if depth:
            state = step(state, tokens[-1])
        tokens.append(call.pick(logits(state), depth))
    return tokens
