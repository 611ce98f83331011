"""Freer text: stories, advice, letters and travel tips; now and then after an earlier turn or a system message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Message, Split
from workloads.words import chat, things
from workloads.words.time import SEASONS

OPTIONS: dict[str, Any] = {}
KINDS = [
    (chat.STORY_ASK, chat.STORY),
    (chat.ADVICE_ASK, chat.ADVICE),
    (chat.LETTER_ASK, chat.LETTER),
    (chat.PLACE_ASK, chat.PLACE),
]
SYSTEM = [
    "You are a helpful assistant.",
    "Answer in plain words.",
    "You are a friendly assistant who knows many stories.",
]


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("chat", make, split, seed)


def make(draw: Draw) -> Example:
    messages = [Message("system", draw.pick(SYSTEM))] if draw.chance(0.3) else []
    if draw.chance(0.3):
        question, reply = exchange(draw)
        messages += [Message("user", question), Message("assistant", reply)]
    question, reply = exchange(draw)
    return Example((*messages, Message("user", question)), reply)


def exchange(draw: Draw) -> tuple[str, str]:
    """A question and an answer about the same names and things."""
    ask, stages = draw.pick(KINDS)
    fixed = subjects(draw)
    question = draw.say(draw.pick(ask), **fixed, **colour(draw))
    told = [draw.say(draw.pick(stage), **fixed, **colour(draw)) for stage in stages]
    return question, " ".join(told).replace("  ", " ").replace(" ,", ",")


def subjects(draw: Draw) -> dict[str, str]:
    """What question and answer must agree on."""
    hobby = draw.pick(things.HOBBIES)
    return {
        "n": draw.first_name(),
        "m": draw.first_name(),
        "p": draw.place(),
        "q": draw.place(),
        "hobby": hobby,
        "Hobby": hobby.capitalize(),
        "job": draw.pick(things.JOBS),
        "adj": draw.pick(things.ADJECTIVES),
        "things": draw.pick(things.GOODS),
    }


def colour(draw: Draw) -> dict[str, str]:
    """What may differ from sentence to sentence."""
    food, second = draw.some(things.FOODS, 2)
    return {
        "goods": draw.pick(things.GOODS),
        "habitat": draw.pick(things.HABITATS),
        "building": draw.pick(things.BUILDINGS),
        "weather": draw.pick(things.WEATHER),
        "animal": draw.pick(things.ANIMALS),
        "material": draw.pick(things.MATERIALS),
        "vehicle": draw.pick(things.VEHICLES),
        "colour": draw.pick(things.COLOURS),
        "instrument": draw.pick(things.INSTRUMENTS),
        "food": food,
        "food2": second,
        "season": draw.pick(SEASONS),
        "month": draw.month(),
        "weekday": draw.weekday(),
        "num": str(draw.number(3, 40)),
    }
