"""Plain torch: the specification of the kernel."""

from torch import Tensor


def ngram_lookup(tokens: Tensor, lengths: Tensor, low: int, high: int, num_tokens: int) -> tuple[Tensor, Tensor]:
    """tokens [B, L] with lengths [B] -> drafts [B, num_tokens], padded with -1, and counts [B].

    The longest n in [low, high] for which the last n tokens occurred before, ending earlier, wins; among its
    occurrences the earliest. The draft is what followed that one, up to the end of the text.
    """
    drafts = tokens.new_full((tokens.shape[0], num_tokens), -1)
    counts = lengths.new_zeros(tokens.shape[0])
    for row, length in enumerate(lengths.tolist()):
        text = tokens[row, : max(length, 0)]
        end = _first_end(text, low, high)
        found = text[end : end + num_tokens] if end else text[:0]
        drafts[row, : len(found)] = found
        counts[row] = len(found)
    return drafts, counts


def _first_end(text: Tensor, low: int, high: int) -> int:
    """Where the earliest occurrence of the longest suffix ends; 0 if there is none."""
    for n in range(min(high, len(text) - 1), low - 1, -1):
        matches = (text[:-1].unfold(0, n, 1) == text[-n:]).all(1).nonzero()
        if len(matches):
            return int(matches[0]) + n
    return 0
