"""Train an embedded model, or a draft head for any model; the same command continues a run that was cut off.

`python -m autotune.train method=none model=tiny [train.recipe.tokens=...]` trains the embedded target,
`python -m autotune.train method=eagle3 model=tiny [workload=mixed] [train.recipe.steps=...]` a head
(autotune/train_head.py).
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from tokenizers import Tokenizer

from autotune import corpus
from autotune.errors import UsageError
from engine.training import heads
from engine.training.documents import Batch, Encoder, Row, batches, collate
from engine.training.export import export
from engine.training.network import Shape
from engine.training.recipe import Recipe
from engine.training.tokenizer import save_tokenizer, train_tokenizer
from engine.training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    method = str(OmegaConf.from_dotlist([word for word in arguments if word.startswith("method=")]).get("method"))
    if method in heads.methods():
        from autotune import train_head

        return train_head.main(method, arguments)
    return train_target(arguments)


def train_target(arguments: list[str]) -> int:
    config = load(arguments)
    shape, recipe = Shape(**config.shape), Recipe(**config.recipe)
    torch.set_num_threads(recipe.threads)
    folder, target = ROOT / config.folder, ROOT / config.export
    tokenizer = the_tokenizer(config, folder, shape)
    save_tokenizer(tokenizer, target, shape.max_positions)
    encoder = Encoder(tokenizer, recipe.prompt_weight, recipe.max_length)
    trainer = Trainer(shape, recipe, folder)
    print(f"resuming at step {trainer.step}" if trainer.resume() else "starting", flush=True)
    checks = {task: evaluation(encoder, task, config.held_out_documents) for task in config.mixture}
    trainer.run(
        training(config, encoder, recipe), checks, lambda network: export(network, target, encoder.bos, encoder.eos)
    )
    record(config, trainer, target)
    print(f"exported to {target}; next: python -m autotune.evaluate model={config.export}", flush=True)
    return 0


def record(config: DictConfig, trainer: Trainer, target: Path) -> None:
    """training.json and loss.csv beside the weights, for the model card."""
    total = sum(config.mixture.values())
    found = {
        "name": target.name,
        "shape": asdict(trainer.network.shape),
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        "mixture": {task: share / total for task, share in config.mixture.items()},
        "recipe": asdict(trainer.recipe),
        "note": config.note,
        "steps": trainer.step,
        "tokens": trainer.tokens,
        "minutes": trainer.seconds / 60,
        "python": platform.python_version(),
        "cpu": platform.processor() or platform.machine(),
    }
    (target / "training.json").write_text(json.dumps(found, indent=2) + "\n")
    trainer.curve.write(target / "loss.csv")


def load(arguments: list[str]) -> DictConfig:
    """conf/train/<model>.yaml with `train.key=value` from the command line; UsageError for what it does not know."""
    given = OmegaConf.from_dotlist(arguments)
    method, model = given.pop("method", "none"), given.pop("model", "tiny")
    known = sorted({path.stem for path in (ROOT / "conf" / "train").glob("*.yaml")} - set(heads.methods()))
    if method != "none" or model not in known:
        raise UsageError(
            f"cannot train method={method} model={model}; allowed: method=none model={'|'.join(known)}, "
            f"or a head: method={'|'.join(heads.methods())} with any model"
        )
    changes = given.pop("train", {})
    if given:
        raise UsageError(f"unknown argument {next(iter(given))!r}; allowed: method, model, train.KEY")
    defaults = OmegaConf.create({"recipe": asdict(Recipe()), "shape": asdict(Shape())})
    config = OmegaConf.merge(defaults, OmegaConf.load(ROOT / "conf" / "train" / f"{model}.yaml"))
    OmegaConf.set_struct(config, True)
    try:
        return OmegaConf.merge(config, changes)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UsageError(f"{str(error).splitlines()[0]}; allowed: the keys of conf/train/{model}.yaml") from error


def the_tokenizer(config: DictConfig, folder: Path, shape: Shape) -> Tokenizer:
    """The tokenizer of an earlier start, or a new one from the first documents of the corpus."""
    path = folder / "tokenizer.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        found = islice(corpus.documents(config.mixture, 0.0, seed=1), config.tokenizer_documents)
        train_tokenizer((text for _, turns in found for _, text in turns), shape.vocab_size).save(str(path))
    return Tokenizer.from_file(str(path))


def training(config: DictConfig, encoder: Encoder, recipe: Recipe) -> Iterator[Batch]:
    return batches(rows(config, encoder), recipe.tokens_per_batch, encoder.eos, recipe.seed)


def rows(config: DictConfig, encoder: Encoder) -> Iterator[Row]:
    for task, turns in corpus.documents(config.mixture, config.joined, config.recipe.seed):
        yield encoder(turns, prompt_weight=corpus.PROMPT_WEIGHTS.get(task))


def evaluation(encoder: Encoder, task: str, number: int) -> list[Batch]:
    """Batches of held-out documents in which only the answers count."""
    found = [encoder(turns, prompt_weight=0.0) for turns in corpus.held_out(task, number)]
    return [collate(found[start : start + 6], encoder.eos) for start in range(0, number, 6)]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
