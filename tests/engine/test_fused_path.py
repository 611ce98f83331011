"""kernels=fused against kernels=torch on a CPU, where the operators are their references: same logits, same tokens."""

import importlib
import os
import random
from pathlib import Path

import pytest
import torch

from engine import Engine, SamplingParams
from engine.errors import ConfigError
from engine.models import fused, fused_cache
from engine.models.attention import Nodes, Span
from engine.models.config import read_config
from engine.models.decoder import FINAL, Decoder, load_weights
from engine.models.kernel_choice import cache_type, resolve_kernels
from engine.tree.shape import shape_of
from tests.engine.conftest import save_model
from tests.engine.drafts import METHODS, settings_of
from tests.engine.test_decoder import relative_error
from tests.engine.test_dummy_weights import shrunk

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "tiny"
TINY = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
KERNELS = {
    "tree_attention": "tree_attention.triton:attend",
    "qk_norm_rope_cache": "qk_norm_rope_cache.triton:rotate_and_write",
    "rms_norm": "rms_norm.triton:rms_norm",
    "add_rms_norm": "rms_norm.triton:add_rms_norm",
    "silu_and_mul": "silu_and_mul.triton:silu_and_mul",
}
CPU = torch.device("cpu")
BUSHY = shape_of((-1, -1, -1, 0, 0, 2, 3, 5, 5, 8, 9))
WIDE = tuple(1 << i for i in range(100))  # more fed nodes than a word has bits, siblings all
DEEP = tuple((2 << i) - 1 for i in range(70))
FAMILIES = [
    ("Llama", {"attention_bias": True, "mlp_bias": True}),
    ("Mistral", {"sliding_window": 4, "head_dim": 24}),  # shorter than the trees are deep
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}),
    ("Qwen3", {"head_dim": 32}),
]
TREE = "[(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]"
TREES = [
    *((method, {"speculative_token_tree": TREE}) for method in ("draft_model", "eagle", "eagle3", "medusa", "ngram")),
    ("eagle", {"dynamic_tree_topk": 6, "dynamic_tree_num_draft_tokens": 30}),
    ("eagle3", {"dynamic_tree_topk": 10, "dynamic_tree_num_draft_tokens": 40, "num_speculative_tokens": 8}),
]


def passes(folder, kernels, trees=(BUSHY.row_masks, (0, *DEEP)), device=CPU, sizes=(256, 128)):
    """Logits and taps: prompts, one in two chunks; ragged steps of trees, a chain, a chunk; and after compaction.

    sizes: of a slot, max_model_len and spare rows.
    """
    rng, config = random.Random(1), read_config(folder)
    like = torch.float32, device
    decoder = Decoder(config, load_weights(folder, config, *like), sizes[0], "torch", kernels)
    cache = cache_type(kernels)(config, 4, sizes[0], *like, sizes[1])

    def step(short, long):
        ids = [rng.randrange(3, 90) for span in (*short, *long) for _ in range(span.length)]
        output = decoder.forward(ids, short, long, cache, taps=(0, 1, 3, FINAL))
        return [output.logits.cpu(), *(tap.cpu() for tap in output.taps.values())]

    with torch.inference_mode():
        found = step([], [Span(0, 0, 19), Span(3, 0, 30)])
        found += step([], [Span(0, 19, 11), Span(2, 0, 7)])
        found += step([Span(0, 30, 1), Span(2, 7, 1), Span(3, 30, 1)], [])
        first, second = (
            Span(slot, 31, len(masks), Nodes(31, masks)) for slot, masks in zip((0, 3), trees, strict=True)
        )
        found += step([first, Span(2, 8, 4), second], [Span(1, 0, 13)])
        cache.compact([(0, 32, (2, 5, 8, 10)), (2, 9, (0, 1)), (3, 32, (0, 2))])
        found += step([Span(0, 36, 3), Span(1, 13, 2), Span(2, 11, 1), Span(3, 34, 1)], [])
    return found


@pytest.mark.parametrize(("kind", "overrides"), FAMILIES, ids=["Llama", "Mistral", "Qwen2", "Qwen3"])
def test_logits_and_taps_are_those_of_torch(tmp_path, kind, overrides):
    save_model(tmp_path, kind, **overrides)
    for ours, theirs in zip(passes(tmp_path, "fused"), passes(tmp_path, "torch"), strict=True):
        assert relative_error(ours, theirs) < 1e-5


def test_masks_of_two_words(tmp_path):
    save_model(tmp_path)
    trees = (0, *WIDE), (0, *DEEP)
    for ours, theirs in zip(passes(tmp_path, "fused", trees), passes(tmp_path, "torch", trees), strict=True):
        assert relative_error(ours, theirs) < 1e-5


@pytest.fixture
def device(monkeypatch):
    """A GPU; else the CPU with the kernels in the place of their references, in the interpreter."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton does not run on CPU tensors here")
    for name, kernel in KERNELS.items():
        monkeypatch.setattr(fused, name, _kernel(kernel))
    monkeypatch.setattr(fused_cache, "compact_kv", _kernel("compact_kv.triton:compact"))
    return CPU


def test_the_kernels_themselves_take_what_the_path_hands_them(tmp_path, device):
    save_model(tmp_path, "Qwen3", num_hidden_layers=2, **TINY)
    given = ((BUSHY.row_masks, (0, *DEEP[:5])), device, (64, 16))
    for ours, theirs in zip(passes(tmp_path, "fused", *given), passes(tmp_path, "torch", *given), strict=True):
        assert relative_error(ours, theirs) < 1e-5


def _kernel(path):
    module, name = path.split(":")
    return getattr(importlib.import_module("kernels." + module), name)


@pytest.fixture(scope="module", params=[1, 3], ids="batch{}".format)
def engines(request):
    """One of each kind. The cache is short, as the reference of the attention looks at all of it."""
    options = {"max_num_seqs": request.param, "num_threads": 1, "max_model_len": 160, "max_num_batched_tokens": 12}
    return [Engine.load(MODEL, dtype="float32", kernels=kernels, **options) for kernels in ("fused", "torch")]


@pytest.fixture(scope="module")
def requests(engines):
    """Questions longer than a chunk, greedy and seeded."""
    asked = ["Summarize: the bridge was closed for two days after the storm.", "What is 17 + 25?", "def total(values):"]
    chats = [[{"role": "user", "content": text}] for text in asked * 2]
    encode = engines[0].tokenizer.apply_chat_template
    prompts = [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    assert max(map(len, prompts)) > 12
    return prompts, [SamplingParams(max_tokens=12 + i, temperature=0.8 * (i // 3), seed=i) for i in range(6)]


def with_draft(settings):
    """The speculative config with the trained draft of models/."""
    name = settings["method"].replace("_", "-").removesuffix("-model")
    return settings | ({"model": str(ROOT / "models" / f"tiny-{name}")} if "model" in settings else {})


def check(engines, requests, settings):
    """The same tokens, of the same drafts."""
    found = []
    for engine in engines:
        engine.configure_speculation(settings)
        outputs = engine.generate(*requests)
        found.append(
            ([output.token_ids for output in outputs], engine.stats.num_draft_tokens, engine.stats.num_accepted_tokens)
        )
        engine.reset()
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:.*has one MTP module")
def test_every_method_emits_the_same_tokens(engines, requests, path):
    _, drafted, accepted = check(engines, requests, with_draft(settings_of(path)))
    assert path.stem == "none" or 0 < accepted < drafted


@pytest.mark.parametrize(
    ("method", "shape"), TREES, ids=lambda value: value if isinstance(value, str) else next(iter(value))
)
def test_trees_emit_the_same_tokens(engines, requests, method, shape):
    settings = settings_of(ROOT / "conf" / "method" / f"{method}.yaml") | {"num_speculative_tokens": 4} | shape
    _, drafted, accepted = check(engines, requests, with_draft(settings))
    assert 0 < accepted < drafted


def test_a_preempted_request_goes_on(requests):
    """Pages of a cache that is shared come and go."""
    options = {"max_num_seqs": 3, "num_threads": 1, "max_model_len": 160, "kv_cache_tokens": 160}
    both = [Engine.load(MODEL, dtype="float32", kernels=kernels, **options) for kernels in ("fused", "torch")]
    check(both, requests, with_draft(settings_of(ROOT / "conf" / "method" / "eagle.yaml")))


def test_the_environment_says_which_ran(engines):
    ours, theirs = (engine.environment() for engine in engines)
    assert (ours["kernels"], theirs["kernels"]) == ("fused (references)", "torch")
    assert ours["attention"] == "tree_attention; prompts: scaled_dot_product_attention"
    assert theirs["attention"] == "scaled_dot_product_attention"


def test_auto_is_fused_on_a_gpu_only():
    assert resolve_kernels("auto", CPU) == "torch"
    assert resolve_kernels("auto", torch.device("cuda")) == "fused"
    assert resolve_kernels("torch", torch.device("cuda")) == "torch"


def test_a_gpu_without_triton_is_refused(monkeypatch):
    monkeypatch.setattr("engine.models.kernel_choice.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="kernels=auto needs triton on a GPU"):
        resolve_kernels("auto", torch.device("cuda"))


def test_other_kernels_are_refused():
    with pytest.raises(ConfigError, match="kernels='triton' is not allowed: auto, torch, fused"):
        Engine.load(MODEL, kernels="triton")


@pytest.mark.filterwarnings("ignore:this EAGLE-3 head agrees")
def test_random_weights_of_a_published_shape(tmp_path):
    """Qwen3 with its head, as load_format=dummy makes them."""
    target = shrunk("qwen3-0.6b", tmp_path / "target")
    draft = shrunk("qwen3-0.6b-eagle3", tmp_path / "draft", draft_vocab_size=100, num_hidden_layers=1)
    both = [Engine.load(target, load_format="dummy", num_threads=1, kernels=kernels) for kernels in ("fused", "torch")]
    wishes = [SamplingParams(max_tokens=20, temperature=0.0)] * 2
    check(
        both,
        ([[1, 2, 3], [4, 5, 6, 7]], wishes),
        {"method": "eagle3", "model": str(draft), "num_speculative_tokens": 3},
    )
