"""Who may join a study, through which driver, and what of its address is written down."""

from __future__ import annotations

import sys

import optuna
import pytest
from test_conf import settings_for

from autotune.errors import UsageError
from autotune.study.database import with_driver
from autotune.study.joining import agree
from autotune.study.naming import without_password


def test_terms() -> None:
    """Who joins with another command is told what differs; a study that ended may get more trials."""
    first = settings_for("study.name=x")
    study = optuna.create_study(study_name="x")
    agree(study, first, anew=False)
    agree(study, settings_for("study.name=x", "tracking=none", "outputs=elsewhere"), anew=False)
    with pytest.raises(UsageError, match=r"study x is run with workload\.max_tokens="):
        agree(study, settings_for("study.name=x", "workload.max_tokens=7"), anew=False)
    more = settings_for("study.name=x", "study.n_trials=99")
    with pytest.raises(UsageError, match=r"study\.n_trials=14, here it is 99"):
        agree(study, more, anew=False)
    agree(study, more, anew=True)
    with pytest.raises(UsageError, match=r"study x is run with workload\.max_tokens="):
        agree(study, settings_for("study.name=x", "study.n_trials=99", "workload.max_tokens=7"), anew=True)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autotune.study.database.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"pip install 'psycopg\[binary\]'"):
        with_driver("postgresql://me:secret@host/base")
    with pytest.raises(UsageError, match="postgresql://me:\\*\\*\\*@host"):
        with_driver("postgresql://me:secret@host/base")


def test_passwords_are_not_written_down() -> None:
    assert without_password("a=postgresql+psycopg://me:p%40ss@host:5/b c") == "a=postgresql+psycopg://me:***@host:5/b c"
    for harmless in ("postgresql://me@host/b", "sqlite:///a/b.db", "http://host:5000", "postgresql://host:5/b"):
        assert without_password(harmless) == harmless
