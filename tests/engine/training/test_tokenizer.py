"""Any text survives; digits are single; the chat template gives the ids that training saw."""

import pytest
from transformers import AutoTokenizer

from engine.training.documents import Encoder
from engine.training.tokenizer import save_tokenizer, train_tokenizer

TEXTS = [
    "",
    "plain words",
    " two  spaces\n\n\tand tabs ",
    "naïve — “quotes” … 東京 🙂\x00\x7f",
    "x = {'a': [1, 22, 333]}\n    return\n",
]
CHAT = [("system", "Be short."), ("user", "How much is 12 + 30?"), ("assistant", "42")]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    trained = train_tokenizer(["How much is 12 + 30? Be short. plain words"] * 20, 320)
    save_tokenizer(trained, folder, 2048)
    return trained, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip(tokenizers, text):
    _, loaded = tokenizers
    assert loaded.decode(loaded.encode(text, add_special_tokens=False)) == text


def test_digits_are_single(tokenizers):
    _, loaded = tokenizers
    assert loaded.tokenize("30 12") == ["3", "0", "Ġ", "1", "2"]


def test_plain_text_begins_with_bos(tokenizers):
    _, loaded = tokenizers
    assert loaded("plain").input_ids[0] == loaded.bos_token_id == 0
    assert loaded.eos_token_id == 1


def test_the_chat_template_is_the_training_format(tokenizers):
    trained, loaded = tokenizers
    row = Encoder(trained, 0.2, 500)(CHAT)
    messages = [{"role": role, "content": text} for role, text in CHAT]
    assert loaded.apply_chat_template(messages, return_dict=False) == row.ids
    prompt = loaded.apply_chat_template(messages[:2], add_generation_prompt=True, return_dict=False)
    assert row.ids[: len(prompt)] == prompt
    assert row.weights[len(prompt) :] == [1.0] * (len(row.ids) - len(prompt))
    assert set(row.weights[: len(prompt)]) == {0.0, 0.2}
