"""Token trees in a study: a replay with one, a search over several, and how they are shown."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autotune.console import words
from autotune.errors import UsageError
from autotune.inputs import check
from autotune.overrides import override
from autotune.report.tree_picture import _rows, picture
from autotune.trees import FIELD, shortened, tree_of
from engine.tree.token_tree import TokenTree
from tests.autotune.test_conf import settings_for
from tests.autotune.test_replay_study import measured, recording, session_of  # noqa: F401
from tests.engine.tree.shapes import MEDUSA_63, STATIC_SHAPES

SMALL = "[(0,), (1,), (0, 0), (0, 1), (0, 0, 0)]"
DEPTH = ("method.num_speculative_tokens=null", "method.search.num_speculative_tokens=null")


def test_a_replay_with_a_tree_counts_its_nodes(recording: Path) -> None:  # noqa: F811
    session = session_of(f"model.path={recording}")
    window = {"method": "ngram", "prompt_lookup_min": 1, "prompt_lookup_max": 3}
    chain, _ = measured(session, window | {"num_speculative_tokens": 3})
    found, runs = measured(session, window | {FIELD: SMALL})
    assert found["tokens_per_target_pass"] > chain["tokens_per_target_pass"]
    assert len(found["acceptance_per_node"]) == 5
    assert sum(found["share_of_drafts_per_node"]) == pytest.approx(found["mean_acceptance_length"] - 1)
    assert "acceptance_per_node" not in chain
    accepted = sum(sum(run.counters.accepted_nodes) for run in runs)
    assert accepted == found["num_accepted_tokens"] == sum(run.counters.accepted_tokens for run in runs)


def test_step_costs_must_reach_the_rows_of_a_tree(recording: Path) -> None:  # noqa: F811
    costs = recording.with_name("step_costs.json")
    costs.write_text(json.dumps({"cost": {"1": 1.0, "5": 1.5}}))
    session = session_of(f"model.path={recording}", f"model.step_costs={costs}")
    measured(session, {"method": "ngram", FIELD: SMALL})
    with pytest.raises(UsageError, match=r"end at 5 rows, a step of 15 is too far beyond.* or token tree"):
        measured(session, {"method": "ngram", FIELD: STATIC_SHAPES["binary"]})


def test_a_search_over_trees_shows_what_it_found(commands, recording: Path) -> None:  # noqa: F811
    choices = ", ".join(f'"{text}"' for text in (SMALL, "[(0,), (1,)]"))
    search = f"+search.method.{FIELD}={{categorical: [{choices}]}}"
    given = ("model=replay", f"model.path={recording}", "method=ngram", *DEPTH, "tracking=none", "study.n_trials=4")
    done = commands.run(*given, override(f"method.{FIELD}", SMALL).strip("'"), search)
    assert done.status == 0, done.err
    best = json.loads((done.folder / "best.json").read_text())
    tree = tree_of(best["speculative_config"], best["all_metrics"])
    assert tree is not None
    assert best["speculative_config"]["num_speculative_tokens"] == max(tree.depths)
    assert tree.words in done.out
    assert tree.draw().splitlines()[1] in done.out
    page = (done.folder / "report.html").read_text()
    assert page.count('<svg class="tree"') == 2
    assert "tree of 5 nodes, 3 deep" in page
    assert "tree of 2 nodes, 1 deep" in page


@pytest.mark.parametrize("depth", ["3", "5"])
def test_a_searched_depth_beside_a_tree_is_refused(recording: Path, depth: str) -> None:  # noqa: F811
    tree = f'method.{FIELD}="{SMALL}"'
    given = ("model=replay", f"model.path={recording}", tree, f"method.num_speculative_tokens={depth}")
    with pytest.raises(UsageError, match=r"drafts are 3 deep; keep it fixed with method.search.num_spec.*=null"):
        check(settings_for(*given), searching=True)
    check(settings_for(*given, DEPTH[1]), searching=True)


@pytest.mark.parametrize("literal", [*STATIC_SHAPES.values(), "[(0,)]"])
def test_the_picture_has_every_node_and_no_two_in_one_place(literal: str) -> None:
    shape = TokenTree.parse(literal, 8)
    rates = [None if i % 3 == 2 else 1 / (1 + i) for i in range(len(shape))]
    tree = tree_of({FIELD: literal}, {"acceptance_per_node": rates, "share_of_drafts_per_node": rates})
    assert tree is not None
    svg = ElementTree.fromstring(picture(tree))
    nodes = svg.findall("g")
    circles = [(g.find("circle").get("cx"), g.find("circle").get("cy")) for g in nodes]
    assert len(set(circles)) == len(nodes) == len(shape)
    assert [g.find("text").text for g in nodes] == [str(rank) for rank in shape.ranks]
    assert len(svg.findall("path")) == len(shape)
    assert [len(g.findall("text")) == 2 for g in nodes] == [rate is not None for rate in rates]
    widths = [float(path.get("stroke-width")) for path in svg.findall("path")]
    assert [width == max(widths) for width in widths] == [rate == 1 for rate in rates]


def test_siblings_stand_below_each_other_in_their_order() -> None:
    shape = TokenTree.parse(MEDUSA_63, 4)
    rows = _rows(shape.parents)
    for node, parent in enumerate(shape.parents):
        if shape.ranks[node] == 0:
            assert rows[node] == (rows[parent] if parent >= 0 else 0)
        else:
            older = next(i for i in range(node) if shape.nodes[i] == (*shape.nodes[node][:-1], shape.ranks[node] - 1))
            assert rows[node] > rows[older]
    leaves = [rows[i] for i, count in enumerate(shape.num_children[1:]) if not count]
    assert sorted(leaves) == list(range(len(leaves)))


def test_nodes_that_were_never_drafted_have_no_rate() -> None:
    tree = tree_of({FIELD: SMALL}, {"acceptance_per_node": [0.5, 0.25, 0.5, None]})
    assert tree is not None
    assert tree.rates == [0.5, 0.25, 0.5, None, None]
    assert tree.shares == [None] * 5
    assert tree.draw().splitlines()[:3] == ["root", "├─ 0  50 %", "│  ├─ 0  50 %"]


def test_a_tree_among_parameters_is_shown_by_its_size_and_typed_in_full() -> None:
    assert shortened(FIELD, SMALL) == "tree of 5 nodes, 3 deep"
    assert shortened("prompt_lookup_max", 4) == 4
    assert shortened(FIELD, "nonsense") == "nonsense"
    assert words.parameters({f"method.{FIELD}": SMALL}) == f"{FIELD}=tree of 5 nodes, 3 deep"
    assert shlex.split(override("method.tree", SMALL)) == [f'method.tree="{SMALL}"']
    assert override("method.k", 3) == "method.k=3"
