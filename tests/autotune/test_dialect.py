"""What the reader of speculative_config.json is told about fields that not every vLLM reads."""

from __future__ import annotations

from autotune import dialect
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


def test_a_plain_config_needs_no_word() -> None:
    assert dialect.notes({"method": "eagle3", "num_speculative_tokens": 4, "model": "folder"}) == []
    assert dialect.notes(None) == []


def test_the_fields_exist() -> None:
    assert set(CONTROL_FIELDS) <= set(dialect.WHERE) <= set(field_names())
