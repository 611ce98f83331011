"""The engine on a CPU against transformers' generate, on models/tiny, in one interleaved run.

    python -m benchmarks.engine_cpu [rounds]

Prints tokens per second of `none` and `ngram` beside transformers (plain and prompt lookup) at batch 1 and 8, how a
step's time divides, what more rows cost, and the cost of n-gram lookup at 1k and 16k tokens of context.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

import workloads
from benchmarks.timing import finish, interleave, ratio, table
from engine import Engine, SamplingParams
from engine.hub import load_transformers
from engine.models.attention import Span
from engine.proposers.ngram import NgramIndex

MODEL = Path(__file__).resolve().parents[1] / "models" / "tiny"
NEW_TOKENS = 96
NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 5}
GREEDY = SamplingParams(max_tokens=NEW_TOKENS, temperature=0.0, ignore_eos=True)


def prompts(engine: Engine, count: int) -> list[list[int]]:
    """Summarization prompts, tokenised with the chat template."""
    made = workloads.build("summarization", split="eval", num_prompts=count, seed=0, max_tokens=NEW_TOKENS)
    chats = [[{"role": m.role, "content": m.content} for m in request.prompt] for request in made]
    return [engine.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


def ours(engine: Engine, batch: list[list[int]]) -> Callable[[], None]:
    return lambda: engine.generate(batch, GREEDY)


def theirs(model: torch.nn.Module, batch: list[list[int]], **options: int) -> Callable[[], None]:
    """transformers' greedy generate over the left-padded batch."""
    longest = max(map(len, batch))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in batch])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in batch])

    def run() -> None:
        with torch.inference_mode():
            model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
                **options,
            )

    return run


def compare(plain: Engine, lookup: Engine, model: torch.nn.Module, size: int, rounds: int) -> dict:
    batch = prompts(plain, size)
    contenders = {
        "none": ours(plain, batch),
        "ngram": ours(lookup, batch),
        "transformers": theirs(model, batch),
    }
    if size == 1:  # transformers looks up prompts for one sequence at a time only
        contenders["transformers prompt lookup"] = theirs(
            model, batch, prompt_lookup_num_tokens=4, max_matching_ngram_size=5
        )
    seconds = interleave(contenders, rounds)
    tokens = size * NEW_TOKENS
    rows = [[name, tokens / median(times), ratio(seconds["transformers"], times)] for name, times in seconds.items()]
    table(f"batch {size}, {NEW_TOKENS} new tokens each", ["", "tokens/s", "x transformers"], rows)
    result = {"tokens_per_s": {name: tokens / median(times) for name, times in seconds.items()}}
    result["none_over_transformers"] = ratio(seconds["transformers"], seconds["none"])
    result["ngram_over_none"] = ratio(seconds["none"], seconds["ngram"])
    peer = "transformers prompt lookup" if size == 1 else "transformers"
    result["ngram_over_peer"] = ratio(seconds[peer], seconds["ngram"])
    return result


def step_cost(engine: Engine, rounds: int, context: int) -> dict[int, float]:
    """Seconds of a target pass by number of rows, at this context length, as medians of interleaved rounds."""
    decoder, cache = engine._target.decoder, engine._cache

    def one_pass(rows: int) -> Callable[[], None]:
        spans = [Span(0, context, rows)]

        def run() -> None:
            with torch.inference_mode():
                for _ in range(20):
                    decoder.forward([5] * rows, spans, [], cache)

        return run

    counts = (1, 2, 3, 5, 9)
    seconds = interleave({str(rows): one_pass(rows) for rows in counts}, rounds)
    one = seconds["1"]
    return {rows: ratio(seconds[str(rows)], one) for rows in counts} | {0: median(one) / 20}


def one_layer_share(engine: Engine, rounds: int, context: int) -> float:
    """A pass of one layer with the output head, as a draft network would need it, relative to the whole target."""
    decoder, cache = engine._target.decoder, engine._cache
    layers = decoder.stack.layers

    def run(count: int) -> Callable[[], None]:
        def passes() -> None:
            decoder.stack.layers = layers[:count]
            with torch.inference_mode():
                for _ in range(20):
                    decoder.forward([5], [Span(0, context, 1)], [], cache)
            decoder.stack.layers = layers

        return passes

    seconds = interleave({"one": run(1), "all": run(len(layers))}, rounds)
    return ratio(seconds["one"], seconds["all"])


def share_outside_products(engine: Engine, rounds: int, context: int) -> float:
    """1 - (time of a step's matrix products alone) / (time of the step), one row."""
    decoder, cache = engine._target.decoder, engine._cache
    layers = decoder.stack.layers
    width, inner = decoder.config.hidden_size, decoder.config.intermediate_size
    heads = decoder.config.num_heads * decoder.config.head_dim
    x, a, h = torch.randn(1, width), torch.randn(1, heads), torch.randn(1, inner)

    def products() -> None:
        with torch.inference_mode():
            for _ in range(20):
                for layer in layers:
                    layer._qkv(x), layer._o(a), layer._gate_up(x), layer._down(h)
                decoder.head(x)

    def step() -> None:
        with torch.inference_mode():
            for _ in range(20):
                decoder.forward([5], [Span(0, context, 1)], [], cache)

    seconds = interleave({"products": products, "step": step}, rounds)
    return 1 - median(p / s for p, s in zip(seconds["products"], seconds["step"], strict=True))


def lookup_cost(context: int) -> float:
    """Microseconds per step of n-gram lookup with one new token, median of 400 steps after the prompt was indexed."""
    rng = random.Random(0)
    tokens = [rng.randrange(3000) for _ in range(context)]
    index = NgramIndex(2, 5)
    index.continuation(tokens, 4)
    times = []
    for _ in range(400):
        tokens.append(rng.randrange(3000))
        begin = time.perf_counter()
        index.continuation(tokens, 4)
        times.append(time.perf_counter() - begin)
    return median(times) * 1e6


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    plain = Engine.load(MODEL, None, max_num_seqs=8)
    lookup = Engine.load(MODEL, NGRAM, max_num_seqs=8, num_threads=plain.environment()["num_threads"])
    transformers = load_transformers()
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    print("ours:", plain.environment())
    results = {f"batch_{size}": compare(plain, lookup, model, size, rounds) for size in (1, 8)}
    costs = {context: step_cost(plain, rounds, context) for context in (128, 256, 512)}
    header = ["context", "1 row, ms", *[f"{rows} rows" for rows in (2, 3, 5, 9)]]
    rows = [[context, cost[0] * 1e3, *[cost[n] for n in (2, 3, 5, 9)]] for context, cost in costs.items()]
    table("a target pass relative to one row", header, rows)
    outside = share_outside_products(plain, rounds, 256)
    print(f"\nshare of a one-row step outside matrix products: {outside:.2f}")
    draft_step = one_layer_share(plain, rounds, 256)
    print(f"a one-layer draft step relative to the target's: {draft_step:.3f}")
    lookups = {context: lookup_cost(context) for context in (1_000, 16_000)}
    print(f"n-gram lookup per step: {lookups[1_000]:.1f} us at 1k tokens of context, {lookups[16_000]:.1f} us at 16k")
    results |= {"rows_over_one": {c: {n: cost[n] for n in (2, 3, 5, 9)} for c, cost in costs.items()}}
    finish(
        "engine_cpu",
        results
        | {"outside_products": outside, "one_layer": draft_step, "lookup_us": lookups, "engine": plain.environment()},
    )


if __name__ == "__main__":
    main()
