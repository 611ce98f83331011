"""How good a model's answers are, task by task, beside what chance would score. Pure functions over text and ids."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence

from workloads.request import Example

LONGEST_CYCLE, SHORTEST_LOOP = 24, 24  # tokens
Score = Callable[[Example, str], float]  # 0 to 1


def keys_found(example: Example, text: str) -> float:
    """1 if every key of the example is in the text."""
    return float(all(key in text for key in (example.key or "").split("|")))


def final_number(example: Example, text: str) -> float:
    """1 if the last "The answer is ..." names the right number."""
    found = re.findall(r"The answer is (-?\d+)", text)
    return float(bool(found) and found[-1] == example.key)


def word_f1(example: Example, text: str) -> float:
    """Harmonic mean of precision and recall of the words, counted with repetition (ROUGE-1 F)."""
    said, wanted = Counter(words(text)), Counter(words(example.reference or ""))
    common = sum((said & wanted).values())
    return 2 * common / max(1, said.total() + wanted.total())


def citations(example: Example, text: str) -> float:
    """1 if exactly the right snippets are cited."""
    return float(set(re.findall(r"\[\d\]", text)) == set(example.tags["cites"].split("|")))


def word_accuracy(example: Example, text: str) -> float:
    """The share of the reference's words that stand at the same place of the same sentence."""
    right = total = 0
    said = [line.split() for line in text.split(".")]
    for index, line in enumerate((example.reference or "").split(".")):
        wanted = line.split()
        total += len(wanted)
        right += sum(a == b for a, b in zip(wanted, said[index] if index < len(said) else [], strict=False))
    return right / max(1, total)


def parses(example: Example, text: str) -> float:
    """1 if the function's beginning and the completion together are valid Python."""
    start = example.prompt[-1].content.split("\n\n", 1)[1]  # type: ignore[union-attr]
    try:
        ast.parse(start + text)
    except (SyntaxError, ValueError):
        return 0.0
    return 1.0


MEASURES: dict[str, dict[str, Score]] = {
    "summarization": {"word F1": word_f1},
    "chat": {"word F1": word_f1},
    "qa": {"exact match": keys_found, "word F1": word_f1},
    "math": {"exact match": final_number},
    "translation": {"word accuracy": word_accuracy},
    "rag": {"exact match": keys_found, "citations right": citations, "word F1": word_f1},
    "code": {"parses": parses, "word F1": word_f1},
}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def loops(tokens: Sequence[int]) -> bool:
    """Whether the end repeats: a cycle of at most 24 tokens, at least three times over and over at least 24 tokens."""
    for period in range(1, LONGEST_CYCLE + 1):
        length = max(SHORTEST_LOOP, 3 * period)
        tail = list(tokens[-length:])
        if len(tail) == length and tail[period:] == tail[:-period]:
            return True
    return False


def scores(task: str, examples: Sequence[Example], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per measure: the mean over the texts, and `chance`, what the answer to the next example would score."""
    others = [example.reference or "" for example in [*examples[1:], examples[0]]]
    return {
        name: {"score": mean(measure, examples, texts), "chance": mean(measure, examples, others)}
        for name, measure in MEASURES[task].items()
    }


def mean(measure: Score, examples: Sequence[Example], texts: Sequence[str]) -> float:
    return sum(map(measure, examples, texts)) / len(texts)
