"""Rules about what is drafted: is it right, is there enough of it, is it too long."""

from __future__ import annotations

from autotune.console.words import number, percent
from autotune.diagnosis.again import value_of
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.seen import K, Seen

# Published EAGLE-3 heads have 0.65 to 0.73 at the first position on MT-bench (vLLM's CI), ours 0.4 to 0.95 by workload.
LOW_FIRST = 0.5
FEW = 0.5  # of the steps
SHORTER, LONGER = 0.85, 1.5  # of what a drafted token must be worth: the break-even point itself is not exact
CONVENTION, LOOKUP, CERTAINTY = "aux_layer_convention", "prompt_lookup_min", "suffix_decoding_min_token_prob"
SAMPLE = "draft_sample_method"
TRAIN = "autotune.train"


def first_position(seen: Seen) -> Finding | None:
    """Most drafts are wrong at once: no length mends that."""
    if not seen.drafted or not seen.positions or seen.positions[0] >= LOW_FIRST:
        return None
    first = percent(seen.positions[0])
    found = f"Only {first} of the drafts have their first token accepted, and what comes after a wrong one is lost."
    because, command = _wrong_head(seen) if seen.trained else _wrong_text(seen)
    return Finding("first_position", f"{found} {because}", {"first_position": seen.positions[0]}, command)


def _wrong_head(seen: Seen) -> tuple[str, str]:
    because = "The usual reasons: a head for another checkpoint, another chat template, or text unlike what it learned."
    if seen.config.get(CONVENTION, "") is None:
        because += " Layer ids counted the other way look the same: output stays right, acceptance collapses."
        return because, seen.command(f"method.{CONVENTION}=output", module="autotune.bench")
    model = value_of(seen.command_line, "model", seen.model)
    return because, f"python -m {TRAIN} method={seen.method} model={model} workload={seen.workload}"


def _wrong_text(seen: Seen) -> tuple[str, str]:
    because = "The text repeats too little, or too short a run of tokens counts as a match."
    shortest = seen.config.get(LOOKUP)
    if shortest and LOOKUP not in seen.searched and shortest < (seen.config.get("prompt_lookup_max") or shortest):
        return because, seen.command(f"method.{LOOKUP}={shortest + 1}")
    certain = seen.config.get(CERTAINTY)
    if certain is not None and CERTAINTY not in seen.searched and certain < 0.5:
        return because, seen.command(f"method.{CERTAINTY}=0.5")
    return f"{because} A trained head does not need repetition.", seen.command("method=auto", module="autotune")


def sampled_requests(seen: Seen) -> Finding | None:
    """A greedy draft against sampled requests is right at most as often as the likeliest token is drawn."""
    if not seen.temperature or not seen.drafted or seen.config.get(SAMPLE, "") is not None:
        return None
    if not seen.positions or seen.positions[0] >= LOW_FIRST:
        return None
    says = (
        f"Requests are sampled at temperature {seen.temperature:g} and drafts are greedy, so only the likeliest token "
        f"is ever proposed; {percent(seen.positions[0])} pass at the first position. A draft that samples too keeps "
        "the law of the answers."
    )
    numbers = {"temperature": seen.temperature, "first_position": seen.positions[0]}
    return Finding("sampled_requests", says, numbers, seen.command(f"method.{SAMPLE}=probabilistic"))


def few_drafts(seen: Seen) -> Finding | None:
    """Acceptance length says nothing of the steps without a draft."""
    if not seen.drafted or not seen.passes or (made := seen.metrics["num_drafts"] / seen.passes) >= FEW:
        return None
    length = number(seen.metrics.get("mean_acceptance_length"))
    says = (
        f"A draft was made in {percent(made)} of the steps. Where there is one it brings {length} tokens a step, over "
        f"all steps that is {number(seen.tokens_per_pass)}."
    )
    if (seen.config.get(LOOKUP) or 1) > 1 and LOOKUP not in seen.searched:
        change = seen.command(f"method.{LOOKUP}=1")
    else:
        change = seen.command("method=auto", module="autotune")
    return Finding("few_drafts", says, {"steps_with_a_draft": made}, change)


def too_long(seen: Seen) -> Finding | None:
    """Where the length was searched, its measurements know better than this."""
    worth = seen.worth_drafting
    if seen.tree or not worth or K in seen.searched or not seen.config.get(K):
        return None
    paying = next((i for i, share in enumerate(seen.positions) if share < SHORTER * worth), len(seen.positions))
    keep = max(1, paying)
    if keep >= len(seen.positions):
        return None
    late = ", ".join(percent(share) for share in seen.positions[keep:])
    says = (
        f"Drafts are too long: from token {keep + 1} on {late} are accepted, and a drafted token, which costs "
        f"{number(seen.token_cost)} steps without speculation, pays from {percent(worth)} on."
    )
    numbers = {"positions": list(seen.positions), "token_cost": seen.token_cost, "worth_from": worth, "keep": keep}
    return Finding("too_long", says, numbers, seen.command(f"method.{K}={keep}"))


def too_short(seen: Seen) -> Finding | None:
    """The last token still pays well, and a longer draft was not tried. One more is taken to be accepted as often after
    the last as that is after the one before.
    """
    worth, k = seen.worth_drafting, seen.config.get(K)
    if seen.tree or worth is None or not k or len(seen.positions) != k or (K in seen.searched and k != seen.bound):
        return None
    last = seen.positions[-1]
    expected = last * min(1.0, last / seen.positions[-2]) if k > 1 and seen.positions[-2] else last * last
    if expected <= LONGER * worth:
        return None
    what = "the longest that was tried" if K in seen.searched else "all there are"
    says = (
        f"Longer drafts may pay: {percent(last)} of the drafts are accepted up to token {k}, {what}; another one "
        f"would be in about {percent(expected)} and pays from {percent(worth)} on. Some heads draft no more."
    )
    numbers = {"last_position": last, "expected_next": expected, "worth_from": worth}
    return Finding("too_short", says, numbers, seen.command(_longer(seen, k)))


def _longer(seen: Seen, k: int) -> str:
    return f"+search.method.{K}={{int: [1, {2 * k}]}}" if K in seen.searched else f"method.{K}={k + 2}"
