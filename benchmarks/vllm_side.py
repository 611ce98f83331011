"""The half of benchmarks.vllm_parity that runs in vLLM's own environment; it imports nothing of this project.

    VLLM_PYTHON benchmarks/vllm_side.py JOB.json RESULT.json

JOB holds prompts (token ids), max_tokens, max_model_len and cases {name: {target, speculative_config}}. RESULT gets, by
case, the tokens, the drafts of every prompt in their order, and vLLM's own counters, or the error. Greedy, float32, one
prompt at a time, one process for all cases.
"""

import gc
import json
import os
import sys
from typing import Any

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the counters are read in the process that counts
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
COUNTERS = ("num_drafts", "num_draft_tokens", "num_accepted_tokens", "num_accepted_tokens_per_pos")


def main(job_path: str, result_path: str) -> None:
    with open(job_path) as file:
        job = json.load(file)
    register_cpu_kernels_once()
    results = {}
    for name, case in job["cases"].items():
        try:
            results[name] = run(job, case)
        except Exception as error:  # a case that vLLM refuses is a line of the table, not the end of it
            results[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        with open(result_path, "w") as file:
            json.dump(results, file)
        print(f"vLLM {name}: {results[name].get('error', 'done')}", flush=True)


def register_cpu_kernels_once() -> None:
    """The second engine of a process fails where vLLM registers the same CPU kernels again."""
    from vllm.platforms import current_platform

    register = getattr(current_platform, "register_triton_kernel_overrides", None)
    done: list[bool] = []

    def once(*_: Any, **__: Any) -> None:
        if not done:
            done.append(True)
            register()

    if register is not None:
        type(current_platform).register_triton_kernel_overrides = staticmethod(once)


def run(job: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    llm = LLM(
        model=case["target"],
        speculative_config=case["speculative_config"],
        dtype="float32",
        enforce_eager=True,
        max_model_len=job["max_model_len"],
        max_num_seqs=1,
        max_num_batched_tokens=2048,
        kv_cache_memory_bytes=512 << 20,
        enable_prefix_caching=False,
        disable_log_stats=False,
        seed=0,
    )
    try:
        params, drafts = SamplingParams(temperature=0.0, max_tokens=job["max_tokens"]), record_drafts(llm)
        tokens, drafted = [], []
        for ids in job["prompts"]:
            output = llm.generate([TokensPrompt(prompt_token_ids=ids)], params, use_tqdm=False)[0]
            tokens.append(list(output.outputs[0].token_ids))
            drafted.append(drafts.copy())
            drafts.clear()
        return {"tokens": tokens, "drafts": drafted} | counters(llm)
    finally:
        close(llm)


def record_drafts(llm: Any) -> list[list[int]]:
    """A list that grows by the draft of every step, empty ones included."""
    worker = llm.llm_engine.engine_core.engine_core.model_executor.driver_worker
    runner = getattr(worker, "worker", worker).model_runner
    propose, drafts = runner.propose_draft_token_ids, []

    def recording(*given: Any, **named: Any) -> Any:
        proposed = propose(*given, **named)
        rows = proposed.tolist() if hasattr(proposed, "tolist") else proposed
        drafts.append([int(token) for token in rows[0]] if rows else [])
        return proposed

    runner.propose_draft_token_ids = recording
    return drafts


def counters(llm: Any) -> dict[str, Any]:
    """vLLM's speculative counters by their own names, without the prefix; added up over engines."""
    found: dict[str, Any] = {}
    for metric in llm.get_metrics():
        name = metric.name.removeprefix("vllm:spec_decode_")
        if name in COUNTERS:
            value = getattr(metric, "values", None) or metric.value
            found[name] = list(value) if isinstance(value, list | tuple) else int(value)
    return found


def close(llm: Any) -> None:
    from vllm.distributed import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    del llm
    gc.collect()
    cleanup_dist_env_and_memory()


if __name__ == "__main__":
    main(*sys.argv[1:3])
