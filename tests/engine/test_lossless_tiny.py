"""The trained model on its own workloads: 200 prompts, batch sizes 1, 3 and 16, greedy and seeded, all in fp32."""

from pathlib import Path

import pytest

import workloads
from engine import Engine, SamplingParams
from tests.engine.test_lossless import METHODS, settings_of

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "tiny"
SOURCES = ["summarization", "chat", "qa", "math", "translation", "rag", "code", "mixed"]
NGRAM = {"method": "ngram", "num_speculative_tokens": 6, "prompt_lookup_min": 1, "prompt_lookup_max": 4}
NEAR_TIE = 1e-4  # of the target's own scores: below it, two batch shapes may round to different tokens

pytestmark = pytest.mark.skipif(not (MODEL / "model.safetensors").exists(), reason="models/tiny is not built")


@pytest.fixture(scope="module")
def engine():
    return Engine.load(MODEL, max_num_seqs=4, dtype="float32", num_threads=1)


@pytest.fixture(scope="module")
def prompts(engine):
    made = [
        request
        for source in SOURCES
        for request in workloads.build(source, split="eval", num_prompts=25, seed=3, max_tokens=64)
    ]
    chats = [[{"role": m.role, "content": m.content} for m in request.prompt] for request in made]
    encode = engine.tokenizer.apply_chat_template
    return [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


def wishes(temperature):
    """Lengths differ, so that requests join and leave the batch at different steps."""
    return [SamplingParams(max_tokens=24 + i % 41, temperature=temperature, top_p=0.95, seed=i) for i in range(200)]


@pytest.fixture(scope="module", params=[0.0, 0.8], ids=["greedy", "seeded"])
def truth(request, engine, prompts):
    """The requests four at a time without speculation."""
    engine.configure_speculation(None)
    return request.param, engine.generate(prompts, wishes(request.param))


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_ngram_changes_no_token(prompts, truth, batch):
    temperature, expected = truth
    engine = Engine.load(MODEL, NGRAM, max_num_seqs=batch, dtype="float32", num_threads=1)
    outputs = engine.generate(prompts, wishes(temperature))
    assert engine.stats.num_accepted_tokens > (300 if temperature else 1000)
    assert near_ties(engine, outputs, expected, wishes(temperature)) <= 1


def near_ties(engine, outputs, expected, params):
    """How many outputs differ, after making sure that each does so where the target's own scores are all but equal."""
    differing = [
        triple for triple in zip(outputs, expected, params, strict=True) if triple[0].token_ids != triple[1].token_ids
    ]
    for ours, theirs, wish in differing:
        assert gap(engine, ours, theirs, wish) < NEAR_TIE
    return len(differing)


@pytest.fixture(scope="module")
def chosen(prompts):
    """64 prompts over all workloads; their ends: EOS, a stop string, max_tokens and, for the longest, max_model_len."""
    some = prompts[:: len(prompts) // 64][:64]
    stops = [None, ".", None, None]
    params = [SamplingParams(max_tokens=16 + i % 32, temperature=0.0, stop=stops[i % 4]) for i in range(len(some))]
    return some, params, max(map(len, some)) + 10


@pytest.fixture(scope="module")
def plain(chosen):
    """What these requests emit without speculation."""
    some, params, most = chosen
    return Engine.load(MODEL, max_num_seqs=4, max_model_len=most, dtype="float32", num_threads=1).generate(some, params)


@pytest.fixture(scope="module", params=[1, 3, 16], ids="batch{}".format)
def batched(request, chosen):
    return Engine.load(MODEL, max_num_seqs=request.param, max_model_len=chosen[2], dtype="float32", num_threads=1)


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_every_method_with_its_trained_draft_changes_no_token(batched, chosen, plain, path):
    """K from 1 to 8, shared out over the batch sizes."""
    settings = settings_of(path)
    if "model" in settings:
        folder = ROOT / "models" / f"tiny-{path.stem.replace('_', '-').removesuffix('-model')}"
        if not folder.exists():
            pytest.skip(f"{folder.name} is not built")
        settings["model"] = str(folder)
    some, params, _ = chosen
    for k in {1: (1, 4, 7), 3: (2, 5, 8), 16: (3, 6)}[batched.environment()["max_num_seqs"]]:
        most = {"medusa": 4, "mlp_speculator": 3}.get(path.stem, k)
        if path.stem != "none":
            settings["num_speculative_tokens"] = min(k, most)
        batched.configure_speculation(settings)
        assert near_ties(batched, batched.generate(some, params), plain, params) <= 1
        assert path.stem == "none" or batched.stats.num_accepted_tokens > 50


def gap(engine, ours, theirs, wish):
    """How far apart the target itself scores the two tokens at the first difference."""
    pairs = zip(ours.token_ids, theirs.token_ids, strict=False)
    place = next(i for i, (a, b) in enumerate(pairs) if a != b)
    tokens = ours.prompt_token_ids + ours.token_ids
    position = len(ours.prompt_token_ids) + place
    scores = engine.next_token_scores(tokens, wish, position, len(ours.prompt_token_ids))
    return abs(scores[ours.token_ids[place]] - scores[theirs.token_ids[place]]).item()
