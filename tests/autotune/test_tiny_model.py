"""The embedded model as it is shipped: small, described by its card, better than chance, and not looping."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from autotune import card, quality

MODELS = Path(__file__).resolve().parents[2] / "models"
TINY = MODELS / "tiny"
MARGIN = 0.05  # above chance
MOST_LOOPS = {"code": 0.20}  # and 0.05 for all else


@pytest.fixture(scope="module")
def measured():
    return json.loads((TINY / "quality.json").read_text())


def test_all_models_together_are_small():
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 30e6


def test_the_card_is_the_one_that_the_measurements_give():
    assert (TINY / "README.md").read_text() == card.render(TINY)


def test_every_task_was_measured_on_50_prompts_or_more(measured):
    assert set(measured["tasks"]) == set(quality.MEASURES)
    assert measured["prompts"] >= 50
    assert measured["split"] == "eval"


def test_answers_are_better_than_chance(measured):
    for task, found in measured["tasks"].items():
        for name, value in found["measures"].items():
            assert value["score"] > value["chance"] + MARGIN, (task, name)


def test_answers_end_and_do_not_loop(measured):
    for task, found in measured["tasks"].items():
        assert found["looping"] < MOST_LOOPS.get(task, 0.05), task
        assert found["ends_by_itself"] > (0.6 if task == "code" else 0.9), task


def test_float16_holds_every_weight():
    for name, weight in load_file(TINY / "model.safetensors").items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight.half().float(), weight.float()), name


def test_the_tokenizer_survives_any_text():
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    assert len(tokenizer) == 3072
    for text in ("Alora met 12 friends.", "def f(x):\n\treturn x  # ∑ 🙂\n", " \n\n  é", "\x00\x01\x7f\ufeff"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert text == "<s><|user|>Hi<|assistant|>"
