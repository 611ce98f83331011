"""What the reader of speculative_config.json is told about fields that not every vLLM reads."""

from __future__ import annotations

import json

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from autotune import arms, dialect
from autotune.compose import resolve
from autotune.overrides import CONF
from autotune.tracking.flatten import flat
from engine import proposers
from engine.speculative_config import CONTROL_FIELDS, field_names


def test_every_kind_of_field_has_one_sentence() -> None:
    config = {
        "method": "ngram",
        "num_speculative_tokens": 4,
        "adaptive": True,
        "adaptive_window": 8,
        "num_speculative_tokens_per_batch_size": [[1, 4, 5]],
        "disable_by_batch_size": 8,
    }
    ours, later, earlier = dialect.notes(config)
    assert ours.startswith("Only this project's engine reads adaptive, adaptive_window: remove it")
    assert later == "Only releases of vLLM after 0.12 read num_speculative_tokens_per_batch_size."
    assert earlier == "Only releases of vLLM before 0.18 read disable_by_batch_size."


def test_bits_that_vllm_does_not_know_are_told() -> None:
    assert dialect.notes({"quantization": "int4"}) == [
        "Of the values of quantization vLLM reads fp8, and neither int8 nor int4."
    ]


def test_a_plain_config_needs_no_word() -> None:
    assert dialect.notes({"method": "eagle3", "num_speculative_tokens": 4, "model": "folder"}) == []
    assert dialect.notes(None) == []


def test_the_fields_exist() -> None:
    assert set(CONTROL_FIELDS) <= set(dialect.WHERE) <= set(field_names())


def test_a_schedule_goes_from_the_command_line_through_json_and_tracking_to_the_engine() -> None:
    override = "method.num_speculative_tokens_per_batch_size=[[1,4,5],[5,8,2]]"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=["method=ngram", override]), resolve=True)
    config.pop("experiment", None)
    given = json.loads(json.dumps(arms.speculative_config(resolve(config), {})))
    name = "num_speculative_tokens_per_batch_size"
    assert given[name] == [[1, 4, 5], [5, 8, 2]]
    assert proposers.resolve(given).num_speculative_tokens_per_batch_size == ((1, 4, 5), (5, 8, 2))
    assert dict(flat({"method": given}))[f"method.{name}"] == [[1, 4, 5], [5, 8, 2]]


def test_vllm_is_started_on_as_many_gpus_as_were_measured_on():
    assert dialect.serve_command({}, "a.json") == 'vllm serve MODEL --speculative-config "$(cat a.json)"'
    two = dialect.serve_command({"tensor_parallel_size": 2}, "a.json")
    assert two == 'vllm serve MODEL --tensor-parallel-size 2 --speculative-config "$(cat a.json)"'
