"""What a step costs by batch size and draft nodes, on models/tiny; and whether finished requests make it dearer.

    python -m benchmarks.step_cost [rounds]

Drafts are trees of a given size with tokens that are never accepted, so every cell has the same context. Cells are
visited in turn, round after round; a cell's time is the median of its steps. Nothing of a drafting method is in it.
"""

import random
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median

from benchmarks.timing import finish, table
from engine import Engine, SamplingParams
from engine.draft import Draft
from engine.proposers.none import NoProposer
from engine.tree.best_first import best_first

MODEL = Path(__file__).resolve().parents[1] / "models" / "tiny"
BATCHES = (1, 2, 4, 8, 16, 32, 64)
NODES = (0, 1, 2, 4, 8, 16, 32, 64)
LONG = SamplingParams(max_tokens=100, temperature=0.0, ignore_eos=True)
CONTEXT, STEPS, ROUNDS = 128, 4, 3
FINISHED = (0, 1000, 2000, 4000)


class FixedTree(NoProposer):
    """Drafts one tree of `nodes` nodes for every sequence, whatever its text."""

    nodes = 0

    def propose(self, sequences: Sequence, limits: Sequence[int]) -> Draft:
        if not self.nodes:
            return Draft.empty(len(sequences))
        parents = best_first(lambda node: 0.6 * 0.5 ** node[-1], self.nodes).parents
        return Draft([1] * self.nodes * len(sequences), [self.nodes] * len(sequences), parents * len(sequences))


def serve(engine: Engine, batch: int, nodes: int) -> list[dict[str, float]]:
    """Seconds of STEPS steps, by part, with `batch` requests of CONTEXT tokens running."""
    rng = random.Random(batch)
    for i in range(batch):
        prompt = [rng.randrange(300, 2000) for _ in range(CONTEXT)]
        engine.add_request(
            f"{batch}-{nodes}-{i}", prompt, SamplingParams(max_tokens=64, temperature=0.0, ignore_eos=True)
        )
    proposer = engine._proposer
    proposer.nodes = 0
    while engine.num_waiting or engine.timing.num_output_tokens < batch:
        engine.step()
    proposer.nodes, parts = nodes, []
    for _ in range(STEPS + 1):
        before = split(engine)
        engine.step()
        parts.append({name: after - before[name] for name, after in split(engine).items()})
    for i in range(batch):
        engine.abort_request(f"{batch}-{nodes}-{i}")
    engine.reset()
    return parts[1:]


def split(engine: Engine) -> dict[str, float]:
    timing = engine.timing
    return {"target": timing.target, "rest": timing.draft + timing.verify + timing.other}


def costs(rounds: int) -> dict[tuple[int, int], dict[str, float]]:
    """Median seconds per step of every cell."""
    drafting = {"method": "ngram", "num_speculative_tokens": 16}  # so that the engine asks for drafts
    engine = Engine.load(MODEL, drafting, max_num_seqs=max(BATCHES), dtype="float32", max_num_batched_tokens=4096)
    engine._proposer = FixedTree(engine.speculative_config, engine._proposer.host)
    engine.warm_up(max_batch=4)
    found: dict[tuple[int, int], list[dict[str, float]]] = {cell: [] for cell in product(BATCHES, NODES)}
    for _ in range(rounds):
        for cell in found:
            found[cell] += serve(engine, *cell)
    return {
        cell: {name: median(step[name] for step in steps) for name in ("target", "rest")}
        for cell, steps in found.items()
    }


def after_finished(method: str) -> dict[int, float]:
    """Median milliseconds of a step outside the target, after so many finished requests."""
    given = {"method": method, "num_speculative_tokens": 4}
    engine = Engine.load(MODEL, given, max_num_seqs=32, dtype="float32", max_num_batched_tokens=4096)
    rng, done, found = random.Random(0), 0, {}
    short = SamplingParams(max_tokens=2, temperature=0.0)
    for goal in FINISHED:
        prompts = [[rng.randrange(300, 2000) for _ in range(8)] for _ in range(goal - done)]
        engine.generate(prompts, short)
        done = goal
        engine.add_request("probe", [*range(300, 340)] * 2, LONG)
        times = []
        while engine.has_unfinished_requests():
            before = split(engine)["rest"]
            engine.step()
            times.append(split(engine)["rest"] - before)
        found[goal] = 1e3 * median(times)
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    cells = costs(rounds)
    one = sum(cells[1, 0].values())
    header = ["requests", *(f"{nodes} nodes" for nodes in NODES)]
    steps = [[batch, *(1e3 * sum(cells[batch, nodes].values()) for nodes in NODES)] for batch in BATCHES]
    table(f"ms per step, {CONTEXT} tokens of context each", header, steps)
    relative = [[batch, *(sum(cells[batch, nodes].values()) / one for nodes in NODES)] for batch in BATCHES]
    table("the same in steps of one request without a draft", header, relative)
    rest = [[b, *(cells[b, n]["rest"] / sum(cells[b, n].values()) for n in NODES)] for b in BATCHES]
    table("share outside the target: scheduling, verification, commit", header, rest)
    grown = {method: after_finished(method) for method in ("ngram", "suffix")}
    table(
        "ms of a step outside the target, after so many finished requests",
        ["method", *map(str, FINISHED)],
        [[method, *times.values()] for method, times in grown.items()],
    )
    finish(
        "step_cost",
        {
            "batches": BATCHES,
            "nodes": NODES,
            "context": CONTEXT,
            "ms": [row[1:] for row in steps],
            "share_outside_target": [row[1:] for row in rest],
            "ms_outside_target_after_finished": grown,
        },
    )


if __name__ == "__main__":
    main()
