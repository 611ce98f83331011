"""A workshop or company grows."""

from __future__ import annotations

from workloads.draw import Draw, with_article
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import COLOURS, GOODS, JOBS, MATERIALS


def make(draw: Draw) -> Topic:
    name, place, other = draw.brand(), draw.place(), draw.place()
    founder, chief = draw.person().full, draw.person().full
    goods, second = draw.some(GOODS, 2)
    staff, sold, price, year = draw.number(5, 99), draw.number(100, 990), draw.number(2, 59), draw.year()
    job, material, colour, month = draw.pick(JOBS), draw.pick(MATERIALS), draw.pick(COLOURS), draw.month()
    facts = (
        Fact(
            f"<who> was founded in {place} by {founder}",
            (Ask("Who founded <who>?", founder), Ask("Where was <who> founded?", place)),
            f"in {year}",
            draw.pick([f"who had been {with_article(job)} before", "with borrowed money"]),
        ),
        Fact(
            f"<who> {draw.pick(['makes', 'sells', 'repairs', 'exports'])} {goods} and {second}",
            (Ask("What does <who> work with?", f"{goods} and {second}"),),
        ),
        Fact(
            f"{staff} people work for <who>",
            (Ask("How many people work for <who>?", f"{staff} people"),),
            "today",
            draw.pick(["and most of them are young", f"mainly in {other}"]),
        ),
        Fact(
            f"<who> sold {sold} boxes at {price} coins each",
            (
                Ask("How many boxes did <who> sell?", f"{sold} boxes"),
                Ask("What was the price of a box from <who>?", f"{price} coins"),
            ),
            f"in {month}",
            "in spite of the bad roads",
        ),
        Fact(
            f"its {colour} boxes are made of {material}",
            (
                Ask("What are the boxes of <who> made of?", material),
                Ask("Which colour are the boxes of <who>?", colour),
            ),
            "",
            "so that they do not break",
            main=False,
        ),
        Fact(
            f"{chief} now {draw.pick(['leads', 'owns', 'manages'])} <who>",
            (Ask("Who is at the head of <who> now?", chief),),
        ),
        Fact(
            f"a second shop will open in {other}",
            (Ask("Where will the second shop of <who> open?", other),),
            "next year",
            "if the council agrees",
            main=False,
        ),
    )
    return Topic("company", name, draw.pick(["the company", "the firm"]), facts)
