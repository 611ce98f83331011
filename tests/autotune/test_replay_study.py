"""A study on recorded responses: exact counts, everything a study leaves, and never a word of a measured time."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from autotune import arms
from autotune.errors import UsageError
from autotune.inputs import check
from autotune.metrics import summary
from autotune.samples import Arm
from autotune.worker.protocol import Recording
from autotune.worker.replay import ReplaySession
from engine.errors import ConfigError
from tests.autotune.test_conf import METHODS, settings_for
from tests.engine.test_replay import config_of

SHARED = Path(__file__).resolve().parents[3] / "shared"


def repeating(rng: random.Random, length: int) -> list[int]:
    """Tokens in phrases that come again."""
    phrases = [[rng.randrange(50) for _ in range(rng.randint(3, 7))] for _ in range(6)]
    tokens: list[int] = []
    while len(tokens) < length:
        tokens += rng.choice(phrases)
    return tokens[:length]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng, path = random.Random(0), tmp_path / "pairs.jsonl"
    pairs = [repeating(rng, 90) for _ in range(24)]
    path.write_text("".join(json.dumps({"prompt": pair[:30], "response": pair[30:]}) + "\n" for pair in pairs))
    return path


def session_of(*words: str) -> ReplaySession:
    """What the worker of a bench with these words has."""
    settings = settings_for("model=replay", *words)
    inputs = check(settings, searching=False)
    model = settings.model
    return ReplaySession(
        Recording(settings.engine.loader, str(inputs.model), model.tokenizer, model.step_costs, inputs.requests)
    )


def measured(session: ReplaySession, config: dict | None) -> dict:
    """All metrics of one config over all held-out pairs."""
    session.prepare([Arm("candidate", config, {})], "confirm")
    number = len(session.opened.prompt_tokens["confirm"])
    results = [session.measure(f"prompt-{i}", "confirm", [i], 0, ["candidate"]) for i in range(number)]
    return summary([result.runs["candidate"] for result in results]), [result.runs["candidate"] for result in results]


def vicuna() -> list[str]:
    if not SHARED.exists():
        pytest.skip("the folder shared/ with recorded responses is not beside this checkout")
    return [
        f"model.path={SHARED}/data/replay/vicuna_7b_mt_bench_answers.jsonl",
        f"model.prompts={SHARED}/data/prompts/mt_bench.jsonl",
        f"model.tokenizer={SHARED}/models/gpt2-tokenizer",
        "workload.max_tokens=600",
        "workload.options.search_share=0",
    ]


def test_recorded_counts_of_a_7b_model_to_the_last_unit() -> None:
    session = session_of(*vicuna())
    recorded = json.loads((SHARED / "facts/drafting_counts.json").read_text())["counts"]
    keys = [key for key in recorded if key.startswith("vicuna7b")]
    assert len(keys) >= 11
    for key in keys:
        found, runs = measured(session, config_of(key))
        counters = sum((run.counters for run in runs[1:]), runs[0].counters)
        assert {
            "num_drafts": found["num_drafts"],
            "num_draft_tokens": found["num_draft_tokens"],
            "num_accepted_tokens": found["num_accepted_tokens"],
            "steps": counters.decode_passes,
            "accepted_per_pos": list(counters.accepted_per_pos),
        } == recorded[key], key


def test_a_bench_says_the_recorded_counts(commands) -> None:
    words = ("method.num_speculative_tokens=3", "method.prompt_lookup_min=2", "method.prompt_lookup_max=4")
    done = commands.run("model=replay", *vicuna(), *words, "tracking=none", module="autotune.bench")
    assert done.status == 0, done.err
    counts = {key: done.line["metrics"][key] for key in ("num_drafts", "num_draft_tokens", "num_accepted_tokens")}
    assert counts == {"num_drafts": 3727, "num_draft_tokens": 11145, "num_accepted_tokens": 3901}


def test_a_study_leaves_everything_and_says_that_no_time_was_measured(commands, recording: Path) -> None:
    database = commands.outputs.parent / "mlflow.db"
    words = ("model=replay", f"model.path={recording}", "study.n_trials=3", f"tracking.uri=sqlite:///{database}")
    done = commands.run(*words)
    assert done.status == 0, done.err
    line = done.line
    assert (line["measurement"], line["workload"], line["confirmed"]) == ("replayed", "recorded", True)
    assert line["metrics"]["tpot_ms"] == {"p50": None, "p95": None}
    assert line["metrics"]["output_tokens_per_s"] is None
    assert line["baseline"]["tokens_per_target_pass"] == 1
    assert line["speedup_ci"][0] <= line["speedup"] <= line["speedup_ci"][1]
    assert line["environment"]["time"] == "not measured"
    assert sorted(path.name for path in done.folder.iterdir() if path.is_file()) == [
        "best.json", "config.yaml", "prometheus.txt", "report.html", "speculative_config.json", "study.json",
        "trials.jsonl",
    ]  # fmt: skip
    assert len(done.trials) == 3
    assert len((done.folder / "samples" / "confirm.jsonl").read_text().splitlines()) == 12
    best = json.loads((done.folder / "best.json").read_text())
    assert "no time was measured" in best["details"]["notes"][0]
    assert best["details"]["lossless"]["compared_tokens"] == 0
    page = (done.folder / "report.html").read_text()
    for text in ("no time was measured", "replayed, not measured", "tokens per target pass over no speculation"):
        assert text in page
    for text in ("in the same process", "lossless</span>", "Time per output token"):
        assert text not in page
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    runs = client.search_runs([client.get_experiment_by_name("spectune").experiment_id])
    assert len(runs) == 4
    assert {run.data.tags.get("measurement") for run in runs} == {"replayed"}


def test_it_is_the_same_every_time_and_step_costs_predict(commands, recording: Path) -> None:
    costs = recording.with_name("step_costs.json")
    costs.write_text(json.dumps({"cost": {"1": 1.1, "11": 3.1}}))
    words = ("model=replay", f"model.path={recording}", f"model.step_costs={costs}", "method=suffix")
    first, second = (commands.run(*words, "study.n_trials=2", "tracking=none") for _ in range(2))
    assert first.status == 0, first.err
    assert {**first.line, "outputs": ""} == {**second.line, "outputs": ""}
    assert first.line["measurement"] == "predicted"
    assert "predicted speed-up" in first.out
    assert "predicted from the steps' costs" in first.out
    assert first.line["speedup"] < first.line["metrics"]["tokens_per_target_pass"]


def test_the_cost_of_a_run_is_that_of_its_rows(recording: Path) -> None:
    costs = recording.with_name("step_costs.json")
    costs.write_text(json.dumps({"cost": {"1": 1.1, "11": 3.1}}))
    session = session_of(f"model.path={recording}", f"model.step_costs={costs}")
    config = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
    found, runs = measured(session, config)
    passes = sum(run.counters.decode_passes for run in runs)
    assert sum(run.cost for run in runs) == pytest.approx(1.1 * passes + 0.2 * found["num_draft_tokens"])
    alone, runs = measured(session, None)
    assert alone["tokens_per_step_cost"] == alone["tokens_per_target_pass"] == 1


def test_a_warm_cache_holds_other_pairs_and_never_the_pair_itself(tmp_path: Path) -> None:
    """All pairs have the same long response: warm, the first visit knows it; cold, no visit ever does."""
    path, answer = tmp_path / "same.jsonl", list(range(100, 160))
    path.write_text("".join(json.dumps({"prompt": [i], "response": answer}) + "\n" for i in range(8)))
    words = (f"model.path={path}", "method=suffix")
    config = arms.speculative_config(settings_for("model=replay", *words), {})
    cold, warm = session_of(*words), session_of(*words, "method.warm_requests=2")
    assert measured(cold, config)[0]["tokens_per_target_pass"] == 1
    for _ in range(2):
        assert measured(warm, config)[0]["tokens_per_target_pass"] > 4
    assert not {pair.request_id for pair in warm._pairs["warm"]} & {pair.request_id for pair in warm._pairs["confirm"]}


def test_what_is_measured_warm_is_never_warmed_with(recording: Path) -> None:
    settings = settings_for("model=replay", f"model.path={recording}", "method=suffix", "method.warm_requests=5")
    requests = check(settings, searching=True).requests
    assert {split: len(found) for split, found in requests.items()} == {"warm": 5, "search": 7, "confirm": 12}
    prompts = [{request.prompt for request in found} for found in requests.values()]
    assert len(set.union(*prompts)) == 24


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "model.path is null; give the recorded pairs"),
        (["model.path=/no/such/file"], "model.path is '/no/such/file', which is no file"),
        (["model.path=PAIRS", "model.tokenizer=/no/such"], "model.tokenizer is '/no/such', which is no folder"),
        (["model.path=PAIRS", "model.step_costs=/no/such"], "model.step_costs is '/no/such', which cannot be read"),
        (["model.path=PAIRS", "workload=chat"], "workload chat has no recorded responses"),
        (["model.path=PAIRS", "load=closed_loop"], "load=closed_loop has no meaning in a replay"),
        (["model.path=PAIRS", "objective=tpot"], "objective.metric is 'tpot', but a replay measures no time"),
        (["model.path=PAIRS", "engine=native"], "engine=native does not go with model=replay"),
        (["model=tiny", "engine=replay"], "engine=replay does not go with model=tiny"),
        (["model=tiny", "objective=tokens_per_step_cost"], "but only a replay counts it; allowed: tpot, ttft, e2e"),
        (["model.path=PAIRS", "+search.engine={seed: {int: [0, 1]}}"], "search.engine has no effect in a replay"),
        (["model.path=PAIRS", "workload.num_prompts=13"], "has 12 prompts for split search, fewer than the 13"),
        (["model.path=PAIRS", "method=suffix", "method.warm_requests=12"], "has 12 prompts for the search; lower it"),
    ],
)
def test_what_does_not_go_together_is_refused(recording: Path, words: list[str], part: str) -> None:
    words = [word.replace("PAIRS", str(recording)) for word in words]
    model = [] if any(word.startswith("model=") for word in words) else ["model=replay"]
    with pytest.raises(UsageError) as caught:
        check(settings_for(*model, *words), searching=True)
    assert part in str(caught.value)


def test_text_without_a_tokenizer_is_refused_as_a_command(commands, tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{i}", "response": "r"}) + "\n" for i in range(4)))
    done = commands.run("model=replay", f"model.path={path}", "tracking=none")
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "is text; give the model's tokenizer with model.tokenizer=FOLDER" in done.err


@pytest.mark.parametrize("method", METHODS)
def test_methods_replay_or_say_that_they_need_a_model(recording: Path, method: str) -> None:
    free = method in ("none", "ngram", "suffix")
    words = (f"model.path={recording}", f"method={method}", *([] if free else ["method.model=some/draft"]))
    config = arms.speculative_config(settings_for("model=replay", *words), {})
    if free:
        assert measured(session_of(*words), config)[0]["num_output_tokens"] == 12 * 60
    else:
        with pytest.raises(UsageError, match="needs a model, which a replay has not: allowed are ngram, none, suffix"):
            session_of(*words)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("none", "ngram", "suffix")][:1])
def test_the_command_refuses_a_method_that_needs_a_model(commands, recording: Path, method: str) -> None:
    done = commands.run("model=replay", f"model.path={recording}", f"method={method}", "tracking=none")
    assert done.status == 2
    assert done.err == (
        f"error: method {method} needs a model, which a replay has not; choose a method that drafts from tokens alone\n"
    )


def test_a_method_without_memory_cannot_be_warm(recording: Path) -> None:
    session = session_of(f"model.path={recording}", "+method.warm_requests=3")
    with pytest.raises(ConfigError, match="method ngram remembers nothing of earlier requests"):
        measured(session, {"method": "ngram", "num_speculative_tokens": 3})
