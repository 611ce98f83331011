"""`python -m autotune.recommend [group=choice] [key=value] ...`: which methods suit a model, a workload and a load.

Takes the words of `python -m autotune`, and recommend.memory_gib=24, recommend.target_speedup=2, recommend.text=copy,
recommend.context_tokens=8192 (conf/recommend/default.yaml explains them). Measures and downloads nothing. The last line
on stdout is one JSON object.
"""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

from rich.console import Console

from autotune.compose import resolve
from autotune.errors import UsageError, nearest
from autotune.explain import explain
from autotune.joint import ALL, plain, with_methods
from autotune.overrides import CONF, with_models
from autotune.recommend.choose import answer, question
from autotune.recommend.rules import Guide, guide
from autotune.recommend.show import line, show
from autotune.robust.words import with_workloads
from autotune.schema import names
from autotune.settings import Settings

GROUP, WIDTH = "recommend", 120


def main(words: list[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    try:
        settings, tables = composed(words)
        asked = question(settings, tables, typed(words))
        found = answer(asked)
    except UsageError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    show(Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH), asked, found)
    print(json.dumps(line(asked, found)), flush=True)
    return 0


def composed(words: list[str]) -> tuple[Settings, Guide]:
    """The settings and the tables; UsageError for whatever Hydra or they do not know."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if flags := [word for word in words if word.startswith("-")]:
        raise UsageError(f"unknown option {flags[0]!r}; allowed: --help, group=choice, key=value")
    check_keys(words)
    asked = sys.argv[1:] = with_workloads(with_methods(with_models(with_group(words))))
    config: Any = None
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("config", overrides=asked)
        found = plain(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error, config.model.name if config is not None else "")) from error
    tables = guide(found.pop(GROUP))
    found.pop("experiment", None)
    settings = resolve(found)
    if settings.mix is not None:
        raise UsageError(
            f"the guide knows of one workload at a time, not of {settings.workload.name}; choose one of them"
        )
    return settings, tables


def check_keys(words: list[str]) -> None:
    """A wrong key of the guide's own, without the rows of its tables in the list of right ones."""
    for word in words:
        root, _, key = word.partition("=")[0].lstrip("+~").partition(".")
        if root == GROUP and key and key.partition(".")[0] not in names(Guide):
            allowed = [f"{GROUP}.{name}" for name in names(Guide)]
            raise UsageError(f"unknown key {GROUP}.{key}; {nearest(f'{GROUP}.{key}', allowed)}")


def with_group(words: list[str]) -> list[str]:
    """The words, with the tables, which other commands do not read, and with every method unless some were chosen."""
    chosen = [f"+{word}" if word.startswith(f"{GROUP}=") else word for word in words]
    keys = [word.partition("=")[0].lstrip("+") for word in words]
    return [
        *([] if GROUP in keys else [f"+{GROUP}=default"]),
        *([] if "method" in keys else [f"method={ALL}"]),
        *chosen,
    ]


def typed(words: list[str]) -> str:
    """The search with the same words, without the guide's own."""
    kept = [word for word in words if word.partition("=")[0].lstrip("+").partition(".")[0] != GROUP]
    return shlex.join(["python", "-m", "autotune", *kept])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
