"""Readings as Prometheus metrics, under vLLM's names and labels where it has the like."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from engine.metrics.served import REASONS, SHAPES
from engine.metrics.totals import Counts, Drafting, Reading

LABELS = ("model_name", "engine")
COUNTERS: dict[str, tuple[str, Callable[[Counts], int]]] = {
    "vllm:spec_decode_num_drafts": ("Drafts made.", lambda counts: counts.spec.num_drafts),
    "vllm:spec_decode_num_draft_tokens": ("Tokens drafted.", lambda counts: counts.spec.num_draft_tokens),
    "vllm:spec_decode_num_accepted_tokens": (
        "Drafted tokens that the target accepted.",
        lambda counts: counts.spec.num_accepted_tokens,
    ),
    "vllm:prompt_tokens": ("Prompt tokens computed.", lambda counts: counts.prompt_tokens),
    "vllm:generation_tokens": ("Tokens generated.", lambda counts: counts.generation_tokens),
    "vllm:num_preemptions": ("Running requests that had to make room.", lambda counts: counts.num_preemptions),
}
BY_POSITION: dict[str, tuple[str, Callable[[Counts], list[int]]]] = {
    "vllm:spec_decode_num_accepted_tokens_per_pos": (
        "Drafts of which a token at this position was accepted.",
        lambda counts: counts.spec.num_accepted_tokens_per_pos,
    ),
    "spectune:spec_decode_num_draft_tokens_per_pos": (
        "Drafts that had a token at this position; a level of a tree is one position.",
        lambda counts: counts.spec.num_draft_tokens_per_pos,
    ),
}
GAUGES: dict[str, tuple[str, Callable[[Reading], float]]] = {
    "vllm:num_requests_running": ("Requests in the batch.", lambda reading: reading.num_running),
    "vllm:num_requests_waiting": ("Requests that wait for a place.", lambda reading: reading.num_waiting),
    "vllm:kv_cache_usage_perc": (
        "Share of the cache that running requests use, from 0 to 1.",
        lambda reading: reading.kv_cache_usage,
    ),
}


class ReadingsCollector(Collector):
    """Asks for the readings at every scrape."""

    def __init__(self, read: Callable[[], Sequence[Reading]]):
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return families(self._read())


def text(readings: Sequence[Reading]) -> str:
    """The text format, as a scrape would bring it."""
    registry = CollectorRegistry()
    registry.register(ReadingsCollector(lambda: readings))
    return generate_latest(registry).decode()


def families(readings: Sequence[Reading]) -> Iterator[Metric]:
    """One family a metric, with the samples of all readings."""
    yield from _counters(readings)
    yield _finished(readings)
    yield _config(readings)
    for name, (words, value) in GAUGES.items():
        gauge = GaugeMetricFamily(name, words, labels=LABELS)
        for reading in readings:
            gauge.add_metric(_labels(reading), value(reading))
        yield gauge
    yield from _histograms(readings)


def _counters(readings: Sequence[Reading]) -> Iterator[Metric]:
    for name, (words, value) in COUNTERS.items():
        family = CounterMetricFamily(name, words, labels=LABELS)
        for reading in readings:
            family.add_metric(_labels(reading), value(reading.counts))
        yield family
    for name, (words, values) in BY_POSITION.items():
        family = CounterMetricFamily(name, words, labels=(*LABELS, "position"))
        for reading in readings:
            for position, count in enumerate(values(reading.counts)):
                family.add_metric([*_labels(reading), str(position)], count)
        yield family


def _finished(readings: Sequence[Reading]) -> Metric:
    family = CounterMetricFamily("vllm:request_success", "Requests that ended.", labels=(*LABELS, "finished_reason"))
    for reading in readings:
        for reason in REASONS:
            family.add_metric([*_labels(reading), reason], reading.served.reasons[reason])
    return family


def _config(readings: Sequence[Reading]) -> Metric:
    """As a label, so that nobody takes synthetic acceptance for a draft's merit."""
    words = "How the engine drafts; whose law its output has: target, lossy or synthetic."
    labels = (*LABELS, *Drafting._fields)
    family = GaugeMetricFamily("spectune:spec_decode_config_info", words, labels=labels)
    for reading in readings:
        family.add_metric([*_labels(reading), *reading.drafting], 1)
    return family


def _histograms(readings: Sequence[Reading]) -> Iterator[Metric]:
    for name, shape in SHAPES.items():
        family = HistogramMetricFamily(f"vllm:{name}", shape.help, labels=LABELS)
        for reading in readings:
            found = reading.served.histograms[name]
            family.add_metric(_labels(reading), found.cumulative(), found.total)
        yield family


def _labels(reading: Reading) -> list[str]:
    return [reading.model_name, reading.engine]
