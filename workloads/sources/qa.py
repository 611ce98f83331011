"""Answer one or two questions about a passage, on request with the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.topics import random_topic
from workloads.topics.assemble import answer, passage, text_of
from workloads.topics.fact import WHO

OPTIONS: dict[str, Any] = {}
ASK = "{Read the text and answer.|Answer from the passage.|Use the text to answer.|Here is a text.}"
QUOTE = "{Quote the sentence that says so.|Also quote the sentence.|Give the sentence as proof.}"


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("qa", make, split, seed)


def make(draw: Draw) -> Example:
    topic = random_topic(draw)
    told = passage(draw, topic, list(topic.facts), asides=draw.random.randint(0, 3))
    asked = draw.some([fact for fact in topic.facts if fact.asks], 2 if draw.chance(0.6) else 1)
    asks = [draw.pick(fact.asks) for fact in asked]
    parts = [answer(fact, ask.key, topic.full) for fact, ask in zip(asked, asks, strict=True)]
    questions = " ".join(ask.question.replace(WHO, topic.full) for ask in asks)
    if len(asked) == 1 or draw.chance(0.3):
        questions += " " + draw.say(QUOTE)
        proof = next(line for line, fact in told if fact is asked[0])
        parts.append(f'The text says: "{proof}"')
    return example(f"{draw.say(ASK)}\n\n{text_of(told)}\n\n{questions}", " ".join(parts), "|".join(a.key for a in asks))
