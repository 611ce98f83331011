"""The pages in a real browser as wide as a phone: nothing is fetched, every chart is drawn, nothing sticks out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autotune.report.__main__ import pages
from tests.autotune.report import examples

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--virtual-time-budget=15000", "--dump-dom")  # fmt: skip
PHONE = 390
# What the page is asked once it has settled: its width, what it fetched, and how many charts it has drawn.
FRAME = """<body><iframe id=page src="{page}" style="border:0;width:{width}px;height:2000px"></iframe>
<pre id=said></pre>
<script>page.onload = () => setTimeout(() => {{
  const inside = page.contentDocument, window_ = page.contentWindow;
  const fetched = window_.performance.getEntriesByType("resource").map(entry => entry.name);
  said.textContent = JSON.stringify({{width: inside.documentElement.scrollWidth, fetched: fetched,
    drawn: inside.querySelectorAll(".plot-container").length}});
}}, 4000)</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def seen(served: tuple[Path, str], page: Path, width: int = PHONE) -> dict[str, Any]:
    folder, address = served
    (folder / "frame.html").write_text(FRAME.format(page=page.relative_to(folder), width=width))
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"{address}/frame.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="said">(.+?)</pre>', done.stdout)
    assert found is not None, done.stderr[-2000:]
    return json.loads(found[1].replace("&amp;", "&"))


@pytest.mark.parametrize(("further", "least"), [({}, 11), ({"schedule": examples.SCHEDULE}, 5)])
def test_a_run_s_page_on_a_phone(served: tuple[Path, str], further: dict[str, Any], least: int) -> None:
    details = {
        **further, "pareto": examples.PARETO, "robust": examples.ROBUST, "break_even": examples.BREAK_EVEN,
        "constraints": examples.CONSTRAINTS, "trust": examples.TRUST,
        "model": examples.MODEL, "log_gains": {"prompt-0": 0.3, "prompt-1": -0.1},
        "notes": [f"A note with a word that has no end: {'longer' * 40}."],
    }  # fmt: skip
    run = examples.best(**details)
    run["speculative_config"] |= {"speculative_token_tree": examples.TREE}
    at = examples.folder(served[0] / "run", run, examples.grid())
    (page,) = pages(at)
    found = seen(served, page)
    assert found["fetched"] == []
    assert found["width"] == PHONE
    charts = page.read_text().count("<script>draw(")
    assert found["drawn"] == charts >= least


def test_a_sweep_s_page_on_a_phone(served: tuple[Path, str]) -> None:
    folder = served[0] / "sweep"
    rows = []
    for number, (method, workload) in enumerate([("ngram", "code"), ("suffix", "code"), ("ngram", "a_long_workload")]):
        run = examples.best() | {"outputs": f"x/{number}", "method": method}
        examples.folder(folder / str(number), run)
        rows.append({"number": number, "overrides": [f"method={method}", f"workload={workload}"], "line": run})
    rows.append({"number": 3, "overrides": ["method=suffix", "workload=a_long_workload"], "error": "refused " * 30})
    (folder / "comparison.json").write_text(json.dumps({"command": "tune sweep", "jobs": rows}))
    found = seen(served, pages(folder)[-1])
    assert found == {"width": PHONE, "fetched": [], "drawn": 0}
