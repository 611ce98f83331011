"""Answer from several numbered snippets, with a citation and a quotation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.draw import Draw
from workloads.generate import example, stream
from workloads.request import SPLITS as SPLITS
from workloads.request import Example, Split
from workloads.topics import random_topic
from workloads.topics.assemble import answer, tell
from workloads.topics.fact import WHO, Ask, Fact, Topic

OPTIONS: dict[str, Any] = {}
ASK = "{Answer from the sources and cite them.|Use these sources and cite them.|Answer with citations.}"


def examples(split: Split, seed: int, options: Mapping[str, Any]) -> Iterator[Example]:
    return stream("rag", make, split, seed)


def make(draw: Draw) -> Example:
    topics = [random_topic(draw) for _ in range(draw.random.randint(3, 5))]
    facts = [draw.some([fact for fact in topic.facts if fact.asks], 2) for topic in topics]
    told = [[tell(draw, fact, topic.full) for fact in pair] for topic, pair in zip(topics, facts, strict=True)]
    snippets = "\n".join(
        f"[{index}] {topic.full[0].upper()}{topic.full[1:]}: {' '.join(lines)}"
        for index, (topic, lines) in enumerate(zip(topics, told, strict=True), 1)
    )
    chosen = draw.some(range(len(topics)), draw.pick([1, 2, 2]))
    parts, questions, keys = [], [], []
    for place in chosen:
        which = draw.random.randrange(2)
        ask = draw.pick(facts[place][which].asks)
        questions.append(ask.question.replace(WHO, topics[place].full))
        parts.append(cited(topics[place], facts[place][which], ask, told[place][which], place + 1))
        keys.append(ask.key)
    cites = "|".join(f"[{place + 1}]" for place in chosen)
    return example(
        f"{draw.say(ASK)}\n\n{snippets}\n\n{' '.join(questions)}", " ".join(parts), "|".join(keys), cites=cites
    )


def cited(topic: Topic, fact: Fact, ask: Ask, proof: str, number: int) -> str:
    """The answer, its citation and the quoted sentence."""
    said = answer(fact, ask.key, topic.full).rstrip(".")
    return f'{said} [{number}]. Source [{number}] says: "{proof}"'
