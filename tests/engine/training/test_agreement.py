"""What a head promises in training it keeps in the engine: the same drafts are accepted, counted to the last one."""

import pytest
import torch

from engine import Engine, SamplingParams
from engine.training.acceptance import agreeing
from engine.training.features import Features
from engine.training.head_export import export_head, round_parameters
from engine.training.head_recipe import HeadRecipe
from engine.training.head_trainer import HeadTrainer
from engine.training.heads import methods
from engine.training.lessons import lesson

RECIPE = HeadRecipe(steps=60, warmup_steps=2, precision="fp32", report_steps=1000, evaluate_steps=1000)
K = 3


@torch.no_grad()
def promised(head, batch):
    """Drafts and accepted tokens by position; as in the engine, the last token of a request is never drafted."""
    drafts, accepted = 0, [0] * K
    for runs, known in zip(agreeing(head, batch, K).tolist(), batch.live(0).sum(1).tolist(), strict=True):
        place = 0
        while place < known - 1:
            run = min(runs[place], known - 1 - place)
            drafts += 1
            for position in range(run):
                accepted[position] += 1
            place += run + 1
    return drafts, accepted


@pytest.mark.parametrize("method", methods())
def test_the_engine_accepts_what_training_measured(method, make_head, features, rows, random_model, target, tmp_path):
    trainer = HeadTrainer(make_head(method), RECIPE, tmp_path / "run", {})
    trainer.run(features, [])
    export_head(trainer.head, tmp_path / "head")
    round_parameters(trainer.head)
    batch = Features(target, [lesson(rows)], trainer.head.boundaries, 0).get(0)
    drafts, accepted = promised(trainer.head, batch)
    config = {"method": method, "model": str(tmp_path / "head"), "num_speculative_tokens": K}
    engine = Engine.load(random_model, config, dtype="float32", device="cpu", num_threads=1, max_num_seqs=4)
    params = SamplingParams(temperature=0.0, max_tokens=24, ignore_eos=True)
    outputs = engine.generate([row.prompt for row in rows], params)
    assert [output.token_ids for output in outputs] == [row.answer for row in rows]
    assert engine.stats.num_drafts == drafts
    assert engine.stats.num_accepted_tokens_per_pos == accepted
    assert sum(accepted) > 0.2 * drafts
