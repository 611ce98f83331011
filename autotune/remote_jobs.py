"""The jobs of a multirun that a launcher runs in other processes or on other machines (hydra/launcher=submitit_slurm).

Each leaves its row in the sweep's folder; the process that sent them out reads the rows when all have ended.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback

Row = dict[str, Any]


class SweepFolder(Callback):
    """Keeps where the sweep's folder is: Hydra tells it to callbacks and jobs only."""

    path: ClassVar[Path | None] = None

    def on_multirun_start(self, config: Any, **_: Any) -> None:
        SweepFolder.path = Path(config.hydra.sweep.dir)


def leave(row: Row, status: int) -> None:
    """In the job's process."""
    job = HydraConfig.get()
    row = {**row, "number": int(job.job.num), "status": status}
    file = Path(job.sweep.dir) / f"job-{row['number']}.json"
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")


def collected() -> tuple[list[Row], list[int]]:
    """The rows in the order of the jobs, and their exit statuses; nothing where no multirun was."""
    if SweepFolder.path is None:
        return [], []
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in SweepFolder.path.glob("job-*.json")]
    rows.sort(key=lambda row: row["number"])
    return rows, [row.pop("status") for row in rows]
