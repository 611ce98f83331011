"""A study that is watched while it runs: a scrape of its worker, and log lines on stderr."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from test_conf import settings_for

from autotune.study.naming import fingerprint

SMALL = ("workload.num_prompts=3", "workload.num_confirm_prompts=3", "workload.max_tokens=24", "tracking=none")
DRAFTS, TOKENS = "vllm:spec_decode_num_drafts_total", "vllm:generation_tokens_total"


def scrape(url: str) -> dict[str, float]:
    text = urlopen(url, timeout=10).read().decode()
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_a_study_can_be_watched(small_model: Path, commands) -> None:
    words = ("study.n_trials=1", "engine.metrics_port=0", "engine.log_stats_interval=0.05")
    command = commands.words(f"model={small_model}", *SMALL, *words)
    with subprocess.Popen(
        command, cwd=commands.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as study:
        assert study.stdout is not None
        url = next(found[0] for line in study.stdout if (found := re.search(r"http://127.0.0.1:\d+/metrics", line)))
        before = scrape(url)
        while (now := scrape(url))[DRAFTS] <= before[DRAFTS]:
            assert study.poll() is None, "no draft was seen while the study ran"
        _, errors = study.communicate(timeout=120)
    assert study.returncode in (0, 1), errors
    assert now[TOKENS] > before[TOKENS]
    said = [line for line in errors.splitlines() if "SpecDecoding metrics: Mean acceptance length: " in line]
    assert said, errors
    assert all("Running: 1 reqs, Waiting: 0 reqs" in line or "Running: 0 reqs" in line for line in said)


def test_a_port_that_is_none_is_a_wrong_configuration(small_model: Path, commands) -> None:
    done = commands.run(f"model={small_model}", *SMALL, "engine.metrics_port=70000", module="autotune.bench")
    assert done.status == 2
    assert "metrics_port=70000 is not allowed: 0 (any free port) to 65535" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_watching_does_not_make_another_study(commands) -> None:
    settings = settings_for("engine.metrics_port=9100", "engine.log_stats_interval=5")
    plain = settings_for()
    assert fingerprint(settings, commands.model) == fingerprint(plain, commands.model)
    slower = replace(plain, engine=replace(plain.engine, options={**plain.engine.options, "max_num_seqs": 3}))
    assert fingerprint(slower, commands.model) != fingerprint(plain, commands.model)
