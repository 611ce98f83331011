"""The best tree of 16 nodes against the best chain, of every drafting method on workloads of the embedded model.

    python -m benchmarks.tree_acceptance [--methods ngram,suffix] [--workloads chat,math] [--nodes 16] [--write]

Greedy, float32. A tree is grown best-first from measured acceptance of its nodes, on prompts of the search split; it
and every chain are then measured on prompts of the eval split. The best chain is chosen on the very prompts that
it is measured on, which favours it. `--write` makes docs/trees.md, of all methods and workloads.
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import workloads
from benchmarks.acceptance import methods as shipped
from benchmarks.timing import finish
from engine import ConfigError, Engine, SamplingParams
from engine.tree.best_first import Acceptance, best_first
from engine.tree.literal import MAX_NODES
from engine.tree.measured import Measured, Run, unmeasured
from engine.tree.token_tree import TokenTree

ROOT = Path(__file__).resolve().parents[1]
WORKLOADS = ("summarization", "rag", "code", "qa", "math", "translation", "chat")
Prompts = list[list[int]]


def prompts(engine: Engine, source: str, split: str, count: int) -> Prompts:
    made = workloads.build(source, split=split, num_prompts=count, seed=0, max_tokens=1)
    chats = [[{"role": m.role, "content": m.content} for m in request.prompt] for request in made]
    return [engine.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


class Bench:
    """One method: what it drafts on given prompts, as a chain or as a tree."""

    def __init__(self, engine: Engine, config: dict[str, Any], tokens: int, longest: int):
        self.engine, self.tokens = engine, tokens
        self.config = {key: value for key, value in config.items() if key != "num_speculative_tokens"}
        self.depth = next(k for k in range(longest, 0, -1) if self._can_draft(k))

    def run(self, batch: Prompts, **shape: Any) -> dict[str, Any]:
        """With `num_speculative_tokens` or `speculative_token_tree`."""
        self.engine.configure_speculation(self.config | shape)
        self.engine.reset()
        self.engine.generate(batch, SamplingParams(max_tokens=self.tokens, temperature=0.0))
        return {
            "mean_acceptance_length": self.engine.stats.mean_acceptance_length or 1.0,
            "tokens_per_target_pass": self.engine.timing.tokens_per_target_pass or 1.0,
        }

    def best_chain(self, batch: Prompts) -> dict[str, Any]:
        """The length with the highest mean acceptance length; of equals the shortest. Three in a row without a gain
        end the search.
        """
        best: dict[str, Any] = {"mean_acceptance_length": 0.0, "length": 0}
        for k in range(1, self.depth + 1):
            found = self.run(batch, num_speculative_tokens=k) | {"length": k}
            if found["mean_acceptance_length"] > best["mean_acceptance_length"]:
                best = found
            elif k - best["length"] == 3:
                break
        return best

    def best_tree(self, batch: Prompts, num_nodes: int, rounds: int) -> TokenTree:
        """Measure a tree of 64 nodes, grow the next from what became of its nodes, and so on. Of the trees of num_nodes
        that each round asks for, and the chain, keep the one that does best on these prompts.
        """
        runs: list[Run] = []
        wide, asked = best_first(self._reachable(unmeasured), MAX_NODES), {self._chain(num_nodes): None}
        for _ in range(rounds):
            self.run(batch, speculative_token_tree=str(wide))
            runs.append((wide, self.engine.stats))
            found = Measured(runs)
            wide = best_first(self._reachable(found.guess), MAX_NODES)
            asked[best_first(found.known, num_nodes)] = None
        return max(asked, key=lambda tree: self.run(batch, speculative_token_tree=str(tree))["mean_acceptance_length"])

    def _chain(self, num_nodes: int) -> TokenTree:
        return TokenTree.chain(min(num_nodes, self.depth))

    def _reachable(self, acceptance: Acceptance) -> Acceptance:
        return lambda node: acceptance(node) if len(node) <= self.depth else 0.0

    def _can_draft(self, length: int) -> bool:
        try:
            self.engine.configure_speculation(self.config | {"num_speculative_tokens": length})
        except ConfigError:
            return False
        return True


def compare(bench: Bench, grown_on: Prompts, held_out: Prompts, arguments: argparse.Namespace) -> dict[str, Any]:
    """One method on one workload."""
    tree = bench.best_tree(grown_on, arguments.nodes, arguments.rounds)
    found = bench.run(held_out, speculative_token_tree=str(tree))
    found |= {"literal": str(tree), "levels": [len(level) for level in tree.levels]}
    return {"chain": bench.best_chain(held_out), "tree": found}


def page(found: dict[str, dict[str, dict[str, Any]]], arguments: argparse.Namespace) -> str:
    """The tables as Markdown."""
    names = [name for name in WORKLOADS if all(name in row for row in found.values())]
    lines = [
        f"""# The best tree of {arguments.nodes} nodes against the best chain

`python -m benchmarks.tree_acceptance --write` makes this page: models/tiny, greedy in float32, at most
{arguments.tokens} tokens an answer. A tree is grown best-first from the acceptance of every node, measured on
{arguments.prompts} prompts of the search split, {arguments.rounds} times over; it and the chains of every length up to
{arguments.longest}, or up to what the method can draft or to three lengths without a gain, are then measured on
{arguments.prompts} prompts of the eval split. The chain shown is the best one on these very prompts, which favours it.
A chain of {arguments.nodes} is a tree too, and the best one where the draft is seldom wrong; of ngram such a tree is
longer than the chain where an occurrence near the end of the text is carried on by another one.

## Mean acceptance length (tokens per target pass)

1 + accepted / drafts; in brackets the tokens that a target pass brought, which counts the steps without a draft too.
Chain, then tree; the higher one is bold.
""",
        "| method | " + " | ".join(names) + " | tree above chain |",
        "|---" * (len(names) + 2) + "|",
    ]
    for method, row in found.items():
        cells = [f"{_shown(row[name], 'chain')}, {_shown(row[name], 'tree')}" for name in names]
        won = wins([row[name] for name in names])
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {won} of {len(names)} |")
    lines += ["", "## Shapes", "", "Length of the best chain; nodes of the tree on its levels 1, 2, ...", ""]
    lines += ["| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for method, row in found.items():
        shapes = [f"{row[n]['chain']['length']}; {' '.join(map(str, row[n]['tree']['levels']))}" for n in names]
        lines.append(f"| {method} | " + " | ".join(shapes) + " |")
    return "\n".join(lines) + "\n"


def wins(cells: list[dict[str, Any]]) -> int:
    return sum(_length(cell, "tree") > _length(cell, "chain") for cell in cells)


def _length(cell: dict[str, Any], kind: str) -> float:
    return cell[kind]["mean_acceptance_length"]


def _shown(cell: dict[str, Any], kind: str) -> str:
    best = max(_length(cell, "tree"), _length(cell, "chain"))
    mark = "**" if _length(cell, kind) == best else ""
    return f"{mark}{_length(cell, kind):.2f}{mark} ({cell[kind]['tokens_per_target_pass']:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("prompts", 32), ("tokens", 96), ("nodes", 16), ("rounds", 2), ("longest", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--methods", default="", help="comma-separated; all by default")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--results", type=Path, help="JSON of cells measured before; those are not measured again")
    parser.add_argument("--write", action="store_true", help="write docs/trees.md")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*MTP module")
    engine = Engine.load(ROOT / "models" / "tiny", max_num_seqs=8, dtype="float32", num_threads=1)
    wanted = [name for name in arguments.methods.split(",") if name]
    splits = {
        name: [prompts(engine, name, split, arguments.prompts) for split in ("search", "eval")]
        for name in arguments.workloads.split(",")
    }
    kept = arguments.results
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for method, config in shipped(1):
        if wanted and method not in wanted:
            continue
        bench = Bench(engine, config, arguments.tokens, arguments.longest)
        row = found.setdefault(method, {})
        for name, (grown_on, held_out) in splits.items():
            if name not in row:
                row[name] = compare(bench, grown_on, held_out, arguments)
            if kept:
                kept.write_text(json.dumps(found))
            cell = row[name]
            shown = f"chain of {cell['chain']['length']}: {_shown(cell, 'chain')}  tree: {_shown(cell, 'tree')}"
            print(f"{method:16} {name:14} {shown}  levels {cell['tree']['levels']}", flush=True)
    if arguments.write:
        (ROOT / "docs" / "trees.md").write_text(page(found, arguments), encoding="utf-8")
    finish("tree_acceptance", {"nodes": arguments.nodes, "found": found})


if __name__ == "__main__":
    main()
