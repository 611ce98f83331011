"""Measure every configuration of a space once, to a tight interval, and keep all of it.

    python -m benchmarks.grid METHOD FILE [passes]

METHOD is ngram or eagle3; 48 configurations each, on the prompts of one workload of models/tiny, search and held-out
ones. Configurations are measured beside the baseline, eight at a time, in an order that changes from visit to visit.
FILE (a pickle) is written after every visit, so the command can be stopped and goes on where it was.
"""

import pickle
import random
import sys
from collections.abc import Mapping
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
from autotune.space import Space

TOGETHER = 8
SPACES: dict[str, tuple[str, ...]] = {
    "ngram": (
        "method.search=null",
        "+search.method.num_speculative_tokens={int: [1, 8]}",
        "+search.method.prompt_lookup_min={int: [1, 3]}",
        "+search.method.prompt_lookup_max={categorical: [3, 5]}",
    ),
    "eagle3": (
        "method.search=null",
        "+search.method.num_speculative_tokens={int: [1, 8]}",
        "+search.method.dynamic_tree_num_draft_tokens={categorical: [null, 3, 6, 10, 16, 24]}",
    ),
}
WORKLOAD = "workload=summarization"
SIZES = ("workload.num_prompts=16", "workload.num_confirm_prompts=24", "workload.max_tokens=64")


def configurations(space: Space) -> list[dict[str, Any]]:
    return [space.parameters(point) for point in space.grid()]


def settings_for(method: str, *more: str) -> Settings:
    """The settings of a study of the grid's space."""
    words = [f"method={method}", *SPACES[method], WORKLOAD, *SIZES, "tracking=none", "engine.num_threads=1", *more]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", words)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    plain.pop("experiment", None)
    return resolve(plain)


def record(method: str, path: Path, passes: int) -> None:
    settings = settings_for(method)
    inputs = check(settings, searching=True)
    worker = worker_for(settings, inputs)
    kept: dict[str, Any] = pickle.loads(path.read_bytes()) if path.exists() else begun(method, inputs.space)
    kept["environment"] = dict(worker.open().environment)
    for done in visits(kept, worker, settings, inputs.counts, passes):
        path.write_bytes(pickle.dumps(kept))
        print(f"{method}: {done}", flush=True)
    worker.close()


def begun(method: str, space: Space) -> dict[str, Any]:
    """An empty recording. `visits` are by split, pass, place of the group in the pass's order, and prompt."""
    return {"method": method, "points": configurations(space), "visits": {}, "environment": {}}


def visits(kept: dict[str, Any], worker: Any, settings: Settings, counts: Mapping[str, int], passes: int) -> Any:
    """Measure what the recording lacks; says what was done after every group."""
    candidates = {f"c{i}": arms.candidate(settings, point, f"c{i}") for i, point in enumerate(kept["points"])}
    for turn, split in product(range(passes), ("search", "confirm")):
        rng = random.Random(turn)
        order = rng.sample(list(candidates), len(candidates))
        for first in range(0, len(order), TOGETHER):
            chosen = order[first : first + TOGETHER]
            todo = [i for i in range(counts[split]) if (split, turn, first, i) not in kept["visits"]]
            if not todo:
                continue
            worker.prepare([arms.baseline(settings), *(candidates[name] for name in chosen)], split)
            for i in todo:
                visit = rng.sample([BASELINE, *chosen], 1 + len(chosen))
                kept["visits"][split, turn, first, i] = worker.measure(f"prompt-{i}", split, [i], turn, visit)
            yield f"pass {turn + 1} of {passes}, {split}, {first + len(chosen)} of {len(order)}"


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 4)
