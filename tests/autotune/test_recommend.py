"""The selection guide: its tables are whole, its ranking follows them, its commands run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from autotune import arms
from autotune.compose import resolve
from autotune.drafts import published
from autotune.errors import UsageError
from autotune.joint import plain, with_methods
from autotune.models import PROJECT
from autotune.overrides import CONF, options
from autotune.recommend.__main__ import composed, main, typed
from autotune.recommend.choose import answer, crossover, question
from autotune.recommend.memory import memory
from autotune.recommend.rules import Draft, Guide, guide
from autotune.recommend.shape import Shape, shape_of
from autotune.search_space import space_of
from engine.speculative_config import SpeculativeConfig

METHODS = sorted(set(options("method")) - {"none", "auto"})


@pytest.fixture(scope="module")
def tables() -> Guide:
    return composed([])[1]


def asked(*words: str) -> dict[str, Any]:
    """The answer by method: rank, expected speed-up and the rest."""
    settings, found = composed(list(words))
    ask = question(settings, found, typed(list(words)))
    result = answer(ask)
    return {each.method: (place, each) for place, each in enumerate(result.ranked, 1)} | {"without": result.without}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_rule_with_a_source(tables: Guide, method: str) -> None:
    rule = tables.rule(method)
    assert rule is not None, f"conf/recommend/tables/methods.yaml lacks {method}"
    assert rule.source
    assert all(1 <= low <= high for low, high in rule.speedup.values())
    assert rule.expected("mixed")[0] == min(low for low, _ in rule.speedup.values())


def test_every_workload_has_a_kind_of_text_or_is_mixed(tables: Guide) -> None:
    assert set(tables.texts) <= set(options("workload"))
    assert set(options("workload")) - set(tables.texts) == {"jsonl", "recorded", "several"}
    assert tables.text_of("jsonl") == "mixed"


def test_every_published_model_and_draft_model_has_a_shape(tables: Guide) -> None:
    from omegaconf import OmegaConf

    for path in (CONF / "model").glob("*.yaml"):
        name = OmegaConf.load(path).path
        assert path.stem == "replay" or shape_of(name, tables.shapes) is not None, name
    for drafts in published().values():
        assert not drafts.get("draft_model") or shape_of(drafts["draft_model"], tables.shapes) is not None


def test_the_load_table_is_followed_between_its_rows(tables: Guide) -> None:
    assert tables.under_load(1) == tables.under_load(2) == (1.0, 1.0)
    assert tables.under_load(12) == pytest.approx((0.845, 0.865))
    assert tables.under_load(500) == tables.under_load(56)
    assert [tables.longest_draft(n) for n in (1, 7, 8, 31, 64)] == [8, 8, 3, 3, 1]
    assert crossover(tables, (1.3, 1.3)) < crossover(tables, (1.45, 1.45)) < 56


def test_memory_counts_what_it_says(tables: Guide) -> None:
    """Llama 3.1 8B: 16.06e9 bytes of weights, 32 * 2048 * 2 bytes a token; EAGLE's file has about 0.5 GB."""
    target = shape_of("meta-llama/Llama-3.1-8B-Instruct", tables.shapes)
    assert target is not None
    rule = tables.rule("eagle")
    assert rule is not None
    found = memory(target, rule.adds, None, tables, requests=8)
    assert found is not None
    assert found.weights == pytest.approx(16.06e9 / 2**30, rel=1e-3)
    assert found.cache == pytest.approx(8 * 4096 * 32 * 2048 * 2 / 2**30)
    assert 0.4 < found.draft - 8 * 4096 * 2048 * 2 / 2**30 < 0.6
    assert memory(target, Draft(own=True), None, tables, requests=1) is None


def test_a_folder_tells_its_own_shape(tables: Guide, tmp_path: Path) -> None:
    tiny = shape_of("models/tiny", tables.shapes)
    assert isinstance(tiny, Shape)
    assert (tiny.layers, tiny.hidden, tiny.kv, tiny.vocab) == (16, 128, 128, 3072)
    assert tiny.parameters == pytest.approx(3.5e6, rel=0.05)
    assert shape_of("nobody/knows", tables.shapes) is None
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="says no decoder's shape"):
        shape_of(str(tmp_path), tables.shapes)


def test_copied_text_favours_lookup_and_new_text_a_head() -> None:
    copied, free = asked("workload=summarization"), asked("workload=chat")
    assert copied["ngram"][0] < copied["eagle"][0]
    assert free["eagle3"][0] == 1
    assert free["ngram"][0] > free["medusa"][0]
    assert asked("workload=chat", "recommend.text=copy")["ngram"][0] == copied["ngram"][0]


def test_what_does_not_fit_comes_last_and_says_so() -> None:
    words = ["model=llama31_8b", "load=closed_loop", "load.concurrency=8", "recommend.memory_gib=24"]
    found = asked(*words)
    place, model = found["draft_model"]
    assert place == len(found) - 1
    assert not model.fits
    assert any("does not fit into 90% of 24 GiB" in reason for reason in model.reasons)
    assert found["eagle3"][1].fits
    assert "train one: python -m autotune.train method=medusa model=llama31_8b" in found["without"]["medusa"]
    tighter = asked("workload=chat", *words[:3], "recommend.memory_gib=21.4")
    assert not tighter["eagle3"][1].fits
    assert tighter["eagle3"][1].middle > tighter["ngram"][1].middle
    assert tighter["ngram"][0] < tighter["eagle3"][0]


def test_load_and_sampling_take_from_a_gain_and_shorten_drafts() -> None:
    alone = asked("workload=chat")["ngram"][1]
    busy = ["workload=chat", "load=closed_loop", "load.concurrency=48", "engine.max_num_seqs=48"]
    found = asked(*busy)["ngram"][1]
    assert found.expected[1] < alone.expected[1]
    assert found.start["num_speculative_tokens"] == 1
    assert 2 <= found.start["disable_by_batch_size"] < 48
    sampled = asked("workload=chat", "workload.temperature=1")["ngram"][1]
    assert sampled.expected == pytest.approx((alone.expected[0] * 0.78, alone.expected[1] * 0.87))


def test_the_target_is_judged() -> None:
    found = asked("workload=chat", "recommend.target_speedup=2")
    assert any("reaches the 2 that are wanted at best" in reason for reason in found["eagle3"][1].reasons)
    assert any("stays below the 2" in reason for reason in found["ngram"][1].reasons)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["workload=chat", "load=closed_loop", "load.concurrency=40", "engine.max_num_seqs=40"],
        ["model=models/tiny-mtp"],
        ["model=replay"],
    ],
    ids=["one at a time", "many at once", "a folder with modules of its own", "replay"],
)
def test_every_command_composes_and_starts_inside_its_space(words: list[str]) -> None:
    settings, found = composed(words)
    result = answer(question(settings, found, typed(words)))
    assert result.ranked
    for command in [*(each.command for each in result.ranked), result.compare]:
        run(command)


def run(command: str) -> None:
    """Compose the command's words as `python -m autotune` does, and check every start."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "autotune"]
    from autotune.overrides import with_models

    with initialize_config_dir(str(CONF), version_base="1.3"):
        plain_config = plain(compose("config", overrides=with_methods(with_models(words[3:]))))
    plain_config.pop("experiment", None)
    settings = resolve(plain_config)
    for start in space_of(settings).starts():
        parameters = space_of(settings).parameters(start)
        SpeculativeConfig.from_any(arms.speculative_config(settings, parameters))


def test_the_command_prints_a_table_and_ends_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model=tiny", "workload=code", "recommend.memory_gib=1"]) == 0
    out = capsys.readouterr().out
    line = json.loads(out.strip().splitlines()[-1])
    assert line["methods"][0]["rank"] == 1
    assert {entry["method"] for entry in line["methods"]} == set(METHODS)
    assert all(entry["fits"] and entry["reasons"] and entry["source"] for entry in line["methods"])
    assert all(entry["command"] in out for entry in line["methods"])
    assert line["text"] == "code"
    assert not (PROJECT / "outputs" / "recommend").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["model=tinny"], "did you mean 'tiny'?"),
        (["model=/no/such"], "does not exist"),
        (["method=none"], "makes no drafts; leave method out"),
        (["method=medusa", "model=qwen3_8b"], "names no draft for method medusa"),
        (["recommend.memory=3"], "did you mean 'recommend.memory_gib'?"),
        (["recommend.memory_gib=-3"], "must be at least 0"),
        (["recommend.target_speedup=fast"], "must be a number or null"),
        (["recommend.text=prose"], "allowed: copy, code, free, mixed"),
        (["load=closed_loop", "load.concurrency=99"], "more than engine.max_num_seqs=8"),
        (["recommend.load=[]"], "recommend.load is []; it must be rows of 3 numbers"),
        (["recommend.longest=[[4,2]]"], "begins at 4 requests"),
        (["recommend.methods.ngram.speedup.copy=2"], "must be [low, high] for copy, code and free"),
        (["recommend.texts.chat=poem"], "recommend.texts.chat is 'poem'"),
        (["--fast"], "unknown option '--fast'"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("error: ")
    assert seen.err.count("\n") == 1
    assert part in seen.err
    assert len(seen.err) < 900


def test_a_table_of_one_s_own_is_checked() -> None:
    with pytest.raises(UsageError, match="recommend is None"):
        guide(None)
