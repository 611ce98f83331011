"""MTP modules written out slowly from their descriptions: whole sequences, no cache.

A family here is its own few lines, on purpose: it shares no table with the engine.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

Tensors = dict[str, Tensor]


class Module:
    """Module k of a checkpoint: `fuse` makes its inputs, `block` runs it, `out` is fed on, `logits` of `out`."""

    def __init__(self, config: dict[str, Any], tensors: Tensors, k: int, embeddings: Tensor, head: Tensor):
        self.c, self.t, self.k = config, tensors, k
        self.embeddings, self.head = embeddings, head
        self.eps = config["rms_norm_eps"]
        self.family = config["architectures"][0].removesuffix("ForCausalLM")
        if self.family in ("DeepseekV3", "Glm4Moe"):
            self.base = f"model.layers.{config['num_hidden_layers'] + k}."
        if self.family == "DeepseekV3":
            self.embeddings, self.head = tensors[self.base + "embed_tokens.weight"], self.w("shared_head.head")
        if self.family == "LongcatFlash":
            self.embeddings = tensors["model.mtp.embed_tokens.weight"]

    def w(self, name: str) -> Tensor:
        return self.t[self.base + name + ".weight"]

    def forward(self, tokens: list[int], hidden: Tensor) -> Tensor:
        """tokens [T], hidden [T, H] of positions 0, 1, ... -> what is fed on, [T, H]."""
        e, t, k = self.embeddings[torch.tensor(tokens)].clone(), self.t, self.k
        if self.family in ("DeepseekV3", "Glm4Moe"):
            e[0] = 0
            z = torch.cat([rms(e, self.w("enorm"), self.eps), rms(hidden, self.w("hnorm"), self.eps)], 1)
            z = z @ self.w("eh_proj").T
            attended = latent_attention if self.family == "DeepseekV3" else glm_attention
            x = layer(self.t, self.base, z, self.c, attended, mixture_of_experts)
            return rms(x, self.w("shared_head.norm"), self.eps) if self.family == "DeepseekV3" else x
        if self.family == "MiMo":
            self.base = f"model.mtp_layers.{k}."
            e[0] = 0
            z = torch.cat(
                [rms(hidden, self.w("hidden_layernorm"), self.eps), rms(e, self.w("token_layernorm"), self.eps)], 1
            )
            x = layer(t, self.base, z @ self.w("input_proj").T, self.c, dense_attention, dense_mlp)
            return rms(x, self.w("final_layernorm"), self.eps)
        if self.family == "Ernie4_5":
            self.base = f"model.mtp_block.{k}."
            e[0] = 0
            e = rms(e, t[f"model.mtp_emb_norm.{k}.weight"], self.eps)
            z = torch.cat([e, rms(hidden, t[f"model.mtp_hidden_norm.{k}.weight"], self.eps)], 1)
            z = z @ t[f"model.mtp_linear_proj.{k}.weight"].T
            return layer(t, self.base, z, self.c, neighbours_attention, dense_mlp)
        if self.family == "Qwen3Next":
            e = rms(e, 1 + t["mtp.pre_fc_norm_embedding.weight"], self.eps)
            z = torch.cat([e, rms(hidden, 1 + t["mtp.pre_fc_norm_hidden.weight"], self.eps)], 1) @ t["mtp.fc.weight"].T
            x = layer(t, f"mtp.layers.{k}.", z, self.c, gated_attention, qwen_experts, offset=1.0)
            return rms(x, 1 + t["mtp.norm.weight"], self.eps)
        assert self.family == "LongcatFlash"
        self.base = "model.mtp.layers.0."
        z = torch.cat([rms(e, self.w("enorm.m"), self.eps), rms(hidden, self.w("hnorm.m"), self.eps)], 1)
        z = z @ self.w("eh_proj").T
        x = layer(
            t,
            self.base,
            z,
            self.c,
            scaled_latent_attention,
            lambda t, p, y, c: swiglu(t, p + "transformer_layer.mlp.", y),
        )
        return rms(x, t["model.mtp.norm.weight"], self.eps)

    def logits(self, out: Tensor) -> Tensor:
        return (rms(out, self.w("shared_head.norm"), self.eps) if self.family == "Glm4Moe" else out) @ self.head.T


def draft_by(modules: list[Module], tokens: list[int], hidden: Tensor, limit: int, choose: Any) -> None:
    """hidden [len(tokens) - 1, H]. Step s asks module s mod n; after every n steps their outputs pass for states."""
    known, stand_ins = list(tokens), []
    for step in range(limit):
        if step and step % len(modules) == 0:
            hidden = torch.cat([hidden, torch.stack(stand_ins)])
            stand_ins = []
        states = hidden
        for k in range(step % len(modules) + 1):
            states = modules[k].forward(known[k + 1 : k + 1 + len(hidden)], states)
        stand_ins.append(states[-1])
        known.append(choose(step, modules[step % len(modules)].logits(states[-1])))


def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def layer(
    t: Tensors, prefix: str, z: Tensor, c: dict, attention: Any, feed_forward: Any, offset: float = 0.0
) -> Tensor:
    z = z + attention(
        t, prefix + "self_attn.", rms(z, offset + t[prefix + "input_layernorm.weight"], c["rms_norm_eps"]), c
    )
    return z + feed_forward(
        t, prefix, rms(z, offset + t[prefix + "post_attention_layernorm.weight"], c["rms_norm_eps"]), c
    )


def swiglu(t: Tensors, prefix: str, x: Tensor) -> Tensor:
    gate, up = x @ t[prefix + "gate_proj.weight"].T, x @ t[prefix + "up_proj.weight"].T
    return (silu(gate) * up) @ t[prefix + "down_proj.weight"].T


def dense_mlp(t: Tensors, prefix: str, x: Tensor, c: dict) -> Tensor:
    return swiglu(t, prefix + "mlp.", x)


def turn(x: Tensor, theta: float, neighbours: bool) -> Tensor:
    """x [T, heads, D]: pairs (2i, 2i + 1), or (i, i + D/2), turned by position * theta^(-2i/D)."""
    count, _, width = x.shape
    angle = torch.arange(count)[:, None] * theta ** (-torch.arange(0, width, 2) / width)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b = (x[..., 0::2], x[..., 1::2]) if neighbours else x.chunk(2, -1)
    a, b = a * cos - b * sin, b * cos + a * sin
    return torch.stack([a, b], -1).flatten(-2) if neighbours else torch.cat([a, b], -1)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[T, heads, D] with grouped k and v -> [T, heads * Dv]."""
    k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], 1) for part in (k, v))
    scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[2])
    later = torch.ones(len(q), len(q), dtype=torch.bool).triu(1)
    return torch.einsum("hij,jhd->ihd", scores.masked_fill(later, -torch.inf).softmax(-1), v).flatten(1)


def heads_of(t: Tensors, name: str, x: Tensor, width: int) -> Tensor:
    y = x @ t[name + ".weight"].T + t.get(name + ".bias", 0)
    return y.view(len(x), -1, width)


def dense_attention(t: Tensors, p: str, x: Tensor, c: dict, neighbours: bool = False, part: float = 1.0) -> Tensor:
    width, theta = c["head_dim"], c["rope_theta"]
    q, k, v = (heads_of(t, f"{p}{name}_proj", x, width) for name in "qkv")
    cut = int(width * part)
    q, k = (torch.cat([turn(y[..., :cut], theta, neighbours), y[..., cut:]], -1) for y in (q, k))
    return causal(q, k, v) @ t[p + "o_proj.weight"].T


def neighbours_attention(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    return dense_attention(t, p, x, c, neighbours=True)


def glm_attention(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    return dense_attention(t, p, x, c, part=c["partial_rotary_factor"])


def gated_attention(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    width, theta = c["head_dim"], c["rope_theta"]
    both = heads_of(t, p + "q_proj", x, 2 * width)
    q, gate = both[..., :width], both[..., width:]
    k, v = heads_of(t, p + "k_proj", x, width), heads_of(t, p + "v_proj", x, width)
    q, k = rms(q, 1 + t[p + "q_norm.weight"], c["rms_norm_eps"]), rms(k, 1 + t[p + "k_norm.weight"], c["rms_norm_eps"])
    cut = int(width * c["partial_rotary_factor"])
    q, k = (torch.cat([turn(y[..., :cut], theta, False), y[..., cut:]], -1) for y in (q, k))
    return (causal(q, k, v) * gate.sigmoid().flatten(1)) @ t[p + "o_proj.weight"].T


def latent_attention(t: Tensors, p: str, x: Tensor, c: dict, q_scale: float = 1.0, kv_scale: float = 1.0) -> Tensor:
    heads, nope, rope, rank = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["kv_lora_rank"]
    q = rms(x @ t[p + "q_a_proj.weight"].T, t[p + "q_a_layernorm.weight"], 1e-6) @ t[p + "q_b_proj.weight"].T * q_scale
    q = q.view(len(x), heads, nope + rope)
    both = x @ t[p + "kv_a_proj_with_mqa.weight"].T
    latent = rms(both[:, :rank], t[p + "kv_a_layernorm.weight"], 1e-6) * kv_scale
    kv = (latent @ t[p + "kv_b_proj.weight"].T).view(len(x), heads, nope + c["v_head_dim"])
    turned = turn(both[:, None, rank:], c["rope_theta"], True).expand(-1, heads, -1)
    q = torch.cat([q[..., :nope], turn(q[..., nope:], c["rope_theta"], True)], -1)
    return causal(q, torch.cat([kv[..., :nope], turned], -1), kv[..., nope:]) @ t[p + "o_proj.weight"].T


def scaled_latent_attention(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    hidden = c["hidden_size"]
    return latent_attention(t, p, x, c, math.sqrt(hidden / c["q_lora_rank"]), math.sqrt(hidden / c["kv_lora_rank"]))


def mixture_of_experts(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    """Sigmoid scores; the correction chooses only; chosen scores sum to one, then are scaled; one shared expert."""
    scores = (x @ t[p + "mlp.gate.weight"].T).sigmoid()
    chosen = among_the_best(scores + t[p + "mlp.gate.e_score_correction_bias"], c["num_experts_per_tok"])
    routed = weighted(t, p, x, scores * chosen)
    return routed * c["routed_scaling_factor"] + swiglu(t, p + "mlp.shared_experts.", x)


def qwen_experts(t: Tensors, p: str, x: Tensor, c: dict) -> Tensor:
    """Softmax scores of the chosen, summing to one; a shared expert behind a gate of its own."""
    scores = (x @ t[p + "mlp.gate.weight"].T).softmax(-1)
    routed = weighted(t, p, x, scores * among_the_best(scores, c["num_experts_per_tok"]))
    gate = (x @ t[p + "mlp.shared_expert_gate.weight"].T).sigmoid()
    return routed + gate * swiglu(t, p + "mlp.shared_expert.", x)


def among_the_best(scores: Tensor, count: int) -> Tensor:
    """[T, experts] whether fewer than `count` experts score higher."""
    return (scores[:, None, :] > scores[:, :, None]).sum(-1) < count


def weighted(t: Tensors, p: str, x: Tensor, weights: Tensor) -> Tensor:
    """Every expert on every row, weighed."""
    weights = weights / weights.sum(-1, keepdim=True)
    return sum(weights[:, i, None] * swiglu(t, f"{p}mlp.experts.{i}.", x) for i in range(weights.shape[1]))
