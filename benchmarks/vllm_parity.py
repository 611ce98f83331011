"""Acceptance of this engine and of vLLM on the same heads and prompts, greedy and in float32.

    python -m benchmarks.vllm_parity --vllm-python ENV/bin/python [--methods eagle3,mtp] [--prompts 8] [--threads 1]

vLLM lives in an environment of its own (docs/log.md says how it was made). For every method that vLLM runs on a CPU:
mean acceptance length (1 + accepted / drafts) of both, their difference, which must stay within 3 %, the emitted
tokens, and the drafts themselves where both drafted after the same text. One prompt at a time. Heads are those of
models/ unless --heads names a folder with others of the same names.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import workloads
from benchmarks.timing import finish, table
from engine import Engine, SamplingParams

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 0.03
MAX_MODEL_LEN = 1024
Case = dict[str, Any]


def cases(heads: Path, k: int) -> dict[str, Case]:
    """By method: the target, and a speculative config that both engines read alike."""
    target = str(heads / "tiny")

    def case(target: str = target, **config: Any) -> Case:
        return {"target": target, "speculative_config": {"num_speculative_tokens": k} | config}

    def head(method: str, folder: str) -> Case:
        return case(method=method, model=str(heads / folder))

    return {
        "ngram": case(method="ngram", prompt_lookup_min=2, prompt_lookup_max=5),
        # vLLM's suffix cache is shared by the requests of a run, in an order of its own: left out on both sides.
        "suffix": case(method="suffix", suffix_decoding_max_cached_requests=0),
        "draft_model": head("draft_model", "tiny-draft"),
        "eagle": head("eagle", "tiny-eagle"),
        "eagle3": head("eagle3", "tiny-eagle3"),
        "medusa": head("medusa", "tiny-medusa"),
        # vLLM runs the modules of the target only, and one module again and again as this engine does.
        "mtp": case(target=str(heads / "tiny-mtp"), method="mtp"),
    }


def prompts_of(model: str, count: int, max_tokens: int, sources: list[str]) -> list[list[int]]:
    """Held-out prompts of every source, tokenised with the model's chat template."""
    tokenizer = Engine.load(model, num_threads=1, dtype="float32").tokenizer
    found = []
    for source in sources:
        made = workloads.build(source, split="eval", num_prompts=count, seed=0, max_tokens=max_tokens)
        chats = [[{"role": message.role, "content": message.content} for message in each.prompt] for each in made]
        found += [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    return found


def ours(job: dict[str, Any], case: Case, threads: int) -> dict[str, Any]:
    """The same counters as vLLM's, from this engine, and every draft by the length of the text it continues."""
    engine = Engine.load(
        case["target"],
        case["speculative_config"],
        max_num_seqs=1,
        max_model_len=job["max_model_len"],
        dtype="float32",
        num_threads=threads,
    )
    drafts = record_drafts(engine)
    tokens, drafted = [], []
    for prompt in job["prompts"]:
        output = engine.generate([prompt], SamplingParams(temperature=0.0, max_tokens=job["max_tokens"]))[0]
        tokens.append(output.token_ids)
        drafted.append(drafts.copy())
        drafts.clear()
    stats = engine.stats
    return {
        "tokens": tokens,
        "drafts": drafted,
        "num_drafts": stats.num_drafts,
        "num_draft_tokens": stats.num_draft_tokens,
        "num_accepted_tokens": stats.num_accepted_tokens,
        "num_accepted_tokens_per_pos": list(stats.num_accepted_tokens_per_pos),
    }


def record_drafts(engine: Engine) -> dict[int, list[int]]:
    """A mapping that grows by the draft of every step."""
    proposer = engine._proposer
    propose, drafts = proposer.propose, {}

    def recording(sequences: Any, limits: Any) -> Any:
        draft = propose(sequences, limits)
        drafts[len(sequences[0].tokens)] = list(draft.tokens)
        return draft

    proposer.propose = recording  # type: ignore[method-assign]
    return drafts


def by_length(prompt: list[int], tokens: list[int], drafts: list[list[int]]) -> dict[int, list[int]]:
    """vLLM's drafts by the length of the text each continues: a step emits what is accepted and one token more."""
    found, length = {}, len(prompt) + 1
    for draft in drafts:
        rest = tokens[length - len(prompt) :]
        if not rest:
            break
        found[length] = draft
        length += 1 + next(
            (i for i, (a, b) in enumerate(zip(draft, rest, strict=False)) if a != b), min(len(draft), len(rest))
        )
    return found


def theirs(job: dict[str, Any], python: str, threads: int) -> dict[str, Any]:
    """All cases in one vLLM process."""
    with tempfile.TemporaryDirectory() as folder:
        job_path, result_path = Path(folder) / "job.json", Path(folder) / "result.json"
        job_path.write_text(json.dumps(job))
        environment = {"PATH": str(Path(python).parent) + ":/usr/bin:/bin", "HOME": folder}
        environment |= {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        command = [python, str(Path(__file__).with_name("vllm_side.py")), str(job_path), str(result_path)]
        done = subprocess.run(command, env=environment, cwd=folder, check=False)
        if not result_path.exists():
            raise SystemExit(f"vLLM ended with status {done.returncode} before its first result")
        return json.loads(result_path.read_text())


def acceptance_length(counts: dict[str, Any]) -> float:
    return 1 + counts["num_accepted_tokens"] / counts["num_drafts"] if counts.get("num_drafts") else 1.0


def compare(prompts: list[list[int]], mine: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    if "error" in mine or "error" in other:
        return {"error": mine.get("error") or f"vLLM: {other['error']}"}
    lengths = acceptance_length(mine), acceptance_length(other)
    same = sum(a == b for a, b in zip(mine["tokens"], other["tokens"], strict=True))
    agreed, compared = same_drafts(prompts, mine, other)
    return {
        "ours": lengths[0],
        "vllm": lengths[1],
        "difference": lengths[0] / lengths[1] - 1,
        "within": abs(lengths[0] / lengths[1] - 1) <= TOLERANCE,
        "same_outputs": same,
        "outputs": len(mine["tokens"]),
        "same_drafts": agreed,
        "compared_drafts": compared,
        "drafts": [mine["num_drafts"], other.get("num_drafts", 0)],
        "accepted_per_position": [mine["num_accepted_tokens_per_pos"], other.get("num_accepted_tokens_per_pos", [])],
    }


def same_drafts(prompts: list[list[int]], mine: dict[str, Any], other: dict[str, Any]) -> tuple[int, int]:
    """How many drafts agree of those that both made after the same text, as far as the shorter one goes."""
    agreed = compared = 0
    for i, prompt in enumerate(prompts):
        theirs = by_length(prompt, other["tokens"][i], other["drafts"][i])
        for length, draft in mine["drafts"][i].items():
            end = length - len(prompt)
            if length in theirs and mine["tokens"][i][:end] == other["tokens"][i][:end]:
                shorter = min(len(draft), len(theirs[length]))
                compared += 1
                agreed += draft[:shorter] == theirs[length][:shorter]
    return agreed, compared


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", required=True, help="the interpreter of an environment that has vLLM")
    parser.add_argument("--heads", type=Path, default=ROOT / "models", help="the folder of tiny, tiny-eagle, ...")
    parser.add_argument("--methods", help="separated by commas; all that vLLM runs by default")
    parser.add_argument("--sources", default="summarization,chat,code,math", help="workloads that the prompts are from")
    parser.add_argument("--prompts", type=int, default=6, help="prompts per source")
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--k", type=int, default=4, help="num_speculative_tokens")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    wishes = parse()
    chosen = cases(wishes.heads.resolve(), wishes.k)
    names = wishes.methods.split(",") if wishes.methods else list(chosen)
    target = str(wishes.heads.resolve() / "tiny")
    job = {
        "prompts": prompts_of(target, wishes.prompts, wishes.max_tokens, wishes.sources.split(",")),
        "max_tokens": wishes.max_tokens,
        "max_model_len": MAX_MODEL_LEN,
        "cases": {name: chosen[name] for name in names},
    }
    vllm = theirs(job, wishes.vllm_python, wishes.threads)
    results = {}
    for name in names:
        try:
            mine = ours(job, chosen[name], wishes.threads)
        except Exception as error:
            mine = {"error": f"{type(error).__name__}: {error}"}
        results[name] = compare(job["prompts"], mine, vllm.get(name, {"error": "no result"}))
    show(results)
    finish(
        "vllm_parity", {"heads": wishes.heads.name, "k": wishes.k, "prompts": len(job["prompts"]), "methods": results}
    )
    return 0 if all(result.get("within") for result in results.values()) else 1


def show(results: dict[str, Any]) -> None:
    header = ["method", "ours", "vLLM", "difference", "same outputs", "same drafts"]
    rows = []
    for name, found in results.items():
        if "error" in found:
            print(f"{name}: {found['error']}")
            continue
        same = f"{found['same_outputs']}/{found['outputs']}"
        drafts = f"{found['same_drafts']}/{found['compared_drafts']}"
        rows.append([name, found["ours"], found["vllm"], f"{found['difference']:+.2%}", same, drafts])
    table("mean acceptance length, greedy, float32", header, rows)


if __name__ == "__main__":
    sys.exit(main())
