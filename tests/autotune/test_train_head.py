"""`python -m autotune.train method=...`: every method's YAML is complete, a small head is trained and described, the
answers are kept for the next one, and what is wrong is one line."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from autotune.errors import UsageError
from autotune.train_settings import CONF, load
from engine.training import heads

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("method", heads.methods())
def test_every_key_of_a_recipe_is_explained_and_known(method):
    text = (CONF / "train" / f"{method}.yaml").read_text().splitlines()
    settings = load(method, [f"method={method}", "model=tiny"])
    assert settings.export == PROJECT / "models" / f"tiny-{OmegaConf.load(CONF / 'train' / f'{method}.yaml').suffix}"
    assert settings.workload.name == "mixed"
    for before, line in pairwise(text):
        grouped = any(name in line for name in ("held_out_split:", "temperature:", "time_limit_minutes:", "threads:"))
        if ":" in line and not line.lstrip().startswith("#") and not grouped and "seed: 0" not in line:
            assert before.lstrip().startswith("#") or "n_candidates" in line, line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("model=nope", "unknown model 'nope'"),
        ("model=./nope", "does not exist"),
        ("workload=chatt", "did you mean 'chat'"),
        ("workload.max_tokens=0", "workload.max_tokens is 0"),
        ("train.recipe.stepz=3", "stepz"),
        ("train.recipe.steps=abc", "train.recipe.steps is 'abc'"),
        ("train.recipe.steps=0", "steps is 0"),
        ("train.head.steps=0", "train.head.steps is 0; it must be at least 1"),
        ("train.answers.sampled=2", "at most 1"),
        ("tokens=5", "unknown argument 'tokens'"),
    ],
)
def test_what_is_wrong_is_one_line(words, message):
    with pytest.raises(UsageError, match=message) as caught:
        load("eagle3", ["method=eagle3", words])
    assert "\n" not in str(caught.value)


def run(*words):
    command = [sys.executable, "-m", "autotune.train", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)


def test_a_head_is_trained_described_and_the_answers_are_kept(tmp_path):
    words = [
        "model=tiny", "workload=math", f"train.export={tmp_path / 'head'}", f"train.folder={tmp_path / 'run'}",
        f"train.answers.folder={tmp_path / 'answers'}", "train.answers.prompts=8", "train.answers.references=4",
        "train.answers.sampled=0.25", "train.answers.held_out_prompts=2", "train.answers.max_tokens=24",
        "train.recipe.steps=4", "train.recipe.warmup_steps=2", "train.recipe.report_steps=2",
        "train.recipe.tokens_per_batch=512",
    ]  # fmt: skip
    first = run("method=eagle", *words)
    assert first.returncode == 0, first.stderr
    record = json.loads((tmp_path / "head" / "training.json").read_text())
    assert record["answers"] == {"greedy": 6, "reference": 4, "sampled": 2}
    assert record["steps"] == 4
    assert len(record["acceptance"]["math"]["per_position"]) == 4
    card = (tmp_path / "head" / "README.md").read_text()
    assert "method=eagle model=tiny" in card
    assert (tmp_path / "head" / "loss.csv").read_text().startswith("step,tokens,what,loss")
    again = run("method=eagle", *words)
    assert "resuming at step 4" in again.stdout
    assert "answers" not in again.stdout.split("eagle for tiny")[0]


def test_the_command_refuses_in_one_line_with_status_2():
    refused = run("method=eagle", "train.recipe.steps=0")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
