"""The drafting methods of models/tiny, as conf/method has them; YAML is left to others, so that a bare machine can run.

A test holds them against conf/.
"""

from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parents[2] / "models"
TINY = MODELS / "tiny"
SHAPES = MODELS / "shapes"
TREE = "[(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]"
Config = dict[str, Any]


def trained(method: str, k: int, **more: Any) -> Config:
    name = method.replace("_", "-").removesuffix("-model")
    return {"method": method, "model": str(MODELS / f"tiny-{name}"), "num_speculative_tokens": k, **more}


METHODS: dict[str, Config] = {
    "ngram": {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 5},
    "draft_model": trained("draft_model", 4),
    "eagle": trained("eagle", 3),
    "eagle3": trained("eagle3", 4),
    "eagle3 tree": trained("eagle3", 4, speculative_token_tree=TREE),
    "medusa": trained("medusa", 3),
    "mlp_speculator": trained("mlp_speculator", 3),
    "mtp": trained("mtp", 3),
}


def published(name: str) -> tuple[Path, Path]:
    """The folders of a shape and of its EAGLE-3 head: config.json alone, for random weights."""
    return SHAPES / name, SHAPES / f"{name}-eagle3"
