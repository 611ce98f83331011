"""Translate three to six sentences between English and Varsan, an invented language (`workloads/words/language.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.splits import split_of
from workloads.words.language import ADJECTIVES, NOUNS, NUMBERS, PLACES, TIMES, VERBS

OPTIONS: dict[str, Any] = {}
ASK = "{Translate {this text |}into|Put {this|the text} into|Write this in} <language>."


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("translation", make, split, seed)


def make(draw: Draw) -> Example:
    pairs = [sentence_pair(draw) for _ in range(draw.random.randint(3, 6))]
    english, varsan = (" ".join(side) for side in zip(*pairs, strict=True))
    if draw.chance(0.5):
        return example(f"{draw.say(ASK, language='Varsan')}\n\n{english}", varsan)
    return example(f"{draw.say(ASK, language='English')}\n\n{varsan}", english)


def sentence_pair(draw: Draw) -> tuple[str, str]:
    """One sentence in English and in Varsan; its subject, verb and object occur together in this split alone."""
    while True:
        subject, verb, thing = draw.pick(list(NOUNS)), draw.pick(list(VERBS)), draw.pick(list(NOUNS))
        if split_of(f"{subject} {verb} {thing}") == draw.split:
            break
    who = (draw.first_name(),) * 2 if draw.chance(0.3) else noun_phrase(draw, subject, 0.0)
    what = noun_phrase(draw, thing, 0.3)
    future = draw.chance(0.35)
    english = f"{who[0]} {'will ' + verb if future else VERBS[verb][0]} {what[0]}"
    varsan = f"{VERBS[verb][1]}{'vo' if future else 'du'} {who[1]} {what[1]}"
    if draw.chance(0.5):
        place = draw.pick(list(PLACES))
        english, varsan = f"{english} near the {place}", f"{varsan} ka {PLACES[place]}"
    if draw.chance(0.4):
        time = draw.pick(list(TIMES))
        english, varsan = f"{english} {time}", f"{varsan} ti {TIMES[time]}"
    return finish(english), finish(varsan)


def noun_phrase(draw: Draw, noun: str, plural: float) -> tuple[str, str]:
    """The noun with or without an adjective, in the plural with a number word."""
    adjective = draw.pick(list(ADJECTIVES)) if draw.chance(0.5) else ""
    tail = f" {ADJECTIVES[adjective]}" if adjective else ""
    if draw.chance(plural):
        number = draw.pick(list(NUMBERS))
        return f"{number} {adjective} {plural_of(noun)}".replace("  ", " "), f"{NUMBERS[number]} {NOUNS[noun]}ri{tail}"
    return f"the {adjective} {noun}".replace("  ", " "), f"{NOUNS[noun]}{tail}"


def plural_of(noun: str) -> str:
    return {"child": "children", "fish": "fish"}.get(noun, f"{noun}s")


def finish(text: str) -> str:
    return text[0].upper() + text[1:] + "."
