"""A town holds a festival."""

from __future__ import annotations

from workloads.draw import Draw, with_article
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import ANIMALS, FOODS, HOBBIES, INSTRUMENTS, WEATHER


def make(draw: Draw) -> Topic:
    place, leader, winner = draw.place(), draw.person().full, draw.person().full
    kind = draw.say("{lantern|harvest|river|bread|kite|music|winter|flower|apple|boat} {festival|fair}")
    name = f"the {kind} of {place}"
    guests, years, prize = draw.number(100, 990), draw.number(3, 95), draw.number(10, 95)
    food, second = draw.some(FOODS, 2)
    hobby, instrument, animal = draw.pick(HOBBIES), draw.pick(INSTRUMENTS), draw.pick(ANIMALS)
    month = draw.month()
    facts = (
        Fact(
            f"<who> {draw.pick(['took place', 'was held', 'was celebrated'])} for the {years}th time",
            (Ask(f"In which month was {name} held?", month),),
            f"in {month}",
            draw.pick(["to mark the end of the work", "in spite of the " + draw.pick(WEATHER)]),
        ),
        Fact(
            f"{guests} guests came to {place}",
            (Ask(f"How many guests came to {name}?", f"{guests} guests"),),
            draw.pick(["this year", "on the first day"]),
            draw.pick(["although the trains were late", "because the tickets were cheap"]),
        ),
        Fact(
            f"{leader} opened <who> with a {draw.pick(['short speech', 'song', 'prayer', 'poem'])}",
            (Ask(f"Who opened {name}?", leader),),
        ),
        Fact(
            f"people ate {food} and {second}",
            (Ask(f"What did people eat at {name}?", f"{food} and {second}"),),
            "all day",
            "",
            main=False,
        ),
        Fact(
            f"{winner} won the {hobby} contest and got {prize} coins",
            (
                Ask(f"Who won the {hobby} contest at {name}?", winner),
                Ask(f"How many coins did {winner} get?", f"{prize} coins"),
            ),
        ),
        Fact(
            f"a child with {with_article(animal)} mask played the {instrument}",
            (Ask(f"Which instrument did the child play at {name}?", instrument),),
            "after dark",
            "while the others listened",
            main=False,
        ),
        Fact(draw.say("the council wants to {repeat|move|enlarge} <who> next year"), ()),
    )
    return Topic("festival", name, draw.pick(["the festival", "the event"]), facts)
