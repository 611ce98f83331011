"""The rows of trees in the decoder: what each node sees, beside chains and sequences without drafts; compaction."""

import random

import pytest
import torch

from engine.models.attention import Nodes, Span
from engine.tree.shape import shape_of
from tests.engine.conftest import save_model
from tests.engine.test_decoder import build, relative_error
from tests.engine.tree.shapes import all_trees

BUSHY = shape_of((-1, -1, -1, 0, 0, 2, 3, 5, 5, 8, 9))  # five levels, three branches
FAMILIES = [
    ("Llama", {}),
    ("Mistral", {"sliding_window": 4}),  # shorter than the tree is deep, so it hides nodes as well as context
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}),
]


def spans_of(slot, start, shape):
    return Span(slot, start, 1 + len(shape.parents), Nodes(start, shape.row_masks))


@pytest.mark.parametrize(("kind", "overrides"), FAMILIES, ids=["full", "window", "some windows"])
def test_every_node_has_the_logits_of_its_path_written_out(tmp_path, kind, overrides):
    """A ragged step over slots 0 (tree), 1 (nothing drafted), 3 (chain), 2 being free; and the caches after it."""
    model, rng = save_model(tmp_path, kind, **overrides), random.Random(1)
    texts = {slot: [rng.randrange(3, 90) for _ in range(length)] for slot, length in ((0, 19), (1, 8), (3, 30))}
    drafted = [rng.randrange(3, 90) for _ in BUSHY.parents]
    chain = [rng.randrange(3, 90) for _ in range(3)]
    decoder, cache = build(tmp_path)
    with torch.inference_mode():
        for slot, text in texts.items():
            decoder.forward(text[:-1], [], [Span(slot, 0, len(text) - 1)], cache)
        ids = [texts[0][-1], *drafted, texts[1][-1], texts[3][-1], *chain]
        spans = [spans_of(0, 18, BUSHY), Span(1, 7, 1), Span(3, 29, 4)]
        logits = decoder.forward(ids, spans, [], cache).logits
        rows = len(BUSHY.parents) + 1
        for node in range(-1, len(drafted)):
            path = [drafted[above] for above in BUSHY.paths[node]] if node >= 0 else []
            expected = model(torch.tensor([texts[0] + path])).logits[0, -1]
            assert relative_error(logits[1 + node], expected) < 1e-4
        assert relative_error(logits[rows], model(torch.tensor([texts[1]])).logits[0, -1]) < 1e-4
        assert relative_error(logits[rows + 1 :], model(torch.tensor([texts[3] + chain])).logits[0, -4:]) < 1e-4


@pytest.mark.parametrize("node", [6, 9, 10, 1])
def test_a_compacted_cache_is_that_of_the_accepted_text(tmp_path, node):
    """The rows of the path to a node follow the root's; what comes next is as if nothing else had been drafted."""
    model, rng = save_model(tmp_path, seed=2), random.Random(node)
    text, drafted = [rng.randrange(3, 90) for _ in range(17)], [rng.randrange(3, 90) for _ in BUSHY.parents]
    decoder, cache = build(tmp_path)
    path = BUSHY.paths[node]
    accepted, more = [drafted[above] for above in path], [5, 6]
    with torch.inference_mode():
        decoder.forward(text[:-1], [], [Span(2, 0, 16)], cache)
        decoder.forward([text[-1], *drafted], [spans_of(2, 16, BUSHY)], [], cache)
        cache.compact([(2, 17, path)])
        got = decoder.forward(more, [Span(2, 17 + len(path), 2)], [], cache).logits
        expected = model(torch.tensor([text + accepted + more])).logits[0, -2:]
    assert relative_error(got, expected) < 1e-4


def test_every_small_shape_in_one_batch(tmp_path):
    """All trees of four nodes side by side, one a slot, as wide and as deep as they come."""
    model, rng = save_model(tmp_path, seed=4), random.Random(4)
    shapes = [shape_of(tuple(tree.parents)) for tree in all_trees(4, 4, 4)]
    from engine.models.config import read_config
    from engine.models.kv_cache import KVCache

    decoder, _ = build(tmp_path)
    cache = KVCache(read_config(tmp_path), len(shapes), 64, torch.float32, torch.device("cpu"))
    texts = [[rng.randrange(3, 90) for _ in range(rng.randint(2, 12))] for _ in shapes]
    drafts = [[rng.randrange(3, 90) for _ in range(4)] for _ in shapes]
    with torch.inference_mode():
        for slot, text in enumerate(texts):
            decoder.forward(text[:-1], [], [Span(slot, 0, len(text) - 1)], cache)
        ids = [token for text, draft in zip(texts, drafts, strict=True) for token in (text[-1], *draft)]
        spans = [spans_of(slot, len(texts[slot]) - 1, shape) for slot, shape in enumerate(shapes)]
        logits = decoder.forward(ids, spans, [], cache).logits.view(len(shapes), 5, -1)
        for slot, shape in enumerate(shapes):
            for node, path in enumerate(shape.paths):
                written = texts[slot] + [drafts[slot][above] for above in path]
                assert relative_error(logits[slot, 1 + node], model(torch.tensor([written])).logits[0, -1]) < 1e-4
