"""Where a model lies: a folder here, a folder beside the installed project, or the local Hugging Face cache."""

from __future__ import annotations

import os
from pathlib import Path

from autotune.errors import UsageError

PROJECT = Path(__file__).resolve().parent.parent
WEIGHTS = ("*.safetensors", "*.bin")
NEEDED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


def model_folder(path: str) -> Path:
    """The folder of `path`; UsageError if there is none, or if it holds no model."""
    for folder in (Path(path).expanduser(), PROJECT / path):
        if folder.is_dir():
            return _checked(folder)
        if folder.exists():
            raise UsageError(f"model.path is {path!r}, which is a file; it must be a folder in Hugging Face format")
    if is_hub_name(path):
        return _checked(_from_hub(path))
    raise UsageError(
        f"model folder {path!r} does not exist; give a folder in Hugging Face format, a YAML of conf/model, or org/name"
    )


def is_hub_name(path: str) -> bool:
    """org/name, and nothing that looks like a file path."""
    parts = path.split("/")
    return len(parts) == 2 and all(parts) and not path.startswith((".", "~", "/"))


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise UsageError(f"model folder {str(folder)!r} has no config.json; it must be a folder in Hugging Face format")
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHTS):
        raise UsageError(f"model folder {str(folder)!r} has no weights; it must hold *.safetensors files")
    return folder


def _from_hub(name: str) -> Path:
    """The cached snapshot, or a download where the network and HF_HUB_OFFLINE allow it."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=NEEDED))
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=NEEDED, etag_timeout=5))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"model {name!r} is no folder here, is not in the local Hugging Face cache and could not be downloaded "
            f"({type(error).__name__}: {reason}); download it where there is a network, or give a folder"
        ) from error
