"""A real scrape of a real engine: what Prometheus would read is what the engine counted."""

import socket
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine import ConfigError, Engine, SamplingParams
from engine.metrics.served import SHAPES

GREEDY = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True)
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
LOOP = [1, *([5, 6, 7, 8] * 5)]


def load(model, **wishes):
    return Engine.load(model, NGRAM, max_num_seqs=2, dtype="float32", num_threads=1, **wishes)


@pytest.fixture
def engine(random_model):
    engine = load(random_model, metrics_port=0)
    yield engine
    engine.close()


def scrape(url):
    """{(name, labels without the model's): value}, and the name of the model in every sample."""
    families = list(text_string_to_metric_families(urlopen(url, timeout=5).read().decode()))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    models = {sample.labels.pop("model_name") for sample in samples}
    return {(s.name, *sorted(s.labels.items())): s.value for s in samples}, models


def of(samples, name, engine="0", **labels):
    return samples[(name, *sorted({"engine": engine, **labels}.items()))]


def test_a_scrape_equals_the_counters(engine, random_model):
    url = engine.environment()["metrics_url"]
    outputs = engine.generate([LOOP, [1, 9, 9, 9], LOOP[:7]], GREEDY)
    engine.add_request("goes", LOOP, GREEDY)
    engine.step()
    engine.add_request("waits", LOOP, GREEDY)
    engine.add_request("waits too", LOOP, GREEDY)
    samples, models = scrape(url)
    assert models == {str(random_model)}
    stats, prefix = engine.stats, "vllm:spec_decode_num_"
    assert of(samples, prefix + "drafts_total") == stats.num_drafts > 0
    assert of(samples, prefix + "draft_tokens_total") == stats.num_draft_tokens
    assert of(samples, prefix + "accepted_tokens_total") == stats.num_accepted_tokens > 0
    for position in range(3):
        at = {"position": str(position)}
        accepted, drafted = stats.num_accepted_tokens_per_pos[position], stats.num_draft_tokens_per_pos[position]
        assert of(samples, prefix + "accepted_tokens_per_pos_total", **at) == accepted
        assert of(samples, "spectune:spec_decode_num_draft_tokens_per_pos_total", **at) == drafted
    drafting = {"method": "ngram", "output_law": "target"}
    assert of(samples, "spectune:spec_decode_config_info", **drafting) == 1
    assert of(samples, "vllm:num_requests_running") == engine.num_running == 1
    assert of(samples, "vllm:num_requests_waiting") == engine.num_waiting == 2
    assert of(samples, "vllm:prompt_tokens_total") == len(LOOP) + 4 + 7 + len(LOOP)
    assert of(samples, "vllm:generation_tokens_total") == engine.timing.num_output_tokens == 3 * 12 + 1
    assert of(samples, "vllm:request_success_total", finished_reason="length") == len(outputs) == 3
    for name in ("goes", "waits", "waits too"):
        engine.abort_request(name)
    samples, _ = scrape(url)
    assert of(samples, "vllm:request_success_total", finished_reason="abort") == 3
    assert of(samples, "vllm:num_requests_running") == of(samples, "vllm:num_requests_waiting") == 0
    for name in SHAPES.keys() - {"inter_token_latency_seconds"}:
        assert of(samples, f"vllm:{name}_count") == of(samples, f"vllm:{name}_bucket", le="+Inf") == 3, name
    assert of(samples, "vllm:e2e_request_latency_seconds_sum") == pytest.approx(sum(o.metrics.e2e for o in outputs))
    gaps = sum(len(output.metrics.deliveries) - 1 for output in outputs)
    assert of(samples, "vllm:inter_token_latency_seconds_count") == gaps


def test_counters_go_on_over_a_change_of_drafting(engine):
    url = engine.serve_metrics().url
    engine.generate([LOOP], GREEDY)
    drafts = engine.stats.num_drafts
    engine.configure_speculation({**NGRAM, "num_speculative_tokens": 5})
    engine.generate([LOOP], GREEDY)
    engine.reset()
    samples, _ = scrape(url)
    assert of(samples, "vllm:spec_decode_num_drafts_total") > drafts > engine.stats.num_drafts == 0
    total, first = "vllm:spec_decode_num_drafts_total", "spectune:spec_decode_num_draft_tokens_per_pos_total"
    assert of(samples, first, position="0") == of(samples, total)
    assert ("engine", "0") in {labels[0] for name, *labels in samples if name == first and ("position", "4") in labels}
    assert of(samples, "vllm:generation_tokens_total") == 24


def test_preemptions_and_the_use_of_the_cache(random_model):
    engine = load(random_model, kv_cache_tokens=64, max_model_len=64)
    url = engine.serve_metrics().url
    outputs = engine.generate([LOOP, LOOP[:15]], SamplingParams(max_tokens=40, temperature=0.0, ignore_eos=True))
    engine.add_request("runs", LOOP, GREEDY)
    engine.step()
    samples, _ = scrape(url)
    preempted = [output.metrics.num_preemptions for output in outputs]
    assert of(samples, "vllm:num_preemptions_total") == engine.num_preemptions == sum(preempted) > 0
    assert of(samples, "vllm:request_num_preemptions_sum") == sum(preempted)
    assert of(samples, "vllm:kv_cache_usage_perc") == engine.kv_cache_usage > 0
    engine.abort_request("runs")
    engine.reset()
    samples, _ = scrape(url)
    assert of(samples, "vllm:num_preemptions_total") == sum(preempted) > engine.num_preemptions == 0
    assert of(samples, "vllm:kv_cache_usage_perc") == 0
    engine.close()


def test_engines_share_a_port_and_are_told_apart(engine, random_model):
    other = load(random_model, metrics_port=0)
    url = engine.environment()["metrics_url"]
    assert other.environment()["metrics_url"] == url
    other.generate([LOOP], GREEDY)
    samples, _ = scrape(url)
    assert of(samples, "vllm:generation_tokens_total", "0") == 0
    assert of(samples, "vllm:generation_tokens_total", "1") == 12
    other.close()
    samples, _ = scrape(url)
    assert ("vllm:generation_tokens_total", ("engine", "1")) not in samples
    del other
    forgotten = load(random_model, metrics_port=0)
    del forgotten
    assert of(scrape(url)[0], "vllm:generation_tokens_total", "0") == 0


def test_closing_frees_the_port(random_model):
    engine = load(random_model)
    assert "metrics_url" not in engine.environment()
    place = engine.serve_metrics()
    engine.close()
    engine.close()
    with pytest.raises(URLError):
        urlopen(place.url, timeout=5)
    with socket.create_server(("127.0.0.1", place.port)):
        pass


@pytest.mark.parametrize("port", [-1, 65536, True, "9100", 1.5])
def test_what_is_no_port_is_refused_before_anything_is_loaded(tmp_path, port):
    with pytest.raises(ConfigError, match="metrics_port"):
        Engine.load(tmp_path / "nothing", metrics_port=port)


@pytest.mark.parametrize("host", [None, 4, "no such.address"])
def test_what_is_no_address_is_refused(tmp_path, host):
    with pytest.raises(ConfigError, match="metrics_"):
        Engine.load(tmp_path / "nothing", metrics_port=0, metrics_host=host)


def test_a_wrong_port_of_a_loaded_engine_leaves_the_old_one(engine):
    url = engine.environment()["metrics_url"]
    with pytest.raises(ConfigError, match="metrics_port=70000"):
        engine.serve_metrics(70000)
    assert scrape(url)


def test_a_port_in_use_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"metrics_port={port} .* another one, or 0 for any"):
            Engine.load(tmp_path / "nothing", metrics_port=port)
