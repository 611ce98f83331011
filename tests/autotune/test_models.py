"""Where a model is looked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.folder import RunFolder
from autotune.models import PROJECT, is_hub_name, model_folder
from autotune.overrides import is_path, options_first, with_models


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_the_embedded_model_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder("models/tiny") == PROJECT / "models" / "tiny"
    here = make_model(tmp_path / "models" / "tiny")
    assert model_folder("models/tiny").absolute() == here


def test_a_hub_name_is_found_in_the_local_cache(tmp_path: Path) -> None:
    snapshot = make_model(tmp_path / "models--some--model" / "snapshots" / "0123abcd")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("0123abcd")
    code = "from autotune.models import model_folder; print(model_folder('some/model'))"
    offline = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=offline, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(snapshot)
    code = "from autotune.models import model_folder; model_folder('other/model')"
    missing = subprocess.run(
        [sys.executable, "-c", code], env=offline, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    last = missing.stderr.strip().splitlines()[-1]
    assert last.startswith("autotune.errors.UsageError: model 'other/model' is no folder here, is not in the local")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        model_folder(str(tmp_path / "model.bin"))


@pytest.mark.parametrize(
    ("name", "hub"), [("org/name", True), ("./a/b", False), ("/a/b", False), ("a/b/c", False), ("tiny", False)]
)
def test_hub_names(name: str, hub: bool) -> None:
    assert is_hub_name(name) is hub


def test_words_of_the_command_line() -> None:
    assert with_models(["model=tiny", "method=ngram"]) == ["model=tiny", "method=ngram"]
    assert with_models(["model=tiny,/some/folder"]) == ["model=tiny,path.some-folder"]
    assert not is_path("tinny")
    assert options_first(["a=1", "-m", "+b={int: [1, 2]}", "--cfg", "job"]) == [
        "-m",
        "--cfg",
        "job",
        "a=1",
        "+b={int: [1, 2]}",
    ]


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "12-00-00").path == tmp_path / "12-00-00"
    assert RunFolder(tmp_path / "12-00-00").path == tmp_path / "12-00-00-2"
    third = RunFolder(tmp_path / "12-00-00")
    assert third.path == tmp_path / "12-00-00-3"
    third.remove_if_unused()
    assert not third.path.exists()
