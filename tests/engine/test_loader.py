"""Weights: every file format gives the same tensors, and whatever does not fit is refused by name."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import ConfigError
from engine.models.dummy import DummyWeights
from engine.models.loader import Weights

CPU = torch.device("cpu")
TENSORS = {"fc.weight": torch.randn(4, 8), "d2t": torch.arange(4), "t2d": torch.tensor([True, False, True])}
SHARDS = {"one": ("fc.weight",), "two": ("d2t", "t2d")}


def save(folder, kind, tensors=TENSORS):
    """Write `tensors` in one of the formats below."""
    suffix = "safetensors" if "safetensors" in kind else "bin"
    write = save_file if suffix == "safetensors" else torch.save
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    if not kind.startswith("sharded"):
        write(
            dict(tensors),
            folder / f"{stem}.{suffix}",
            **({"_use_new_zipfile_serialization": False} if kind == "old bin" else {}),
        )
        return
    for shard, names in SHARDS.items():
        write({name: tensors[name] for name in names}, folder / f"{shard}.{suffix}")
    weight_map = {name: f"{shard}.{suffix}" for shard, names in SHARDS.items() for name in names}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("kind", ["safetensors", "sharded safetensors", "bin", "old bin", "sharded bin"])
def test_every_format_gives_the_same_tensors(tmp_path, kind):
    save(tmp_path, kind)
    weights = Weights(tmp_path)
    assert weights.names() == sorted(TENSORS)
    assert weights.shape("fc.weight") == (4, 8)
    assert weights.has("d2t")
    assert not weights.has("fc.bias")
    for name, tensor in TENSORS.items():
        assert torch.equal(weights.take(name, tuple(tensor.shape), tensor.dtype, CPU), tensor)
    weights.finish()


def test_a_file_name_of_its_own(tmp_path):
    torch.save({"0.1.weight": torch.ones(2, 3)}, tmp_path / "medusa_lm_head.pt")
    weights = Weights(tmp_path, files=("medusa_lm_head.safetensors", "medusa_lm_head.pt"))
    assert weights.names() == ["0.1.weight"]
    with pytest.raises(ConfigError, match=r"holds no weights: expected one of model\.safetensors\.index\.json, "):
        Weights(tmp_path)


def test_a_prefix_is_stripped_and_must_not_make_two_tensors_one(tmp_path):
    save_file({"speculator.emb.0.weight": torch.ones(2, 2), "head": torch.ones(1)}, tmp_path / "model.safetensors")
    assert Weights(tmp_path, strip=("speculator.",)).names() == ["emb.0.weight", "head"]
    save_file({"speculator.head": torch.ones(1), "head": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"both head and speculator\.head, which are one tensor"):
        Weights(tmp_path, strip=("speculator.",))


def test_what_does_not_fit_is_named(tmp_path):
    save(tmp_path, "safetensors")
    weights = Weights(tmp_path)
    with pytest.raises(ConfigError, match=r"tensor norm\.weight is missing"):
        weights.take("norm.weight", (4,), torch.float32, CPU)
    with pytest.raises(ConfigError, match=r"tensor fc.weight .* has shape \(4, 8\): config.json asks for \(4, 4\)"):
        weights.take("fc.weight", (4, 4), torch.float32, CPU)
    with pytest.raises(ConfigError, match=r"tensor d2t .* is torch.int64, which cannot stand for torch.float32"):
        weights.take("d2t", (4,), torch.float32, CPU)
    with pytest.raises(ConfigError, match=r"no place for: d2t, fc.weight, t2d"):
        weights.finish()
    weights.finish(skips=("d2t", "fc.", "t2d"))


@pytest.mark.parametrize("kind", ["sharded safetensors", "sharded bin"])
def test_shards_are_complete_and_hold_nothing_twice(tmp_path, kind):
    save(tmp_path, kind)
    suffix = kind.split()[1]
    index = next(tmp_path.glob("*.index.json"))
    good = json.loads(index.read_text())["weight_map"]
    for wrong, message in (
        (good | {"norm": f"one.{suffix}"}, "tensor norm is not in .*one"),
        (good | {"norm": f"three.{suffix}"}, "three.* is missing"),
        (good | {"norm": f"../one.{suffix}"}, "must be the name of a file beside it"),
        ([], "no mapping"),
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(ConfigError, match=message):
            Weights(tmp_path)
    index.write_text("{}")
    with pytest.raises(ConfigError, match="no index of weights"):
        Weights(tmp_path)
    index.write_text(json.dumps({"weight_map": good}))
    (save_file if suffix == "safetensors" else torch.save)(
        {"fc.weight": torch.ones(1), "d2t": torch.ones(1), "t2d": torch.ones(1)}, tmp_path / f"two.{suffix}"
    )
    with pytest.raises(ConfigError, match=r"holds tensor fc.weight twice \(the second in two"):
        Weights(tmp_path)


class Malicious:
    """Unpickling it runs a command."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_checkpoint_is_run(tmp_path, zipped):
    witness = tmp_path / "ran"
    content = {"fc.weight": torch.ones(1), "evil": Malicious(witness)}
    torch.save(content, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConfigError, match="no code of a checkpoint is run") as caught:
        Weights(tmp_path)
    assert "\n" not in str(caught.value)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds a list: it must be a mapping"),
        ({"model": {"fc.weight": torch.ones(1)}}, "holds 'model', a .*: every entry must be a named tensor"),
        ({0: torch.ones(1)}, "holds 0, a Tensor"),
    ],
)
def test_a_state_dict_is_names_and_tensors(tmp_path, content, message):
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=message):
        Weights(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 torn"])
def test_a_torn_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Weights(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_part_is_read_and_goes_where_it_is_told(tmp_path):
    save(tmp_path, "safetensors")
    for opened in (Weights(tmp_path), DummyWeights(tmp_path)):
        whole = opened.take("fc.weight", (4, 8), torch.float32, CPU)
        part = opened.take("fc.weight", (4, 8), torch.float32, CPU, part=(slice(1, 3), slice(4, 8)))
        assert torch.equal(part, whole[1:3, 4:8])
        assert part.is_contiguous()
        place = torch.full((2, 2, 6), torch.nan, dtype=torch.float32)
        into = place[:, :, 1:5]
        assert opened.take("fc.weight", (4, 8), torch.float32, CPU, (slice(1, 3), slice(0, 8)), into) is into
        assert torch.equal(into.reshape(2, 8), whole[1:3])
        assert place.isnan().sum() == 8
    with pytest.raises(ConfigError, match="asks for"):
        Weights(tmp_path).take("fc.weight", (2, 8), torch.float32, CPU, part=(slice(0, 2),))
