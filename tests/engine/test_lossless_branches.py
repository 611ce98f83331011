"""What a token tree must never do: change a token. Model-free methods, several shapes, several batch sizes."""

import pytest

from engine import Engine
from tests.engine.test_lossless import alone, requests, sampling_params  # noqa: F401
from tests.engine.tree.shapes import STATIC_SHAPES

METHODS = {
    "ngram": {"prompt_lookup_min": 1, "prompt_lookup_max": 3},
    "suffix": {"suffix_decoding_max_spec_factor": 4.0, "suffix_decoding_min_token_prob": 0.0},
}


@pytest.fixture(scope="module", params=[1, 3, 16])
def engine(random_model, request):
    return Engine.load(
        random_model, max_num_seqs=request.param, dtype="float32", num_threads=1, max_num_batched_tokens=48
    )


@pytest.mark.parametrize("shape", STATIC_SHAPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_output_equals_the_request_on_its_own(engine, requests, alone, method, shape, temperature):  # noqa: F811
    engine.configure_speculation({"method": method, "speculative_token_tree": STATIC_SHAPES[shape], **METHODS[method]})
    prompts, params = requests
    outputs = engine.generate(prompts, sampling_params(params, temperature))
    assert [output.token_ids for output in outputs] == alone[temperature]
    stats = engine.stats
    assert stats.num_accepted_tokens == sum(stats.node_accepted) > 0
    assert shape == "chain" or stats.num_draft_tokens > sum(stats.num_draft_tokens_per_pos)
    engine.reset()


def test_nodes_are_counted_in_a_batch_as_alone(random_model, requests):  # noqa: F811
    """What became of a node of the shape does not depend on which other trees were verified in the same step."""
    found = []
    for batch in (1, 16):
        settings = {"method": "ngram", "speculative_token_tree": STATIC_SHAPES["ragged"], **METHODS["ngram"]}
        engine = Engine.load(random_model, settings, max_num_seqs=batch, dtype="float32", num_threads=1)
        engine.generate(requests[0], sampling_params(requests[1], 0.0))
        found.append((engine.stats.node_tried, engine.stats.node_accepted))
    assert found[0] == found[1]
    assert all(found[0][0][:5])
