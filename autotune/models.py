"""Where a model or a draft lies: a folder here, a folder beside the installed project, or the Hugging Face cache."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from autotune.errors import UsageError

PROJECT = Path(__file__).resolve().parent.parent
EMBEDDED = "models"  # the project's own, never a user of the Hub
SAFE = "*.safetensors"
PICKLED = ("*.bin", "*.pt")
# Besides the weights; no code is ever among them.
NEEDED = ["*.json", "*.jinja", "*.model", "*.txt"]


def model_folder(path: str, *, weights: bool = True) -> Path:
    """The folder of `path`; UsageError if there is none, or if it holds no model. Without weights a config is one."""
    folder = local_folder(path, "model.path")
    if folder is not None:
        return _checked(folder, weights)
    if is_hub_name(path):
        return _checked(from_hub(path, weights=weights), weights)
    raise UsageError(
        f"model folder {path!r} does not exist; give a folder in Hugging Face format, a YAML of conf/model, or org/name"
    )


def local_folder(path: str, key: str) -> Path | None:
    """A folder here or beside the installed project; `key` is named where `path` is a file."""
    for folder in (Path(path).expanduser(), PROJECT / path):
        if folder.is_dir():
            return folder
        if folder.exists():
            raise UsageError(f"{key} is {path!r}, which is a file; it must be a folder in Hugging Face format")
    return None


def is_hub_name(path: str) -> bool:
    """org/name, and nothing that looks like a file path."""
    parts = path.split("/")
    return len(parts) == 2 and all(parts) and not path.startswith((".", "~", "/")) and parts[0] != EMBEDDED


def from_hub(name: str, revision: str | None = None, *, weights: bool = True) -> Path:
    """The cached snapshot, or a download where the network and HF_HUB_OFFLINE allow it."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # its retries are not our user's business
    with contextlib.suppress(Exception):  # it is not there, or only in part
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
        if has_weights(cached) or (not weights and (cached / "config.json").is_file()):
            return cached
    try:
        patterns = wanted(HfApi().list_repo_files(name, revision=revision)) if weights else NEEDED
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, etag_timeout=5))
    except Exception as error:  # of the Hub, of the network below it, or of the disk
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"model {name!r} is no folder here, is not in the local Hugging Face cache and could not be downloaded "
            f"({type(error).__name__}: {reason}); download it where there is a network, or give a folder"
        ) from error


def wanted(files: Iterable[str]) -> list[str]:
    """What is downloaded of a repository: pickled weights only where there are no safetensors, and never code."""
    safe = any(file.endswith(".safetensors") for file in files)
    return [*NEEDED, *([SAFE] if safe else PICKLED)]


def has_weights(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in (SAFE, *PICKLED))


def _checked(folder: Path, weights: bool) -> Path:
    if not (folder / "config.json").is_file():
        raise UsageError(f"model folder {str(folder)!r} has no config.json; it must be a folder in Hugging Face format")
    if weights and not has_weights(folder):
        raise UsageError(f"model folder {str(folder)!r} has no weights; it must hold *.safetensors or *.bin files")
    return folder
