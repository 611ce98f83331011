"""Heads of Medusa and of the MLP speculator."""

from collections.abc import Mapping
from typing import Any

from checkpoints.pieces import Config, Shapes, prefixed


def medusa_reference(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """The authors' own heads. Their config tells neither sizes nor, reliably, the number of heads: `heads` is a wish
    for the tensors only."""
    heads = wishes.pop("heads", 5)
    config: Config = {"medusa_num_heads": 2, "medusa_num_layers": 1, "base_model_name_or_path": "org/target"} | wishes
    depth, hidden, vocabulary = config["medusa_num_layers"], target["hidden_size"], target["vocab_size"]
    shapes: Shapes = {}
    for i in range(heads):
        for j in range(depth):
            shapes |= {f"{i}.{j}.linear.weight": (hidden, hidden), f"{i}.{j}.linear.bias": (hidden,)}
        shapes[f"{i}.{depth}.weight"] = (vocabulary, hidden)
    return config, shapes


def medusa_vllm(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    config: Config = {
        "architectures": ["MedusaModel"],
        "model_type": "medusa",
        "hidden_size": target["hidden_size"],
        "vocab_size": target["vocab_size"],
        "truncated_vocab_size": target["vocab_size"],
        "num_heads": 5,
        "num_hidden_layers": 1,
        "max_paths": 64,
        "topk": 10,
        "medusa_fc_bias": False,
        "original_lm_head": False,
    } | wishes
    hidden, kept = config["hidden_size"], config["truncated_vocab_size"]
    shapes: Shapes = {"token_map": (kept,)} if kept < config["vocab_size"] else {}
    for i in range(config["num_heads"]):
        for j in range(config["num_hidden_layers"]):
            shapes[f"blocks.{i}.layers.{j}.weight"] = (hidden, hidden)
            shapes |= {f"blocks.{i}.layers.{j}.bias": (hidden,)} if config["medusa_fc_bias"] else {}
    for i in range(1 if config["original_lm_head"] else config["num_heads"]):
        shapes[f"lm_heads.{i}.weight"] = (kept, hidden)
    return config, shapes


def mlp_speculator(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    stages = wishes.get("n_predict", 3)
    config: Config = {
        "architectures": ["MLPSpeculatorPreTrainedModel"],
        "model_type": "mlp_speculator",
        "n_predict": stages,
        "emb_dim": target["hidden_size"],
        "inner_dim": 48,
        "vocab_size": target["vocab_size"],
        "top_k_tokens_per_head": [5, 4, 3, 2, 2][:stages],
        "n_candidates": 5,
        "tie_weights": False,
        "scale_input": False,
    } | wishes
    vocabulary, width, inner = config["vocab_size"], config["emb_dim"], config["inner_dim"]
    copies = 1 if config["tie_weights"] else stages
    shapes: Shapes = {}
    for i in range(copies):
        shapes |= {f"emb.{i}.weight": (vocabulary, inner), f"head.{i}.weight": (vocabulary, inner)}
        shapes |= {f"ln.{i}.weight": (inner,), f"ln.{i}.bias": (inner,)}
    for i in range(min(2, stages) if config["tie_weights"] else stages):
        shapes[f"proj.{i}.weight"] = (inner, inner if i else width)
    return config, prefixed("speculator.", shapes)


def mlp_speculator_tied(target: Mapping[str, Any], wishes: Config) -> tuple[Config, Shapes]:
    """Only one copy of what the stages share."""
    return mlp_speculator(target, {"tie_weights": True, "scale_input": True} | wishes)
