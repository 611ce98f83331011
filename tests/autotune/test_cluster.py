"""Sweeps whose jobs a launcher of Hydra's sends to other processes: a cluster's, or, here, this machine's."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from hydra import compose, initialize_config_dir

from autotune.overrides import CONF

needs_plugin = pytest.mark.skipif(
    find_spec("submitit") is None, reason="hydra-submitit-launcher is not installed (pip install -e '.[cluster]')"
)


@needs_plugin
def test_slurm_composes() -> None:
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=words, return_hydra_config=True)
    assert config.hydra.launcher._target_.endswith("SlurmLauncher")
    assert (config.hydra.launcher.partition, config.hydra.launcher.gpus_per_node) == ("gpu", 1)


@needs_plugin
def test_jobs_in_other_processes_end_in_one_comparison(commands) -> None:
    """Two methods, and a limit that is refused: the error is in the comparison and in the exit status."""
    done = commands.run(
        "-m", "hydra/launcher=submitit_local",
        *commands.fake("study.n_trials=1", "method=ngram,none", "workload.max_tokens=40,5000"), timeout=400,
    )  # fmt: skip
    assert done.status == 2, done.err
    jobs = done.line["jobs"]
    assert [job["number"] for job in jobs] == [0, 1, 2, 3]
    assert [bool(job.get("line")) for job in jobs] == [True, True, False, False]
    assert "max_model_len" in jobs[2]["error"]
    assert json.loads((done.folder / "comparison.json").read_text())["jobs"] == jobs
    assert "method=ngram" in done.out
