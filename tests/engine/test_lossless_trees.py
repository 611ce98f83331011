"""Trees on the trained model: every trained method, five shapes, batch 1, 3 and 16, greedy and seeded, in fp32."""

from pathlib import Path

import pytest

from engine import Engine, SamplingParams
from engine.tree.best_first import best_first
from engine.tree.token_tree import TokenTree
from tests.engine.test_lossless_tiny import MODEL, near_ties

ROOT = Path(__file__).resolve().parents[2]
WIDE = TokenTree.from_widths([8, 1])
BINARY = TokenTree.from_widths([2, 2, 2])
# Of the kind that Medusa publishes: 63 nodes on 4 levels, wide where the first choices were taken.
MEDUSA = best_first(lambda node: 0.6 * 0.45 ** node[-1] * (len(node) <= 4), 63)
SHAPES = {
    "chain": {"num_speculative_tokens": 3},
    "wide": {"speculative_token_tree": str(WIDE)},
    "binary": {"speculative_token_tree": str(BINARY)},
    "medusa63": {"speculative_token_tree": str(MEDUSA)},
    "dynamic": {"dynamic_tree_topk": 6, "dynamic_tree_num_draft_tokens": 30},
}
HEADS = ("draft_model", "eagle", "eagle3", "medusa", "mlp_speculator", "mtp")
CASES = [(method, shape) for method in HEADS for shape in SHAPES if shape != "dynamic" or method.startswith("eagle")]

pytestmark = [
    pytest.mark.skipif(not (MODEL / "model.safetensors").exists(), reason="models/tiny is not built"),
    pytest.mark.filterwarnings("ignore:.*has one MTP module"),
]


def config_of(method, shape):
    """The trained draft of a method with a shape, cut where the head has no more depth."""
    most = {"mlp_speculator": 3}.get(method, 4)
    given = dict(SHAPES[shape])
    if "speculative_token_tree" in given:
        tree = TokenTree.parse(given["speculative_token_tree"], 4).within(most)
        given |= {"speculative_token_tree": str(tree), "num_speculative_tokens": tree.depth}
    folder = ROOT / "models" / f"tiny-{method.replace('_', '-').removesuffix('-model')}"
    if not folder.exists():
        pytest.skip(f"{folder.name} is not built")
    return {"method": method, "model": str(folder), "num_speculative_tokens": most} | given


@pytest.fixture(scope="module")
def requests():
    """Six kinds of question three times over: lengths differ, some end at a stop string, six are sampled by seed."""
    asked = ["Summarize: the bridge was closed for two days after the storm.", "What is 17 + 25?", "Write a poem."]
    asked += ["Translate to French: the house is red.", "def total(values):", "Who wrote the letter?"]
    engine = Engine.load(MODEL, max_num_seqs=3, dtype="float32", num_threads=1)
    chats = [[{"role": "user", "content": text}] for text in asked * 3]
    prompts = [engine.tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False) for c in chats]
    params = [
        SamplingParams(
            max_tokens=10 + 2 * i,
            temperature=0.0 if i < 12 else 0.8,
            stop="." if i % 5 == 2 else None,
            ignore_eos=i % 2 == 0,
            seed=i,
        )
        for i in range(len(prompts))
    ]
    return prompts, params, engine.generate(prompts, params)


@pytest.fixture(scope="module", params=[1, 3, 16], ids="batch{}".format)
def engine(request):
    return Engine.load(MODEL, max_num_seqs=request.param, dtype="float32", num_threads=1, max_num_batched_tokens=64)


@pytest.mark.parametrize(("method", "shape"), CASES)
def test_a_tree_changes_no_token(engine, requests, method, shape):
    prompts, params, plain = requests
    engine.configure_speculation(config_of(method, shape))
    outputs = engine.generate(prompts, params)
    assert near_ties(engine, outputs, plain, params) == 0
    stats = engine.stats
    assert stats.num_accepted_tokens > 10
    if shape not in ("chain",):
        assert stats.num_draft_tokens > sum(stats.num_draft_tokens_per_pos)  # several nodes a level
        assert sum(sum(row[1:]) for row in stats.tree_accepted) > 0  # and not only first children were accepted
    engine.reset()
