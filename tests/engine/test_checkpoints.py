"""The layouts that tests load: each is written and read back complete, and keeps what real ones have."""

import pytest
import torch
from checkpoints import LAYOUTS, SMALL, build

from engine.models.loader import STANDARD, Weights

CPU = torch.device("cpu")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_written_and_read(tmp_path, layout):
    checkpoint = build(layout, seed=1)
    weights = Weights(checkpoint.save(tmp_path), files=(*STANDARD, "medusa_lm_head.pt"))
    assert weights.names() == sorted(checkpoint.tensors)
    for name, tensor in checkpoint.tensors.items():
        assert torch.equal(weights.take(name, tuple(tensor.shape), tensor.dtype, CPU), tensor)
    weights.finish()
    again = build(layout, seed=1).tensors
    assert all(torch.equal(tensor, again[name]) for name, tensor in checkpoint.tensors.items())


def test_the_sizes_are_those_of_the_published_heads():
    """Shapes of the published EAGLE-3 head of Llama-3.1-8B, as a dump of its file shows them."""
    sizes = {"hidden_size": 256, "intermediate_size": 896, "num_attention_heads": 32, "num_key_value_heads": 8}
    target = SMALL | sizes | {"head_dim": 8, "vocab_size": 480}  # every size a sixteenth, or less
    found = {name: tuple(tensor.shape) for name, tensor in build("eagle3_reference", target).tensors.items()}
    assert found["midlayer.self_attn.q_proj.weight"] == (256, 512)
    assert found["midlayer.self_attn.k_proj.weight"] == (64, 512)
    assert found["midlayer.mlp.down_proj.weight"] == (256, 896)
    assert found["fc.weight"] == (256, 768)
    assert found["lm_head.weight"] == (240, 256)
    assert (found["d2t"], found["t2d"]) == ((240,), (480,))
    assert "embed_tokens.weight" not in found


def test_the_vocabulary_map_is_of_offsets():
    tensors = build("eagle3_reference").tensors
    reached = tensors["d2t"] + torch.arange(len(tensors["d2t"]))
    assert torch.equal(reached, tensors["t2d"].nonzero().flatten())
