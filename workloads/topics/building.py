"""A building is planned, built and used."""

from __future__ import annotations

from workloads.draw import Draw
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import BUILDINGS, COLOURS, GOODS, MATERIALS


def make(draw: Draw) -> Topic:
    what, place, builder = draw.pick(BUILDINGS), draw.place(), draw.person().full
    name = f"the {what} of {place}"
    old, new = draw.some(MATERIALS, 2)
    year, cost, workers, rooms = draw.year(), draw.number(100, 990), draw.number(8, 95), draw.number(3, 40)
    colour, goods, weekday = draw.pick(COLOURS), draw.pick(GOODS), draw.weekday()
    facts = (
        Fact(
            f"<who> was {draw.pick(['built', 'designed', 'planned'])} by {builder}",
            (Ask(f"Who built {name}?", builder),),
            f"in {year}",
            draw.pick(["after a great fire", "because the old one was too small", "to please the council"]),
        ),
        Fact(
            f"the walls of <who> are made of {old} and {new}",
            (Ask(f"What are the walls of {name} made of?", f"{old} and {new}"),),
        ),
        Fact(
            f"the work cost {cost} thousand coins and needed {workers} workers",
            (
                Ask(f"How much did the work on {name} cost?", f"{cost} thousand"),
                Ask(f"How many workers did {name} need?", f"{workers} workers"),
            ),
        ),
        Fact(
            f"<who> has {rooms} rooms and a {colour} roof",
            (
                Ask(f"How many rooms does {name} have?", f"{rooms} rooms"),
                Ask(f"What colour is the roof of {name}?", colour),
            ),
            "",
            "which can be seen from far away",
            main=False,
        ),
        Fact(
            f"the people of {place} keep {goods} there",
            (Ask(f"What do people keep in {name}?", goods),),
            "in winter",
            "because it is always dry",
            main=False,
        ),
        Fact(
            f"<who> is open to visitors every {weekday}",
            (Ask(f"On which day is {name} open to visitors?", weekday),),
            "",
            draw.pick(["and entry is free", "unless there is a storm", "thanks to a group of students"]),
        ),
    )
    return Topic("building", name, draw.pick([f"the {what}", "the building"]), facts)
