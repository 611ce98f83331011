"""A club meets and decides."""

from __future__ import annotations

from workloads.draw import Draw
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import BUILDINGS, FOODS, GOODS, HOBBIES


def make(draw: Draw) -> Topic:
    hobby, place = draw.pick(HOBBIES), draw.place()
    name = f"the {hobby} club of {place}"
    chair, old = draw.person().full, draw.person().full
    members, fee, votes, year = draw.number(9, 99), draw.number(2, 59), draw.number(60, 400), draw.year()
    building, goods, food = draw.pick(BUILDINGS), draw.pick(GOODS), draw.pick(FOODS)
    weekday, month, rival = draw.weekday(), draw.month(), draw.place()
    facts = (
        Fact(
            f"<who> meets in the {building} every {weekday}",
            (Ask(f"Where does {name} meet?", building), Ask(f"On which day does {name} meet?", weekday)),
            "",
            draw.pick(["after work", "because the rent is low"]),
        ),
        Fact(
            f"<who> was started by {old}",
            (Ask(f"Who started {name}?", old), Ask(f"In which year was {name} started?", str(year))),
            f"in {year}",
        ),
        Fact(
            f"<who> has {members} members who pay {fee} coins",
            (
                Ask(f"How many members does {name} have?", f"{members} members"),
                Ask(f"How much do the members of {name} pay?", f"{fee} coins"),
            ),
            "",
            "although some pay late",
        ),
        Fact(
            f"the members bought {goods} for the room",
            (Ask(f"What did the members of {name} buy?", goods),),
            f"in {month}",
            "because the old ones were broken",
            main=False,
        ),
        Fact(
            f"{chair} was elected with {votes} votes",
            (Ask(f"Who was elected in {name}?", chair), Ask(f"How many votes did {chair} get?", f"{votes} votes")),
            draw.pick(["last week", "at the last meeting"]),
        ),
        Fact(
            f"the members brought {food} for everyone",
            (Ask(f"What did the members of {name} bring for everyone?", food),),
            "that evening",
            "",
            main=False,
        ),
        Fact(
            f"<who> will play against the club of {rival}",
            (Ask(f"Against which town will {name} play?", rival),),
            draw.pick(["next month", "in spring"]),
        ),
    )
    return Topic("club", name, "the club", facts)
