"""The parts that layouts share: the shapes of attention, feed-forward networks and layers by tensor name."""

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def mlp(hidden: int, inner: int) -> Shapes:
    return {
        "gate_proj.weight": (inner, hidden),
        "up_proj.weight": (inner, hidden),
        "down_proj.weight": (hidden, inner),
    }


def attention(c: Mapping[str, Any], width: int | None = None, bias: bool = False, norms: bool = False) -> Shapes:
    """Grouped-query attention whose q, k and v read `width` numbers a row (hidden_size if None)."""
    hidden, dim = c["hidden_size"], c["head_dim"]
    rows = {
        "q_proj": c["num_attention_heads"] * dim,
        "k_proj": c["num_key_value_heads"] * dim,
        "v_proj": c["num_key_value_heads"] * dim,
    }
    shapes: Shapes = {f"{name}.weight": (count, width or hidden) for name, count in rows.items()}
    shapes["o_proj.weight"] = (hidden, rows["q_proj"])
    shapes |= {f"{name}.bias": (count,) for name, count in rows.items()} if bias else {}
    return shapes | ({"q_norm.weight": (dim,), "k_norm.weight": (dim,)} if norms else {})


def latent_attention(c: Mapping[str, Any]) -> Shapes:
    """Multi-head latent attention (MLA)."""
    hidden, heads, rope = c["hidden_size"], c["num_attention_heads"], c["qk_rope_head_dim"]
    nope, value, q_rank, kv_rank = c["qk_nope_head_dim"], c["v_head_dim"], c["q_lora_rank"], c["kv_lora_rank"]
    return {
        "q_a_proj.weight": (q_rank, hidden),
        "q_a_layernorm.weight": (q_rank,),
        "q_b_proj.weight": (heads * (nope + rope), q_rank),
        "kv_a_proj_with_mqa.weight": (kv_rank + rope, hidden),
        "kv_a_layernorm.weight": (kv_rank,),
        "kv_b_proj.weight": (heads * (nope + value), kv_rank),
        "o_proj.weight": (hidden, heads * value),
    }


def experts(c: Mapping[str, Any], count: int, shared: str, correction: bool) -> Shapes:
    """A mixture of experts: router, routed experts and one shared expert named `shared`."""
    hidden, inner = c["hidden_size"], c["moe_intermediate_size"]
    shapes: Shapes = {"gate.weight": (count, hidden)}
    shapes |= {"gate.e_score_correction_bias": (count,)} if correction else {}
    for i in range(count):
        shapes |= prefixed(f"experts.{i}.", mlp(hidden, inner))
    return shapes | prefixed(f"{shared}.", mlp(hidden, inner))


def layer(c: Mapping[str, Any], attention: Shapes, feed_forward: Shapes, input_norm: bool = True) -> Shapes:
    norms = ["post_attention_layernorm", *(["input_layernorm"] if input_norm else [])]
    return (
        {f"{name}.weight": (c["hidden_size"],) for name in norms}
        | prefixed("self_attn.", attention)
        | prefixed("mlp.", feed_forward)
    )


def dense_layer(c: Mapping[str, Any], **kind: Any) -> Shapes:
    return layer(c, attention(c, **kind), mlp(c["hidden_size"], c["intermediate_size"]))


def top_level(c: Mapping[str, Any]) -> Shapes:
    vocabulary = (c["vocab_size"], c["hidden_size"])
    head = {} if c["tie_word_embeddings"] else {"lm_head.weight": vocabulary}
    return {"model.embed_tokens.weight": vocabulary, "model.norm.weight": vocabulary[1:]} | head
