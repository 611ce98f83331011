"""What of a result can be given to vLLM: which fields of an exported speculative config which release reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autotune.measurement import LOSSY, SYNTHETIC

OURS = "only this project's engine reads {}: remove it from speculative_config.json before giving that to vLLM"
LATER = "only releases of vLLM after 0.12 read {}"
# Fields that not every vLLM from 0.12 on reads.
WHERE = {
    "adaptive": OURS,
    "adaptive_low_acceptance": OURS,
    "adaptive_high_acceptance": OURS,
    "adaptive_window": OURS,
    "adaptive_min_tokens": OURS,
    "adaptive_probe_interval": OURS,
    "adaptive_memory_threshold": OURS,
    "aux_layer_convention": OURS,
    "dynamic_tree_topk": OURS,
    "dynamic_tree_num_draft_tokens": OURS,
    "posterior_threshold": OURS,
    "posterior_alpha": OURS,
    "num_speculative_tokens_per_batch_size": LATER,
    "draft_sample_method": LATER,
    "rejection_sample_method": LATER,
    "synthetic_acceptance_rates": LATER,
    "synthetic_acceptance_length": LATER,
    "disable_by_batch_size": "only releases of vLLM before 0.18 read {}",
    "quantization": "of the values of {} vLLM reads fp8, and neither int8 nor int4",
    "speculative_token_tree": "only releases of vLLM before 0.22 read {}",
}

REFUSED = {
    LOSSY: "No speculative_config.json was written: vLLM has no such way of verifying; best.json keeps the "
    "configuration, for this engine.",
    SYNTHETIC: "No speculative_config.json was written: synthetic acceptance serves nobody.",
}


def refusal(output_law: str) -> str:
    """Why a configuration whose answers have this law is not exported; empty where it is."""
    return REFUSED.get(output_law, "")


def serve_command(environment: Mapping[str, Any], file: object) -> str:
    """How vLLM is started with the exported file, on as many GPUs as were measured on."""
    size = environment.get("tensor_parallel_size", 1)
    parallel = f"--tensor-parallel-size {size} " if size > 1 else ""
    return f'vllm serve MODEL {parallel}--speculative-config "$(cat {file})"'


def schedules(
    config: Mapping[str, Any], buckets: Sequence[Sequence[int]], cutoff: Sequence[Sequence[int]] | None = None
) -> dict[str, dict[str, Any]]:
    """A schedule of [first, last, tokens] as releases of vLLM read it: "current" whole, "0.12" as the batch size above
    which nothing is drafted. Below, 0.12 knows one number of tokens: that of `cutoff`, the best schedule of that form,
    else the first bucket's. "0.12" is missing where that batch size would be 1, or nothing is drafted.
    """
    plain = {name: value for name, value in config.items() if name != "num_speculative_tokens_per_batch_size"}
    whole = [list(bucket) for bucket in buckets]
    current = plain if len(whole) == 1 else {**plain, "num_speculative_tokens_per_batch_size": whole}
    form = [list(bucket) for bucket in cutoff] if cutoff is not None else whole
    drafting = [last for _, last, tokens in form if tokens]
    fixed = {**plain, "num_speculative_tokens": form[0][2]}
    if len(drafting) == len(form):
        return {"current": current, "0.12": fixed}
    most = max(drafting, default=0)
    return {"current": current} | ({"0.12": {**fixed, "disable_by_batch_size": most}} if most > 1 else {})


def notes(speculative_config: Mapping[str, Any] | None) -> list[str]:
    """What somebody must know who gives speculative_config.json to vLLM, a sentence for every kind of field."""
    found: dict[str, list[str]] = {}
    for name in speculative_config or {}:
        if name in WHERE:
            found.setdefault(WHERE[name], []).append(name)
    said = [sentence.format(", ".join(names)) for sentence, names in found.items()]
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in said]
