"""Llamas written as AWQ's and GPTQ's tools write them, packed word by word; each beside the same model unquantized."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.engine.conftest import save_model

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def grouped(weight: Tensor, bits: int, group: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """weight [out, in], group [in] of every input -> codes [in, out], zeros and fp16 scales [groups, out]."""
    count, top = int(group.max()) + 1, 2**bits - 1
    low = torch.stack([weight[:, group == g].amin(1).clamp_max(0) for g in range(count)])
    high = torch.stack([weight[:, group == g].amax(1).clamp_min(0) for g in range(count)])
    scales = ((high - low) / top).half().float()
    zeros = (-low / scales).round().clamp(0, top)
    codes = (weight.T / scales[group] + zeros[group]).round().clamp(0, top)
    return codes.int(), zeros.int(), scales.half()


def word(codes: list[int], bits: int) -> int:
    """Codes from the lowest bits on, as a signed 32-bit number."""
    value = sum(code << (i * bits) for i, code in enumerate(codes))
    return value - (1 << 32) if value >= 1 << 31 else value


def packed_rows(codes: Tensor, bits: int) -> Tensor:
    """[n, m] -> [n * bits / 32, m]: words go down a column."""
    per_word = 32 // bits
    columns = codes.T.tolist()
    words = [[word(c[i : i + per_word], bits) for i in range(0, len(c), per_word)] for c in columns]
    return torch.tensor(words, dtype=torch.int32).T.contiguous()


def gptq(weight: Tensor, bits: int, size: int, act_order: bool, less_one: bool) -> tuple[dict[str, Tensor], Tensor]:
    width = weight.shape[1]
    group = torch.arange(width) // size
    if act_order:
        group = group[torch.randperm(width, generator=torch.Generator().manual_seed(0))]
    codes, zeros, scales = grouped(weight, bits, group)
    stored = (zeros - int(less_one)) & (2**bits - 1)
    parts = {
        "qweight": packed_rows(codes, bits),
        "qzeros": packed_rows(stored.T, bits).T.contiguous(),
        "scales": scales,
        "g_idx": group.int(),
        "bias": torch.zeros(weight.shape[0], dtype=torch.float16),
    }
    return parts, ((codes - zeros[group]).float() * scales.float()[group]).T


def awq(weight: Tensor, size: int) -> tuple[dict[str, Tensor], Tensor]:
    group = torch.arange(weight.shape[1]) // size
    codes, zeros, scales = grouped(weight, 4, group)

    def packed(matrix: Tensor) -> Tensor:
        rows = [
            [word([row[j + place] for place in AWQ_ORDER], 4) for j in range(0, len(row), 8)] for row in matrix.tolist()
        ]
        return torch.tensor(rows, dtype=torch.int32)

    parts = {"qweight": packed(codes), "qzeros": packed(zeros), "scales": scales}
    return parts, ((codes - zeros[group]).float() * scales.float()[group]).T


def fp8_blocks(weight: Tensor, block: tuple[int, int]) -> tuple[dict[str, Tensor], Tensor]:
    rows, columns = (torch.arange(n) // size for n, size in zip(weight.shape, block, strict=True))
    scales = torch.zeros(int(rows.max()) + 1, int(columns.max()) + 1)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            scales[i, j] = weight[rows == i][:, columns == j].abs().max() / 448
    wide = scales[rows][:, columns]
    stored = (weight / wide).to(torch.float8_e4m3fn)
    return {"weight": stored, "weight_scale_inv": scales}, stored.float() * wide


def save_quantized(folder: Path, config: dict, quantize, **overrides) -> Path:
    """A random Llama in folder/quantized; its dequantized twin in folder/plain."""
    save_model(folder / "plain", seed=5, **overrides)
    tensors = load_file(folder / "plain/model.safetensors")
    stored, plain = dict(tensors), dict(tensors)
    for name in [name for name in tensors if name.split(".")[-2] in PROJECTIONS]:
        parts, plain[name] = quantize(stored.pop(name))
        stored |= {name.removesuffix("weight") + part: tensor for part, tensor in parts.items()}
    save_file({name: tensor.contiguous() for name, tensor in plain.items()}, folder / "plain/model.safetensors")
    (folder / "quantized").mkdir()
    save_file(stored, folder / "quantized/model.safetensors")
    raw = json.loads((folder / "plain/config.json").read_text())
    (folder / "quantized/config.json").write_text(json.dumps(raw | {"quantization_config": config}))
    return folder / "quantized"


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
KINDS = {
    "awq": (AWQ, lambda w: awq(w, 32)),
    "gptq": (GPTQ, lambda w: gptq(w, 4, 32, False, True)),
    "gptq in the second layout": (GPTQ | {"checkpoint_format": "gptq_v2"}, lambda w: gptq(w, 4, 32, False, False)),
    "gptq by activation order": (GPTQ | {"desc_act": True}, lambda w: gptq(w, 4, 32, True, True)),
    "gptq in 8 bits, one group": (
        GPTQ | {"bits": 8, "group_size": -1},
        lambda w: gptq(w, 8, w.shape[1], False, True),
    ),
    "fp8 in blocks": (
        {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [48, 32]},
        lambda w: fp8_blocks(w, (48, 32)),
    ),
}
