"""Turn facts into sentences: in a passage with clause order and asides, in a summary or an answer plainly."""

from __future__ import annotations

from workloads.draw import Draw, sentence
from workloads.topics.fact import WHO, Fact, Topic
from workloads.topics.filler import filler
from workloads.words.synonyms import SYNONYMS

FRONT = ("because", "in spite", "in the hope", "after", "although", "since", "to ", "thanks", "if ", "when", "while")
OPENERS = "{As people remember|It is said that|In the end|As it turned out|In those days|By then}"


def tell(draw: Draw, fact: Fact, name: str) -> str:
    """The fact as a sentence of a passage: its phrases may be replaced, and the order of its clauses is random."""
    core = reworded(draw, fact.core)
    if fact.when and draw.chance(0.45):
        text = f"{fact.when}, {core} {fact.why}"
    elif fact.why.startswith(FRONT) and draw.chance(0.4):
        text = f"{fact.why}, {core} {fact.when}"
    else:
        text = f"{core} {fact.when} {fact.why}"
    if not fact.when and not fact.why and draw.chance(0.3):
        text = f"{draw.say(OPENERS)}, {text}".replace("that, ", "that ")
    return sentence(text.replace(WHO, name))


def reworded(draw: Draw, core: str) -> str:
    """The core with about half of the phrases that have synonyms replaced."""
    for phrase, others in SYNONYMS.items():
        if phrase in core and draw.chance(0.5):
            core = core.replace(phrase, draw.pick(others))
    return core


def brief(fact: Fact, name: str, with_when: bool = True) -> str:
    """The fact as a short sentence: no reason, the time last."""
    return sentence(f"{fact.core} {fact.when if with_when else ''}".replace(WHO, name))


def answer(fact: Fact, key: str, name: str) -> str:
    """A sentence that answers a question about the fact whose answer is `key`."""
    if key in fact.why and key not in fact.core:
        return sentence(f"{fact.core} {fact.why}".replace(WHO, name))
    return brief(fact, name, with_when=key in fact.when)


def passage(draw: Draw, topic: Topic, facts: list[Fact], asides: int) -> list[tuple[str, Fact | None]]:
    """Sentences that tell the facts in order, with `asides` sentences that say nothing of weight between them."""
    told: list[tuple[str, Fact | None]] = []
    for index, fact in enumerate(facts):
        told.append((tell(draw, fact, topic.full if index == 0 or draw.chance(0.2) else topic.short), fact))
    for _ in range(asides):
        told.insert(draw.random.randint(1, len(told)), (filler(draw), None))
    return told


def text_of(told: list[tuple[str, Fact | None]]) -> str:
    return " ".join(line for line, _ in told)
