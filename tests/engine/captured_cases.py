"""Engines on models/tiny with the same kernels, one of them with steps of fixed shape; and what both are asked."""

from pathlib import Path

from engine import Engine, SamplingParams

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "tiny"
TREE = "[(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]"
ASKED = ["Summarize: the bridge was closed for two days after the storm.", "What is 17 + 25?", "def total(values):"]


def load(max_num_seqs: int, **options) -> Engine:
    """The cache is short, as the reference of the attention looks at all of it."""
    sizes = {"max_num_seqs": max_num_seqs, "max_model_len": 160, "max_num_batched_tokens": 12} | options
    return Engine.load(MODEL, dtype="float32", num_threads=1, kernels="fused", **sizes)


def prompts_for(engine: Engine) -> list[list[int]]:
    """Six chats, longer than a chunk."""
    encode = engine.tokenizer.apply_chat_template
    chats = [[{"role": "user", "content": text}] for text in ASKED * 2]
    return [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


def wishes(**more) -> list[SamplingParams]:
    """Three greedy ones, three seeded."""
    return [SamplingParams(max_tokens=12 + i, temperature=0.8 * (i // 3), seed=i, **more) for i in range(6)]


def run(engine: Engine, settings, params, prompts=None):
    """Tokens of all requests, and what was drafted and accepted."""
    engine.configure_speculation(settings)
    outputs = engine.generate(prompts or prompts_for(engine), params)
    stats = engine.stats
    found = [output.token_ids for output in outputs], stats.num_draft_tokens, stats.num_accepted_tokens
    engine.reset()
    return found
