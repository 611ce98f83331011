"""The whole way on this project's own engine, with a small random Llama: real tokens, real timing, lossless."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = ("workload.num_prompts=3", "workload.num_confirm_prompts=3", "workload.max_tokens=24", "tracking=none")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of random weights, and a byte-level tokenizer without merges."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llama")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, intermediate_size=128, max_position_embeddings=2048,
                         bos_token_id=0, eos_token_id=1)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_study(model: Path, commands) -> None:
    done = commands.run(f"model={model}", *SMALL, "study.n_trials=2")
    assert done.status == 0, done.err
    assert done.line["lossless"] is True
    assert done.line["trials"]["complete"] >= 1
    assert done.line["environment"]["dtype"] == "float32"
    assert done.line["metrics"]["num_drafts"] > 0
    assert all(trial["lossless"]["compared_tokens"] > 0 for trial in done.trials)


@pytest.mark.parametrize(
    "words",
    [
        ("workload.temperature=0.8", "method.prompt_lookup_min=1"),
        ("load=closed_loop", "load.concurrency=3", "load.confirm_passes=3"),
    ],
    ids=["sampled", "busy"],
)
def test_a_bench_is_lossless(model: Path, commands, words: tuple[str, ...]) -> None:
    done = commands.run(f"model={model}", *SMALL, *words, module="autotune.bench")
    assert done.status == 0, done.err
    assert done.line["lossless"] is True
    assert done.line["metrics"]["num_draft_tokens"] > 0
