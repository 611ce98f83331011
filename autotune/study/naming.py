"""What a study is called and where it is kept, so that the same command finds the same study again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from autotune.settings import Settings

WATCHING = ("log_stats_interval", "metrics_port", "metrics_host")
"""Options of an engine that only tell what it does."""
SCHEDULE = ("kind", "batch_sizes", "num_speculative_tokens", "context_lengths")
"""What decides the cells that a schedule's study measures."""


CHOOSING = ("rule", "may_lose", "weights")
"""Of several objectives, how one configuration is chosen in the end: another rule goes with the same trials."""


def base_name(settings: Settings, model: Path) -> str:
    """`study.name`, or the method, the workload and a hash of everything that changes what is measured."""
    kind = "schedule-" if settings.study.kind == "schedule" else ""
    return (
        settings.study.name or f"{kind}{settings.method.name}-{settings.workload.name}-{fingerprint(settings, model)}"
    )


def fingerprint(settings: Settings, model: Path) -> str:
    """Eight hex digits. How long to search, how to resume, by which rule to choose, and where records and numbers go do
    not count; weights and traces written anew do.
    """
    read = filter(None, (settings.model.prompts, settings.model.step_costs, settings.load.path))
    files = [*(model.glob("*.safetensors") if model.is_dir() else [model]), *map(Path, read)]
    weights = sorted((file.name, file.stat().st_mtime_ns) for file in files)
    everything = asdict(settings)
    of_schedule = SCHEDULE if settings.study.kind == "schedule" else ()
    decisive = ("seed", "startup_trials", "prune_alpha", "prune_min_units", *of_schedule)
    study = {key: everything["study"][key] for key in decisive}
    measured = {key: value for key, value in everything.items() if key not in ("study", "tracking", "outputs")}
    for key in CHOOSING:
        measured["objective"].pop(key)
    for key in WATCHING:
        measured["engine"]["options"].pop(key, None)
    text = json.dumps({**measured, "study": study, "weights": weights}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def storage_url(settings: Settings, base: str) -> str:
    """The database: as given, or a SQLite file of the study's own under the outputs."""
    if settings.study.storage is not None:
        return settings.study.storage
    folder = (Path(settings.outputs) / "studies").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in base)
    return f"sqlite:///{folder / safe}.db"


def is_shared(url: str) -> bool:
    """Whether several processes may work on a study in this database. SQLite's file is locked to one."""
    return not url.startswith("sqlite")


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def without_password(text: str) -> str:
    """A text with the passwords of its URLs replaced, for what is written down or sent."""
    return re.sub(r"(\w://[^\s:/@']*):[^\s@/']+@", r"\1:***@", text)
