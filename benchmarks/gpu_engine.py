"""The engine on a GPU: first that it is right, then how close to the chip's limits it runs.

    python -m benchmarks.gpu_engine [--correctness | --timings] [--sections steps,drafts,speed,outside,kernels]
                                    [--models llama31-8b,qwen3-0.6b] [--budget 400] [--write]

Correctness: every kernel against its reference, captured steps against eager ones, every method against none, with
the near-tie rule. Then, in bf16 with random weights of published shapes: steps over their bandwidth bound, EAGLE-3
draft loops, tokens per second at SYNTHETIC acceptance beside transformers' generate, the share outside kernels, and
each kernel over its byte bound. Last, what the engine must show beside what it did. The last line is JSON.

Without a GPU correctness runs on the CPU, the kernels in Triton's interpreter. No section begins after --budget
seconds. Exit status: 1 where something is wrong or failed, 2 where timings were asked for without a GPU.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import machine

RESULTS = Path(__file__).with_name("results")
NO_GPU = "the timings need a CUDA GPU, and torch finds none"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    from benchmarks.gpu.sections import MODELS, SECTIONS

    parser = argparse.ArgumentParser(prog="benchmarks.gpu_engine", description="The engine on a GPU.")
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--correctness", action="store_true", help="only the first half")
    half.add_argument("--timings", action="store_true", help="only the second half")
    parser.add_argument("--sections", type=_some_of(SECTIONS), default=SECTIONS, help=",".join(SECTIONS))
    parser.add_argument("--models", type=_some_of(MODELS), default=MODELS, help=",".join(MODELS))
    parser.add_argument("--budget", type=float, default=400.0, help="seconds after which no section begins")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    return parser.parse_args(given)


def _some_of(known: Sequence[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}: allowed are {', '.join(known)}")
        return names

    return parse


def correctness(device: Any) -> dict[str, Any]:
    from benchmarks.gpu import agreement, lossless

    kernels, tokens = agreement.prove(device), lossless.prove(device)
    return {
        "holds": all(each.agrees for each in kernels) and all(each.holds for each in tokens),
        "kernels": [each._asdict() for each in kernels],
        "tokens": [each._asdict() | {"holds": each.holds} for each in tokens],
    }


def timings(bench: Any, sections: Sequence[str], models: Sequence[str]) -> dict[str, Any]:
    """Results by model, and the kernels'; without ceilings there is no bound to measure against."""
    from benchmarks.gpu import sections as parts

    found = parts.ceilings(bench)
    if found is None:
        return {"models": {}}
    wanted = [each for each in sections if each in parts.OF_A_MODEL]
    results: dict[str, Any] = {"ceilings": found._asdict()}
    results["models"] = parts.of_models(models, bench, found, wanted)
    if "kernels" in sections:
        results["kernels"] = parts.kernels(bench, found)
    return results


def claims(models: dict[str, Any], correct: bool | None) -> list[dict[str, Any]]:
    from benchmarks.gpu.claims import judge
    from benchmarks.timing import table

    judged = judge(models, correct)
    rows = [[each["claim"], each["limit"], "-" if each["value"] is None else each["value"], each["verdict"]]
            for each in judged]  # fmt: skip
    table("what it must show", ["", "limit", "measured", ""], rows)
    return judged


def report(wishes: argparse.Namespace, bench: Any, facts: dict[str, Any]) -> int:
    """Both halves as wished; the exit status."""
    from benchmarks.timing import finish

    has_gpu, results = facts["gpu"] is not None, dict(facts)
    if not wishes.timings:
        with bench.section("correctness"):
            results["correctness"] = correctness(bench.device)
    correct = results.get("correctness", {}).get("holds")
    if has_gpu and not wishes.correctness:
        results |= timings(bench, wishes.sections, wishes.models)
        results["claims"] = claims(results["models"], correct)
    elif not wishes.correctness:
        print(f"\n{NO_GPU}")
    results["sections"] = bench.log
    if wishes.write:
        write(results)
    finish("gpu_engine", results)
    differs = results.get("kernels", {}).get("differences")
    return 1 if correct is False or bench.failed or differs else 0


def write(results: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{results['date']}-gpu-engine.json"
    path.write_text(json.dumps({"benchmark": "gpu_engine", **results}, indent=1) + "\n")
    print(f"\nkept in {path.relative_to(RESULTS.parents[1])}")


def main(given: Sequence[str]) -> int:
    device = machine.prepare()
    wishes = arguments(given)
    if wishes.timings and device.type != "cuda":
        print(NO_GPU, file=sys.stderr)
        return 2
    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.timer import Timer

    return report(wishes, Bench(device, Timer(), wishes.budget), machine.facts(device, "benchmarks.gpu_engine", given))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
