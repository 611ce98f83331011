"""Bad weather strikes a town."""

from __future__ import annotations

from workloads.draw import Draw, with_article
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import BUILDINGS, GOODS, HABITATS, JOBS, MATERIALS, WEATHER


def make(draw: Draw) -> Topic:
    place, near, helper = draw.place(), draw.place(), draw.person().full
    kind = draw.pick(["storm", "flood", "fire", "blizzard", "landslide"])
    name = f"the {kind} of {place}"
    building, second = draw.some(BUILDINGS, 2)
    families, hours, trees = draw.number(3, 95), draw.number(2, 48), draw.number(60, 900)
    goods, job, habitat, material = draw.pick(GOODS), draw.pick(JOBS), draw.pick(HABITATS), draw.pick(MATERIALS)
    weekday, month = draw.weekday(), draw.month()
    facts = (
        Fact(
            f"<who> began near the {habitat}",
            (Ask(f"Where did {name} begin?", habitat), Ask(f"On which day did {name} begin?", weekday)),
            f"on a {weekday} in {month}",
            draw.pick([f"after days of {draw.pick(WEATHER)}", "without any warning"]),
        ),
        Fact(
            f"the {building} lost its {material} roof",
            (
                Ask(f"Which building lost its roof in {name}?", building),
                Ask(f"What was the roof of the {building} made of?", material),
            ),
            "in the first hour",
        ),
        Fact(
            f"{families} families had to leave and slept in the {second}",
            (
                Ask(f"How many families had to leave because of {name}?", f"{families} families"),
                Ask(f"Where did the families sleep after {name}?", second),
            ),
        ),
        Fact(
            f"{trees} trees fell on the road to {near}",
            (
                Ask(f"How many trees fell in {name}?", f"{trees} trees"),
                Ask(f"Which road was blocked by trees in {name}?", near),
            ),
            "",
            "so the carts could not pass",
            main=False,
        ),
        Fact(
            f"{helper}, {with_article(job)}, gave {goods} to everyone",
            (Ask(f"Who helped the people after {name}?", helper), Ask(f"What did {helper} give to everyone?", goods)),
            draw.pick(["the next morning", "during the night"]),
        ),
        Fact(
            f"<who> ended after {hours} hours",
            (Ask(f"How many hours did {name} last?", f"{hours} hours"),),
            "",
            draw.pick(["and nobody was hurt", "and the sky was clear again"]),
        ),
    )
    return Topic("storm", name, f"the {kind}", facts)
