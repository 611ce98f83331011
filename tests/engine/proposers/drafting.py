"""Every draft of a served batch beside the draft that a slow reference makes of the same tokens.

What the engine verifies is steered: a chosen number of drafted tokens is replaced by what the target will say, so that
all, some or none are accepted, whatever the random weights draft.
"""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from engine import Engine, SamplingParams
from engine.draft import Draft
from tests.engine.conftest import save_model


class Made(NamedTuple):
    """A request's tokens when it was asked for a draft of at most `limit` tokens, and the draft."""

    tokens: list[int]
    limit: int
    drafted: list[int]
    probs: torch.Tensor | None  # q of every drafted token


Choose = Callable[[int, torch.Tensor], int]
Reference = Callable[[list[int], int, Choose], None]  # of (tokens, limit): asks for a token a step, given its logits
PROMPT_LENGTHS, LENGTHS, VOCAB = (41, 7, 30), (34, 21, 90), 96


def hidden_states(model: torch.nn.Module, tokens: list[int]) -> torch.Tensor:
    """[len(tokens), H] after the final norm, by transformers, from nothing."""
    with torch.inference_mode():
        return model.model(torch.tensor([tokens])).last_hidden_state[0]


def target_of(folder: Path, **overrides) -> torch.nn.Module:
    return save_model(folder, seed=3, **overrides)


def drive(
    target: Path, settings: dict, batch: int, seed: int = 0, prompt_lengths: tuple[int, ...] = PROMPT_LENGTHS
) -> list[Made]:
    """Serve three requests with steered acceptance, prompts in chunks of 16; every draft that was made on the way.

    The requests sample, for the greedy text of a random model soon stands still; their drafts are greedy all the same.
    """
    made: list[Made] = []
    serve_steered(
        target, settings, batch, lambda engine, truth, rng: steer(engine, truth, made, rng), seed, prompt_lengths
    )
    return made


def serve_steered(
    target: Path,
    settings: dict,
    batch: int,
    take_over: Callable[[Engine, list[list[int]], random.Random], None],
    seed: int = 0,
    prompt_lengths: tuple[int, ...] = PROMPT_LENGTHS,
    lengths: tuple[int, ...] = LENGTHS,
) -> None:
    """Serve without speculation, then with; take_over(engine, truth, rng) changes what is verified in between."""
    rng = random.Random(seed)
    prompts = [[1, *(rng.randrange(3, VOCAB) for _ in range(count - 1))] for count in prompt_lengths]
    wishes = [SamplingParams(max_tokens=count, temperature=1.0, seed=count, ignore_eos=True) for count in lengths]
    engine = Engine.load(target, None, max_num_seqs=batch, num_threads=1, max_num_batched_tokens=16)
    truth = [[*p, *output.token_ids] for p, output in zip(prompts, engine.generate(prompts, wishes), strict=True)]
    engine.configure_speculation(settings)
    take_over(engine, truth, rng)
    outputs = engine.generate(prompts, wishes)
    assert [[*p, *output.token_ids] for p, output in zip(prompts, outputs, strict=True)] == truth
    assert 0 < engine.stats.num_accepted_tokens < engine.stats.num_draft_tokens


def steer(engine: Engine, truth: list[list[int]], made: list[Made], rng: random.Random) -> None:
    propose = engine._proposer.propose

    def steered(sequences, limits):
        draft = propose(sequences, limits)
        ends = list(itertools.accumulate(draft.counts))
        tokens = []
        for sequence, limit, count, end in zip(sequences, limits, draft.counts, ends, strict=True):
            probs = None if draft.probs is None else draft.probs[end - count : end]
            made.append(Made(list(sequence.tokens), limit, list(draft.tokens[end - count : end]), probs))
            told = next(full for full in truth if full[: len(sequence.tokens)] == sequence.tokens)
            right = told[len(sequence.tokens) :][:count]
            taken = rng.randint(0, count)
            tokens += right[:taken] + [(token + 1) % VOCAB for token in right[taken:]]
        return Draft(tokens, draft.counts)  # one-hot: what was replaced was not drawn from q

    engine._proposer.propose = steered


def check(made: list[Made], reference: Reference) -> None:
    """Every draft is the reference's, token for token."""
    assert len(made) > 15
    assert sum(len(one.drafted) for one in made) > 40
    for one in made:
        expected: list[int] = []

        def best(step: int, logits: torch.Tensor, into: list[int] = expected) -> int:
            into.append(int(logits.argmax()))
            return into[step]

        with torch.no_grad():
            reference(one.tokens, one.limit, best)
        assert one.drafted == expected, f"at {len(one.tokens)} tokens"


def check_probs(made: list[Made], reference: Reference) -> None:
    """Every q is the softmax of the reference's logits after the tokens that were drafted before."""
    assert sum(len(one.drafted) for one in made) > 40
    for one in made:

        def same(step: int, logits: torch.Tensor, one: Made = one) -> int:
            assert torch.allclose(one.probs[step].float(), logits.softmax(-1), atol=1e-4)
            assert one.probs[step, one.drafted[step]] > 0
            return one.drafted[step]

        with torch.no_grad():
            reference(one.tokens, one.limit, same)
