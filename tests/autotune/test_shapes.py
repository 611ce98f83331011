"""The table of published models against their published widths, and against the sizes in their names."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
import yaml

from autotune.overrides import CONF
from autotune.recommend.shape import BILLION, Shape, shape_of

TABLE: dict[str, dict[str, Any]] = yaml.safe_load((CONF / "recommend" / "tables" / "shapes.yaml").read_text())


class Widths(NamedTuple):
    """Of a dense decoder with gated feed-forward layers. `mtp`: modules for multi-token prediction, a layer and a
    projection of two states to one each.
    """

    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int = 128
    mtp: int = 0

    def layer(self, hidden: int) -> int:
        """q and o, k and v, the three matrices of the feed-forward layer, two norms."""
        attention = 2 * hidden * self.heads * self.head_dim + 2 * hidden * self.kv_heads * self.head_dim
        return attention + 3 * hidden * self.intermediate + 2 * hidden

    def parameters(self, layers: int, hidden: int, vocab: int, tied: bool) -> int:
        words = (1 if tied else 2) * vocab * hidden
        return (layers + self.mtp) * self.layer(hidden) + self.mtp * 2 * hidden**2 + words + hidden


LLAMA_7B, LLAMA_13B = Widths(11008, 32, 32), Widths(13824, 40, 40)
LLAMA_8B, LLAMA_70B = Widths(14336, 32, 8), Widths(28672, 64, 8)
DENSE = {
    "meta-llama/Llama-2-7b-chat-hf": LLAMA_7B,
    "meta-llama/Llama-2-13b-chat-hf": LLAMA_13B,
    "meta-llama/Llama-2-70b-chat-hf": LLAMA_70B,
    "codellama/CodeLlama-34b-Instruct-hf": Widths(22016, 64, 8),
    "lmsys/vicuna-7b-v1.3": LLAMA_7B,
    "lmsys/vicuna-13b-v1.3": LLAMA_13B,
    "lmsys/vicuna-33b-v1.3": Widths(17920, 52, 52),
    "double7/vicuna-68m": Widths(3072, 12, 12, 64),
    "meta-llama/Meta-Llama-3-8B-Instruct": LLAMA_8B,
    "meta-llama/Llama-3.1-8B-Instruct": LLAMA_8B,
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": LLAMA_8B,
    "meta-llama/Llama-3.2-1B-Instruct": Widths(8192, 32, 8, 64),
    "meta-llama/Meta-Llama-3-70B-Instruct": LLAMA_70B,
    "meta-llama/Llama-3.1-70B-Instruct": LLAMA_70B,
    "meta-llama/Llama-3.3-70B-Instruct": LLAMA_70B,
    "ibm-granite/granite-8b-code-instruct-4k": LLAMA_8B,
    "Qwen/Qwen3-0.6B": Widths(3072, 16, 8),
    "Qwen/Qwen3-8B": Widths(12288, 32, 8),
    "Qwen/Qwen3-32B": Widths(25600, 64, 8),
    "XiaomiMiMo/MiMo-7B-RL": Widths(11008, 32, 8, mtp=1),
}
# Names that round down, or leave the module for multi-token prediction out.
NAMED = {"double7/vicuna-68m": 0.068, "XiaomiMiMo/MiMo-7B-RL": 7.6, "deepseek-ai/DeepSeek-V3": 671.0,
         "zai-org/GLM-4.5-Air": 106.0, "meituan-longcat/LongCat-Flash-Chat": 560.0, "meta-llama/Llama-3.2-1B-Instruct":
         1.23}  # fmt: skip


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_model_s_parameters_follow_from_its_widths(name: str) -> None:
    row, widths = TABLE[name], DENSE[name]
    counted = widths.parameters(row["layers"], row["hidden"], row["vocab"], row.get("tied", False))
    assert counted == pytest.approx(row["parameters"] * BILLION, rel=0.01)
    assert row["kv"] == 2 * widths.kv_heads * widths.head_dim


@pytest.mark.parametrize("name", DENSE)
def test_the_recommender_s_layer_is_the_model_s(name: str) -> None:
    """What a draft of one layer is counted as; a module for multi-token prediction is spread over the layers."""
    row, widths = TABLE[name], DENSE[name]
    shape = shape_of(name, {name: row})
    assert isinstance(shape, Shape)
    assert shape.layer_parameters == pytest.approx(widths.layer(row["hidden"]), rel=0.05)


@pytest.mark.parametrize("name", TABLE)
def test_every_model_has_about_the_size_in_its_name(name: str) -> None:
    said = re.search(r"(\d+(?:\.\d+)?)[bB]\b", name)
    size = NAMED.get(name) or float(said.group(1) if said else "nan")
    assert TABLE[name]["parameters"] == pytest.approx(size, rel=0.05)
    assert set(TABLE[name]) - {"tied"} == {"architecture", "parameters", "layers", "hidden", "kv", "vocab"}
