"""Every YAML of conf/workload builds requests, and every source has its YAML."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

import workloads

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "workload"
KEYS = {"name", "source", "num_prompts", "num_confirm_prompts", "max_tokens", "seed", "temperature", "options"}
ONE = sorted(path for path in FOLDER.glob("*.yaml") if "source" in OmegaConf.load(path))
"""Of one source; the others put several workloads together."""


def test_every_source_has_a_yaml():
    assert {path.stem for path in ONE} == set(workloads.available())


@pytest.mark.parametrize("path", ONE, ids=lambda path: path.stem)
def test_it_builds(path, tmp_path):
    config = OmegaConf.load(path)
    assert set(config) == KEYS
    options = dict(config.options)
    if "path" in options:
        options["path"] = str(tmp_path / "rows.jsonl")
        extra = '"category": "qa", "prompt": "question {0}", "response": "answer"'
        rows = [
            f'{{"turns": ["question {index}"], {extra.format(index)}}}'
            for index in range(2 * (config.num_prompts or 3))
        ]
        (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    for split, number in (("search", config.num_prompts), ("confirm", config.num_confirm_prompts)):
        found = workloads.build(
            config.source, split=split, num_prompts=number, seed=config.seed, max_tokens=config.max_tokens, **options
        )
        assert len(found) == (number or 3)
