"""Word problems with small numbers, answered step by step; ends with "The answer is <number>."."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
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


def gain_and_loss(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    a, b = draw.random.randint(2, 20), draw.random.randint(2, 20)
    total = a + b
    c = draw.random.randint(2, min(total - 1, 20))
    name, things = slots["n"], slots["t"]
    story = " ".join(draw.say(draw.pick(form), a=a, b=b, c=c, **slots) for form in (GAIN, LOSS, LEFT))
    return story, [f"{name} gets {b} more {things}: {a} + {b} = {total}.", loss(total, c, things)], total - c


def times_and_loss(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    a, b = draw.random.randint(2, 9), draw.random.randint(2, 9)
    total = a * b
    c = draw.random.randint(2, min(total - 1, 20))
    story = " ".join(draw.say(draw.pick(form), a=a, b=b, c=c, **slots) for form in (TIMES, LOSS, LEFT))
    things = slots["t"]
    return story, [f"There are {a} times {b} {things}: {a} x {b} = {total}.", loss(total, c, things)], total - c


def share_and_gain(draw: Draw, slots: dict[str, str]) -> tuple[str, list[str], int]:
    b, each = draw.random.randint(2, 9), draw.random.randint(2, 9)
    name, more = slots["m"], draw.random.randint(2, 20)
    story = draw.say(draw.pick(SHARE), a=b * each, b=b, **slots)
    extra = draw.say("{Then|Later} {each one|every one of them} gets <k> more from <m>. ", k=more, **slots)
    steps = [
        f"{b * each} {slots['t']} are shared among {b}: {b * each} / {b} = {each}.",
        f"{name} adds {more} more: {each} + {more} = {each + more}.",
    ]
    return f"{story} {extra}{draw.say(draw.pick(EACH), **slots)}", steps, each + more


def loss(total: int, gone: int, things: str) -> str:
    return f"{gone} of the {things} go away: {total} - {gone} = {total - gone}."
