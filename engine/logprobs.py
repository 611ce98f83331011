"""Log-probabilities of emitted tokens under the raw model, before any processing."""

from collections.abc import Sequence as Sequences

from torch import Tensor


def token_logprobs(logits: Tensor, tokens: Sequences[int], num_best: int) -> list[dict[int, float]]:
    """logits [len(tokens), V] -> per token {id: log-probability} of itself and of the `num_best` most likely."""
    values = logits.log_softmax(-1)
    best = values.topk(num_best) if num_best else None
    entries = []
    for j, token in enumerate(tokens):
        entry = {token: values[j, token].item()}
        if best is not None:
            entry |= dict(zip(best.indices[j].tolist(), best.values[j].tolist(), strict=True))
        entries.append(entry)
    return entries
