"""Model-free trees under verification, without an engine: whatever is drafted, the target's own text comes out."""

import zlib

import pytest

from engine.drafting.host import Host
from engine.drafting.kept import Proposers
from engine.outputs import RequestMetrics
from engine.proposers import resolve
from engine.replay import NO_LIMIT, Unlimited
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence
from engine.tree import flat
from engine.verify_tree import verify_tree
from tests.engine.tree.shapes import STATIC_SHAPES

LENGTH = 120
WINDOWS = {"ngram": {"prompt_lookup_min": 1, "prompt_lookup_max": 3}, "suffix": {}}


def target(tokens):
    """What follows: the token 8 places before, now and then another one."""
    hashed = zlib.crc32(bytes(tokens[-2:]) + bytes([len(tokens) % 7]))
    return tokens[-8] if len(tokens) >= 8 and hashed % 5 else hashed // 5 % 6


def started(name, prompt):
    params = SamplingParams(temperature=0.0)
    return Sequence(name, list(prompt), len(prompt), params, 0, NO_LIMIT, RequestMetrics(0.0), slot=0)


def plain(prompt):
    tokens = list(prompt)
    while len(tokens) < LENGTH:
        tokens.append(target(tokens))
    return tokens


def step(proposer, sequences):
    """Draft for all, verify, and extend; returns the accepted tokens of each."""
    draft = proposer.propose(sequences, [LENGTH] * len(sequences))
    choices, first = [], 0
    for sequence, count in zip(sequences, draft.counts, strict=True):
        nodes = slice(first, first + count)
        parents = list(range(-1, count - 1)) if draft.parents is None else draft.parents[nodes]
        paths = [[draft.tokens[nodes][i] for i in flat.path(parents, node)] for node in range(-1, count)]
        choices += [target(sequence.tokens + path) for path in paths]
        first += count
    verification = verify_tree(draft, choices)
    for sequence, emitted in zip(sequences, verification.emitted, strict=True):
        sequence.tokens += emitted
    return verification.num_accepted


@pytest.mark.parametrize("shape", STATIC_SHAPES)
@pytest.mark.parametrize("method", ["ngram", "suffix"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_text_is_the_targets_own(method, shape, batch):
    config = resolve({"method": method, "speculative_token_tree": STATIC_SHAPES[shape]} | WINDOWS[method])
    proposer = Proposers(Host(Unlimited(), num_slots=batch)).use(config)
    prompts = [[1, 2, 3, number, 4, 5, 0, 1] for number in range(batch)]
    sequences = [started(f"r{number}", prompt) for number, prompt in enumerate(prompts)]
    accepted = 0
    while min(map(len, sequences)) < LENGTH:
        accepted += sum(step(proposer, sequences))
    for prompt, sequence in zip(prompts, sequences, strict=True):
        assert sequence.tokens[:LENGTH] == plain(prompt)
    assert accepted > 20 * batch
