"""Measure every configuration of a space once, to a tight interval, and keep all of it.

    python -m benchmarks.grid METHOD FILE [passes]

METHOD is ngram or eagle3; 48 configurations each, on the prompts of one workload of models/tiny, search and held-out
ones. Configurations are measured beside the baseline, eight at a time, in an order that changes from visit to visit.
FILE (a pickle) is written after every visit, so the command can be stopped and goes on where it was.
"""

import pickle
import random
import sys
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from autotune import arms
from autotune.compose import resolve
from autotune.inputs import check, worker_for
from autotune.overrides import CONF
from autotune.samples import BASELINE
from autotune.settings import Settings

TOGETHER = 8
SPACES: dict[str, dict[str, list[Any]]] = {
    "ngram": {
        "method.num_speculative_tokens": [1, 2, 3, 4, 5, 6, 8, 10],
        "method.prompt_lookup_min": [1, 2, 3],
        "method.prompt_lookup_max": [3, 6],
    },
    "eagle3": {
        "method.num_speculative_tokens": [1, 2, 3, 4, 5, 6, 7, 8],
        "method.dynamic_tree_num_draft_tokens": [None, 3, 6, 10, 16, 24],
    },
}
WORKLOAD = "workload=summarization"
SIZES = ("workload.num_prompts=8", "workload.num_confirm_prompts=10", "workload.max_tokens=48")


def configurations(method: str) -> list[dict[str, Any]]:
    space = SPACES[method]
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


def settings_for(method: str, *more: str) -> Settings:
    """The settings of a study of the grid's space."""
    words = [f"method={method}", WORKLOAD, *SIZES, "tracking=none", "engine.num_threads=1", *more]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", words)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    plain.pop("experiment", None)
    return resolve(plain)


def record(method: str, path: Path, passes: int) -> None:
    settings = settings_for(method)
    inputs = check(settings, searching=True)
    worker = worker_for(settings, inputs)
    points = configurations(method)
    kept: dict[str, Any] = pickle.loads(path.read_bytes()) if path.exists() else {"visits": {}, "points": points}
    names = {f"c{i}": arms.candidate(settings, point, f"c{i}") for i, point in enumerate(points)}
    opened = worker.open()
    kept["environment"] = dict(opened.environment)
    for repeat, split in product(range(passes), ("search", "confirm")):
        rng = random.Random(repeat)
        order = list(names)
        rng.shuffle(order)
        for first in range(0, len(order), TOGETHER):
            chosen = order[first : first + TOGETHER]
            todo = [i for i in range(inputs.counts[split]) if (split, repeat, first, i) not in kept["visits"]]
            if todo:
                worker.prepare([arms.baseline(settings), *(names[name] for name in chosen)], split)
            for i in todo:
                visit = [BASELINE, *chosen]
                rng.shuffle(visit)
                result = worker.measure(f"prompt-{i}", split, [i], repeat, visit)
                kept["visits"][split, repeat, first, i] = result
            if todo:
                path.write_bytes(pickle.dumps(kept))
                print(
                    f"{method}: pass {repeat + 1} of {passes}, {split}, {first + len(chosen)} of {len(order)}",
                    flush=True,
                )
    worker.close()


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3)
