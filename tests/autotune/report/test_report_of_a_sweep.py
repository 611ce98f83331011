"""The comparison over the jobs of a multirun: the matrix, the links, the failed jobs and their reasons."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autotune.report.__main__ import pages
from autotune.report.sweep.jobs import read
from autotune.report.sweep.matrix import answers, matrix
from autotune.report.sweep.strip import strips
from tests.autotune.report import examples

GAINS = {("ngram", "code"): 1.6, ("suffix", "code"): 1.7, ("ngram", "chat"): 0.8, ("suffix", "chat"): 1.3}


def job(at: Path, number: int, method: str, workload: str, speedup: float | None) -> dict[str, Any]:
    """A row of comparison.json, with the job's folder."""
    run = examples.best(notes=["No configuration keeps all limits."])
    bounds = None if speedup is None else [speedup - 0.15, speedup + 0.15]
    run |= {"method": method, "searched": method, "workload": workload, "speedup": speedup, "speedup_ci": bounds,
            "confirmed": bounds is not None and bounds[0] > 1, "outputs": f"elsewhere/{at.name}/{number}"}  # fmt: skip
    examples.folder(at / str(number), run)
    return {"number": number, "overrides": [f"method={method}", f"workload={workload}", "study=quick"], "line": run}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    rows = [job(tmp_path, number, *key, gain) for number, (key, gain) in enumerate(GAINS.items())]
    rows.append(job(tmp_path, 4, "eagle", "code", None))
    rows.append(
        {"number": 5, "overrides": ["method=eagle", "workload=chat", "study=quick"], "error": "no draft <here>"}
    )
    line = {"schema": 1, "command": "tune sweep", "outputs": str(tmp_path), "jobs": rows}
    (tmp_path / "comparison.json").write_text(json.dumps(line))
    return tmp_path


def test_the_matrix_is_method_by_workload_best_first(sweep: Path) -> None:
    table = matrix(read(sweep).jobs)
    assert (table.down, table.across, list(table.columns)) == ("method", "workload", ["code", "chat"])
    assert [label for label, _ in table.rows] == ["suffix", "ngram", "eagle"]
    found = {label: [cell.jobs[0].speedup for cell in cells] for label, cells in table.rows}
    assert found == {"suffix": [1.7, 1.3], "ngram": [1.6, 0.8], "eagle": [None, None]}
    assert [cell.best for _, cells in table.rows for cell in cells] == [True, True, False, False, False, False]


def test_the_answers_say_what_is_not_told_apart(sweep: Path) -> None:
    code, chat = answers(read(sweep).jobs)
    assert code == "For workload code: suffix at 1.70x [1.55, 1.85]; the interval of ngram overlaps with its own."
    assert chat == "For workload chat: suffix at 1.30x [1.15, 1.45]."


def test_one_command_writes_all_pages_again(sweep: Path) -> None:
    written = pages(sweep)
    assert written == [*(sweep / str(number) / "report.html" for number in range(5)), sweep / "report.html"]
    page = written[-1].read_text()
    for link in re.findall(r'href="(.*?)"', page):
        assert (sweep / link).is_file()
    assert len(set(re.findall(r'href="(.*?)"', page))) == 5
    assert "no draft &lt;here&gt;" in page
    assert "No configuration keeps all limits." in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert all(f"{gain:.2f}x" in page for gain in GAINS.values())


def test_keys_that_do_not_vary_are_said_once(sweep: Path) -> None:
    page = pages(sweep)[-1].read_text()
    assert page.count("study=quick") == 1


def test_one_varied_key_and_three(sweep: Path) -> None:
    jobs = [each for each in read(sweep).jobs if each.given["workload"] == "code"]
    table = matrix(jobs)
    assert (table.down, table.across) == ("method", "")
    assert [label for label, _ in table.rows] == ["suffix", "ngram", "eagle"]
    for number, each in enumerate(read(sweep).jobs):
        each.given["seed"] = str(number % 2)
        jobs.append(each)
    assert (matrix(jobs).down, matrix(jobs).across) == ("method seed", "workload")


def test_the_bars_lie_on_one_scale(sweep: Path) -> None:
    found = strips(read(sweep).jobs)
    assert sorted(found) == [0, 1, 2, 3]
    assert len({strip.one for strip in found.values()}) == 1
    assert min(strip.left for strip in found.values()) == 2
    assert max(strip.right for strip in found.values()) == 98
    assert all(strip.left < strip.middle < strip.right for strip in found.values())
