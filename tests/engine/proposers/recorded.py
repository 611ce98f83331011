"""Runs an engine and notes every draft that its proposer made."""

from typing import NamedTuple

from engine import SamplingParams, noise


class Call(NamedTuple):
    tokens: list[int]  # of the request when it was drafted for
    drafted: list[int]
    accepted: int
    seed: int
    temperature: float

    def pick(self, logits, depth):
        """The token that the request's drafter picks at `depth`: greedy, or with the target's own noise."""
        if self.temperature == 0:
            return int(logits.argmax())
        key = noise.key(self.seed, len(self.tokens) + depth)
        return int((logits.double() / self.temperature + noise.gumbel([key], len(logits), logits.device)[0]).argmax())


def record(engine, prompts, max_tokens=24, temperature=0.0):
    """Serve the prompts; returns the calls and the outputs."""
    notes, calls, proposer = [], [], engine._proposer
    propose = proposer.propose

    def noting(sequences, limits):
        draft = propose(sequences, limits)
        node = 0
        for sequence, count in zip(sequences, draft.counts, strict=True):
            if count:
                notes.append((sequence.request_id, list(sequence.tokens), draft.tokens[node : node + count], sequence))
            node += count
        return draft

    proposer.propose = noting
    params = [
        SamplingParams(max_tokens=max_tokens + i, temperature=temperature, seed=i, ignore_eos=True)
        for i in range(len(prompts))
    ]
    try:
        outputs = engine.generate(prompts, params)
    finally:
        proposer.propose = propose
    for _, tokens, drafted, sequence in notes:
        true = sequence.tokens[len(tokens) : len(tokens) + len(drafted)]
        agreed = [a == b for a, b in zip(drafted, true, strict=False)]
        accepted = agreed.index(False) if False in agreed else len(agreed)
        calls.append(Call(tokens, drafted, accepted, sequence.seed, temperature))
    return calls, outputs
