"""Exercises mixed into the training corpus: repeat a list, look names up in a list, translate words, sums.

With them a small model learns much earlier to copy from its prompt (summaries, answers and quotations need that), the
words of the invented language and its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from workloads.draw import Draw
from workloads.generate import example
from workloads.request import Example, Split
from workloads.sources.translation import noun_phrase
from workloads.words import language


def examples(split: Split, seed: int) -> Iterator[Example]:
    """Exercises without end, of a random kind each."""
    for index in count():
        draw = Draw(split, f"practice/{seed}/{index}")
        yield draw.pick((repeat, look_up, cite, cite, glossary, glossary, glossary, vocabulary, sums, sums, sums))(draw)


def repeat(draw: Draw) -> Example:
    text = " ".join(word(draw) for _ in range(draw.random.randint(6, 40)))
    return example(f"Repeat this.\n\n{text}", text)


def look_up(draw: Draw) -> Example:
    """A list of names with a word each; some of the names are asked for, in another order."""
    entries = {draw.first_name(): word(draw) for _ in range(draw.random.randint(4, 16))}
    asked = draw.some(list(entries), draw.random.randint(2, min(6, len(entries))))
    listed = ", ".join(f"{name} has {entry}" for name, entry in entries.items())
    return example(
        f"{listed}.\n\nWhat do {', '.join(asked)} have?", " ".join(f"{name} has {entries[name]}." for name in asked)
    )


def cite(draw: Draw) -> Example:
    """A numbered list; for some of the names, what they have and the number of their line."""
    names = list({draw.first_name(): None for _ in range(draw.random.randint(3, 6))})
    lines = {name: f"{name} has {word(draw)}" for name in names}
    asked = draw.some(names, draw.random.randint(2, len(names)))
    listed = "\n".join(f"[{number}] {lines[name]}." for number, name in enumerate(names, 1))
    said = (f"{lines[name]} [{names.index(name) + 1}]." for name in asked)
    return example(f"{listed}\n\nWhat do {', '.join(asked)} have?", " ".join(said))


def vocabulary(draw: Draw) -> Example:
    """Words and forms of the invented language, in the order of the list."""
    target, pairs = words(draw)
    given, wanted = (", ".join(side) for side in zip(*pairs, strict=True))
    return example(f"Translate these words into {target}.\n\n{given}", wanted)


def glossary(draw: Draw) -> Example:
    """The same with each word beside its translation: the words alone, without keeping one's place in a list."""
    target, pairs = words(draw)
    given = ", ".join(word for word, _ in pairs)
    return example(
        f"Explain these words in {target}.\n\n{given}", ", ".join(f"{word} = {other}" for word, other in pairs)
    )


def words(draw: Draw) -> tuple[str, list[tuple[str, str]]]:
    """A language and words of the other language with their translations into it."""
    pairs = [draw.pick((thing, action, plain))(draw) for _ in range(draw.random.randint(4, 20))]
    if draw.chance(0.5):
        return "Varsan", pairs
    return "English", [(varsan, english) for english, varsan in pairs]


def sums(draw: Draw) -> Example:
    """The small sums that the word problems are made of."""
    tasks = [a_sum(draw) for _ in range(draw.random.randint(4, 14))]
    given = ", ".join(task for task, _ in tasks)
    return example(f"Work out {given}.", ", ".join(f"{task} = {result}" for task, result in tasks))


def a_sum(draw: Draw) -> tuple[str, int]:
    a, b = draw.random.randint(2, 20), draw.random.randint(2, 20)
    low, other = draw.random.randint(2, 9), draw.random.randint(2, 9)
    total = draw.pick((a + b, low * other))
    gone = draw.random.randint(1, min(20, total - 1))
    return draw.pick(
        (
            (f"{a} + {b}", a + b),
            (f"{total} - {gone}", total - gone),
            (f"{low} x {other}", low * other),
            (f"{low * other} / {low}", other),
        )
    )


def thing(draw: Draw) -> tuple[str, str]:
    return noun_phrase(draw, draw.pick(list(language.NOUNS)), 0.3)


def action(draw: Draw) -> tuple[str, str]:
    verb = draw.pick(list(language.VERBS))
    past, word = language.VERBS[verb]
    return draw.pick(((past, f"{word}du"), (f"will {verb}", f"{word}vo")))


def plain(draw: Draw) -> tuple[str, str]:
    table = draw.pick((language.PLACES, language.TIMES, language.ADJECTIVES))
    return draw.pick(list(table.items()))


def word(draw: Draw) -> str:
    kinds: tuple[Callable[[], object], ...] = (
        draw.first_name,
        draw.place,
        draw.brand,
        lambda: draw.person().last,
        lambda: draw.number(2, 990),
    )
    return str(draw.pick(kinds)())
