"""Summarise a passage: name its subject, then its main facts in order, without asides and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.topics import random_topic
from workloads.topics.assemble import brief, passage, text_of

OPTIONS: dict[str, Any] = {}
ASK = (
    "{Summarize|Sum up|Give a short summary of|Write a summary of} "
    "{the text|this passage|the following text|the passage below}{| in a few sentences}"
)


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("summarization", make, split, seed)


def make(draw: Draw) -> Example:
    topic = random_topic(draw)
    facts = [fact for fact in topic.facts if fact.main or draw.chance(0.75)]
    text = text_of(passage(draw, topic, facts, asides=draw.random.randint(2, 6)))
    main = [fact for fact in facts if fact.main]
    told = [brief(fact, topic.full if index == 0 else topic.short) for index, fact in enumerate(main)]
    answer = f"The text is about {topic.full}. " + " ".join(told)
    return example(f"{draw.say(ASK)}.\n\n{text}", answer)
