"""A few steps on a tiny shape: the loss falls, and a run that was cut in two ends in the very same state."""

from itertools import islice

import pytest
import torch

from engine.training.documents import Encoder, batches
from engine.training.network import Network, Shape
from engine.training.recipe import Recipe
from engine.training.tokenizer import train_tokenizer
from engine.training.trainer import Trainer

SHAPE = Shape(vocab_size=300, hidden_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=8,
              intermediate_size=64, max_positions=128)  # fmt: skip
RECIPE = Recipe(
    tokens=10_000,
    tokens_per_batch=256,
    matrix_lr=0.02,
    vector_lr=0.004,
    warmup_steps=2,
    hold_steps=3,
    precision="fp32",
    report_steps=5,
    evaluate_steps=1000,
)
DOCUMENTS = [[("user", f"count from {n}"), ("assistant", " ".join(str(n + k) for k in range(8)))] for n in range(600)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoder():
    texts = [text for document in DOCUMENTS for _, text in document]
    return Encoder(train_tokenizer(texts, SHAPE.vocab_size), prompt_weight=0.2, max_length=100)


def train(encoder, folder, steps):
    trainer = Trainer(SHAPE, RECIPE, folder)
    trainer.resume()
    data = batches((encoder(document) for document in DOCUMENTS), RECIPE.tokens_per_batch, encoder.eos, seed=0)
    held_out = {"count": list(islice(batches([encoder(DOCUMENTS[3])], 256, encoder.eos, 0), 1))}
    trainer.run(data, held_out, export=lambda network: None, stop_after=steps)
    return trainer


def test_the_loss_falls_and_a_resumed_run_is_the_same_run(encoder, tmp_path):
    whole = train(encoder, tmp_path / "whole", 30)
    train(encoder, tmp_path / "parts", 17)
    parts = train(encoder, tmp_path / "parts", 13)
    assert parts.step == whole.step == 30
    assert parts.tokens == whole.tokens
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[name]), name
    losses = [row[3] for row in whole.curve.rows if row[2] == "train"]
    assert losses[-1] < 0.75 * losses[0]
    assert not list((tmp_path / "whole").glob("*.new"))


def test_a_checkpoint_of_another_shape_is_refused(encoder, tmp_path):
    train(encoder, tmp_path, 1)
    with pytest.raises(ValueError, match="another shape"):
        Trainer(Shape(), RECIPE, tmp_path).resume()


def test_the_schedule_is_a_trapezoid_and_the_time_limit_shortens_it():
    recipe = Recipe(tokens=1000, warmup_steps=10, decay_share=0.5, time_limit_minutes=10)
    assert recipe.lr_factor(0, 0.0) == pytest.approx(0.1)
    assert recipe.lr_factor(50, 0.4) == 1.0
    assert recipe.lr_factor(50, 0.75) == pytest.approx(0.5)
    assert recipe.lr_factor(99, 1.2) == 0.0
    assert recipe.progress(tokens=100, seconds=300) == 0.5
    with pytest.raises(ValueError, match="allowed: bf16, fp32"):
        Recipe(precision="fp8")


def test_attention_sees_no_future():
    network = Network(SHAPE)
    ids = torch.randint(0, 300, (2, 20))
    changed = ids.clone()
    changed[:, 12:] = 7
    assert torch.equal(network(ids)[:, :12], network(changed)[:, :12])
    assert not torch.equal(network(ids)[:, 12:], network(changed)[:, 12:])
