"""From settings and tables to ranked methods, each with its start, its reasons and its command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.diagnosis.again import again, value_of
from autotune.drafts import no_draft
from autotune.errors import UsageError
from autotune.load import check_load, most_at_once
from autotune.overrides import CONF, override
from autotune.recommend.memory import Memory, memory
from autotune.recommend.reasons import reasons
from autotune.recommend.rules import Guide, MethodRule
from autotune.recommend.shape import Shape, shape_of
from autotune.settings import MethodSettings, Settings

K, CUTOFF = "num_speculative_tokens", "disable_by_batch_size"
MOST_COMPARED = 3


@dataclass(frozen=True)
class Question:
    """`typed` is the command line without the guide's own words; `requests` may run at once."""

    settings: Settings
    guide: Guide
    typed: str
    target: Shape | None
    requests: int

    @property
    def text(self) -> str:
        return self.guide.text_of(self.settings.workload.name)


@dataclass(frozen=True)
class Suggestion:
    """`expected` is the speed-up at this load; `remains` what the load and the sampling leave of `alone`. `in_model`:
    the model has modules of its own that no YAML names.
    """

    method: str
    rule: MethodRule
    alone: tuple[float, float]
    remains: tuple[float, float]
    start: dict[str, Any]
    memory: Memory | None
    fits: bool
    draft: str | None
    in_model: bool = False
    command: str = ""
    reasons: Sequence[str] = field(default_factory=tuple)

    @property
    def expected(self) -> tuple[float, float]:
        return self.alone[0] * self.remains[0], self.alone[1] * self.remains[1]

    @property
    def middle(self) -> float:
        """Geometric, because these are factors."""
        return math.sqrt(self.expected[0] * self.expected[1])


@dataclass(frozen=True)
class Answer:
    """`ranked`, best first; `without` says why the other methods are not among them; `compare` tells the first few
    apart by measuring, where what is expected of them overlaps.
    """

    ranked: Sequence[Suggestion]
    without: dict[str, str]
    compare: str


def question(settings: Settings, guide: Guide, typed: str) -> Question:
    """UsageError for a load that the engine has no room for, for a folder that is no model's, and for no method."""
    check_load(settings)
    if all(method.speculative_config is None for method in settings.all_methods):
        raise UsageError(
            f"method {settings.method.name} makes no drafts; leave method out, or name some: method=[ngram,suffix]"
        )
    target = None if settings.replays else shape_of(settings.model.path, guide.shapes)
    return Question(settings, guide, typed, target, most_at_once(settings))


def answer(asked: Question) -> Answer:
    settings = asked.settings
    given = {method.name: method for method in settings.all_methods if method.speculative_config is not None}
    found, without = [], {}
    for name in [*given, *settings.left_out]:
        rule = asked.guide.rule(name)
        if rule is None:
            without[name] = "conf/recommend/tables/methods.yaml has no rule for it"
        elif name in given or _has_modules(asked, rule):
            found.append(_suggest(asked, name, rule, given.get(name)))
        else:
            without[name] = _no_draft(asked, name)
    ranked = sorted(found, key=lambda each: (not each.fits, -each.middle))  # stable: of equal ones the simpler first
    return Answer(ranked, without, _compare(asked, ranked))


def _suggest(asked: Question, name: str, rule: MethodRule, method: MethodSettings | None) -> Suggestion:
    draft = (method.speculative_config or {}).get("model") if method is not None else None
    own = shape_of(draft, asked.guide.shapes) if rule.adds.own else None
    needs = memory(asked.target, rule.adds, own, asked.guide, asked.requests) if asked.target else None
    room = asked.guide.memory_gib
    found = Suggestion(
        method=name,
        rule=rule,
        alone=rule.expected(asked.text),
        remains=remains(asked),
        start={},
        memory=needs,
        fits=room is None or needs is None or needs.total <= room * asked.guide.usable,
        draft=draft,
        in_model=method is None,
    )
    start = _start(asked, found, method.search if method is not None else {})
    words = [override(f"method.{key}", value) for key, value in start.items()]
    in_model = ["method.model=null"] if found.in_model else []
    command = again(asked.typed, f"method={name}", *in_model, *(word.strip("'") for word in words))
    return Suggestion(**{**vars(found), "start": start, "command": command, "reasons": reasons(asked, found)})


def remains(asked: Question) -> tuple[float, float]:
    """What load and sampling leave of a speed-up."""
    low, high = asked.guide.under_load(asked.requests)
    if asked.settings.workload.temperature:
        low, high = low * asked.guide.sampled[0], high * asked.guide.sampled[1]
    return low, high


def _start(asked: Question, found: Suggestion, search: Mapping[str, Any]) -> dict[str, Any]:
    """The rule's values, shorter where many requests share a pass but still inside what the method's YAML searches, and
    none drafted past the crossover.
    """
    start = dict(found.rule.start)
    if K in start:
        shortest = ((search.get(K) or {}).get("int") or [1])[0]
        start[K] = max(shortest, min(start[K], asked.guide.longest_draft(asked.requests)))
    if asked.requests > 1 and found.middle < 1:
        start[CUTOFF] = max(2, crossover(asked.guide, found.alone))
    return start


def crossover(guide: Guide, alone: tuple[float, float]) -> int:
    """The most requests at which a gain is still expected."""
    most = max(row[0] for row in guide.load)
    alive = [n for n in range(1, most + 1) if math.sqrt(math.prod(guide.under_load(n)) * math.prod(alone)) >= 1]
    return max(alive, default=1)


def _has_modules(asked: Question, rule: MethodRule) -> bool:
    return bool(rule.modules and asked.target and asked.target.raw.get(rule.modules))


def _no_draft(asked: Question, name: str) -> str:
    """Why it is out, and how to get one."""
    settings = asked.settings
    if settings.replays:
        return no_draft(name, settings.model.name)
    why = f"model {settings.model.name} names no draft for it; give method.model=FOLDER or org/name"
    if not (CONF / "train" / f"{name}.yaml").is_file():
        return why
    model = value_of(asked.typed, "model", settings.model.name)
    return f"{why}, or train one: python -m autotune.train method={name} model={model}"


def _compare(asked: Question, ranked: Sequence[Suggestion]) -> str:
    """The command that measures the first and those that may be better, if there are any."""
    if len(ranked) < 2 or not ranked[0].fits:
        return ""
    rivals = [each for each in ranked[1:] if each.fits and each.expected[1] >= ranked[0].expected[0]]
    chosen = [ranked[0], *rivals[: MOST_COMPARED - 1]]
    in_model = [f"method.{each.method}.model=null" for each in chosen if each.in_model]
    choice = f"method=[{','.join(each.method for each in chosen)}]"
    return again(asked.typed, choice, *in_model) if rivals else ""
