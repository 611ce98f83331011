"""Word problems with small numbers, answered step by step; ends with "The answer is <number>."."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.splits import split_of
from workloads.words.maths import EACH, GAIN, LEFT, LOSS, SHARE, TIMES
from workloads.words.things import GOODS

OPTIONS: dict[str, Any] = {}
ASK = "{Solve the problem step by step.|Work this out in steps.|Solve this.}"


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("math", make, split, seed)


def make(draw: Draw) -> Example:
    slots = {
        "n": draw.first_name(),
        "m": draw.first_name(),
        "t": draw.pick(GOODS),
        "p": draw.place(),
        "day": draw.weekday(),
    }
    story, steps, result = draw.pick([gain_and_loss, times_and_loss, share_and_gain])(draw, slots)
    answer = "\n".join(f"Step {index}: {step}" for index, step in enumerate(steps, 1)) + f"\nThe answer is {result}."
    return example(f"{draw.say(ASK)}\n\n{story}", answer, str(result))


def pair(draw: Draw, sign: str, low: int, high: int) -> tuple[int, int]:
    """Two numbers whose sum or difference belongs to this split alone."""
    while True:
        left, right = draw.random.randint(low, high), draw.random.randint(low, high)
        if (sign == "+" or left > right) and split_of(f"{left}{sign}{right}") == draw.split:
            return left, right


def gain_and_loss(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    a, b = pair(draw, "+", 11, 79)
    total = a + b
    c = draw.random.randint(3, min(total - 1, 60))
    name, things = slots["n"], slots["t"]
    story = " ".join(draw.say(draw.pick(form), a=a, b=b, c=c, **slots) for form in (GAIN, LOSS, LEFT))
    steps = [
        f"{name} gets {b} more {things}: {a} + {b} = {total}.",
        f"{c} of the {things} go away: {total} - {c} = {total - c}.",
    ]
    return story, steps, total - c


def times_and_loss(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    a, b = draw.random.randint(2, 9), draw.random.randint(11, 29)
    tens, ones = b // 10 * 10, b % 10
    total = a * b
    c = draw.random.randint(2, min(total - 1, 60))
    story = " ".join(draw.say(draw.pick(form), a=a, b=b, c=c, **slots) for form in (TIMES, LOSS, LEFT))
    steps = [
        f"There are {a} times {b} {slots['t']}: {a} x {tens} = {a * tens} and {a} x {ones} = {a * ones}.",
        f"Together: {a * tens} + {a * ones} = {total}.",
        f"{c} of the {slots['t']} go away: {total} - {c} = {total - c}.",
    ]
    return story, steps, total - c


def share_and_gain(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    b, each = draw.random.randint(2, 9), draw.random.randint(3, 12)
    name, more = slots["m"], draw.random.randint(11, 79)
    story = draw.say(draw.pick(SHARE), a=b * each, b=b, **slots)
    extra = draw.say("{Then|Later} {each one|every one of them} gets <k> more from <m>. ", k=more, **slots)
    steps = [
        f"{b * each} {slots['t']} are shared among {b}: {b * each} / {b} = {each}.",
        f"{name} adds {more} more: {each} + {more} = {each + more}.",
    ]
    return f"{story} {extra}{draw.say(draw.pick(EACH), **slots)}", steps, each + more
