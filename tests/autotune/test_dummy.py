"""model=dummy: random weights in a given shape, and a result that says so wherever it is read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

SHAPES = Path(__file__).resolve().parents[2] / "models" / "shapes"
SMALL = {
    "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "vocab_size": 4096, "max_position_embeddings": 2048,
}  # fmt: skip
SYNTHETIC = ("+method.rejection_sample_method=synthetic", "+method.synthetic_acceptance_length=2.5")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    for name, more in (("qwen3-0.6b", {"num_hidden_layers": 8}), ("qwen3-0.6b-eagle3", {"draft_vocab_size": 500})):
        raw = json.loads((SHAPES / name / "config.json").read_text()) | SMALL | more
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(raw))
    return SimpleNamespace(target=folder / "qwen3-0.6b", draft=folder / "qwen3-0.6b-eagle3")


@pytest.fixture(scope="module")
def done(shapes, make_commands, tmp_path_factory):
    commands = make_commands(tmp_path_factory.mktemp("dummy"))
    return commands.run(
        "model=dummy", f"model.path={shapes.target}", f"model.drafts.eagle3={shapes.draft}", "method=eagle3",
        *SYNTHETIC,
        "method.num_speculative_tokens=3", "workload.num_confirm_prompts=3", "workload.max_tokens=24",
        "tracking=none", "engine.num_threads=1", module="autotune.bench",
    )  # fmt: skip


def test_it_runs_without_weights_and_drafts_at_the_set_acceptance(done):
    assert done.status == 0, done.err
    assert done.line["environment"]["weights"] == "random"
    assert done.line["metrics"]["mean_acceptance_length"] == pytest.approx(2.5, abs=0.5)


def test_every_output_is_labelled(done):
    assert done.line["output_law"] == "synthetic"
    assert not done.line["confirmed"]
    assert "SYNTHETIC" in done.out
    assert "Random weights in the shape of" in done.out
    assert "Random weights in the shape of" in (done.folder / "report.html").read_text()
    assert not (done.folder / "speculative_config.json").exists()


def test_what_the_target_verifies_itself_is_labelled_too(shapes, commands):
    """Without set acceptance the drafts are judged by a model that means nothing."""
    found = commands.run(
        "model=dummy", f"model.path={shapes.target}", "method=ngram", "workload.num_confirm_prompts=2",
        "workload.max_tokens=12", "tracking=none", "engine.num_threads=1", module="autotune.bench",
    )  # fmt: skip
    assert found.status == 0, found.err
    assert (found.line["output_law"], found.line["confirmed"]) == ("synthetic", False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("model=tiny", "engine.load_format=dummy"), "model.kind=dummy and engine.load_format=dummy go together"),
        (("model=dummy", "engine.load_format=auto"), "model.kind=dummy and engine.load_format=dummy go together"),
        (("model=dummy", "model.path=nowhere/at/all"), "does not exist"),
        (("model=dummy", "engine.tokenizer=nowhere"), "engine.tokenizer 'nowhere' does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(words, line, commands):
    found = commands.run(*words, "method=ngram", "tracking=none", module="autotune.bench")
    assert found.status == 2
    assert line in found.err
    assert len(found.err.strip().splitlines()) == 1
