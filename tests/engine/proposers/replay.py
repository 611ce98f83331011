"""Drive a drafting method along recorded continuations, as shared/facts/drafting_counts.json defines it, and count."""

from collections.abc import Callable, Iterable

Recorded = Iterable[tuple[list[int], list[int]]]


def replay(sequences: Recorded, k: int, new_request: Callable[[list[int]], Callable[[list[int]], list[int]]]) -> dict:
    """`new_request(prompt)` gives what drafts from the tokens so far. The first output token is undrafted."""
    drafts = drafted = steps = 0
    per_position = [0] * k
    for prompt, output in sequences:
        propose, tokens, done = new_request(prompt), [*prompt, output[0]], 1
        while done < len(output):
            draft, accepted = propose(tokens), 0
            while accepted < min(len(draft), len(output) - done) and draft[accepted] == output[done + accepted]:
                per_position[accepted] += 1
                accepted += 1
            steps, drafts, drafted = steps + 1, drafts + bool(draft), drafted + len(draft)
            tokens += output[done : done + accepted + 1]
            done += accepted + 1
    return {
        "num_drafts": drafts,
        "num_draft_tokens": drafted,
        "num_accepted_tokens": sum(per_position),
        "steps": steps,
        "accepted_per_pos": per_position,
    }
