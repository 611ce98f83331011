"""A person travels from one town to another."""

from __future__ import annotations

from workloads.draw import Draw, with_article
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import ADJECTIVES, GOODS, HABITATS, JOBS, VEHICLES


def make(draw: Draw) -> Topic:
    who, friend = draw.person(), draw.person().full
    start, end, stop = draw.place(), draw.place(), draw.place()
    days, miles, coins = draw.number(2, 40), draw.number(60, 900), draw.number(2, 90)
    vehicle, job, goods = draw.pick(VEHICLES), draw.pick(JOBS), draw.pick(GOODS)
    month, habitat, adjective = draw.month(), draw.pick(HABITATS), draw.pick(ADJECTIVES)
    go = draw.pick(["travelled", "set out", "moved", "went"])
    why = draw.say(
        "{because the <job> needed new <goods>|to sell <goods>|in the hope of finding work|"
        "after a long {winter|illness}|to visit an old friend}",
        job=job,
        goods=goods,
    )
    facts = (
        Fact(
            f"<who>, {with_article(job)}, {go} from {start} to {end}",
            (
                Ask("Where did <who> go?", end),
                Ask("From which town did <who> start?", start),
                Ask("What was the trade of <who>?", job),
            ),
            f"in {month}",
            why,
        ),
        Fact(
            draw.say(f"{{the journey took|the way lasted}} {days} days and {{covered|was}} {miles} miles"),
            (
                Ask("How many days did the journey of <who> take?", f"{days} days"),
                Ask("How many miles did <who> travel?", f"{miles} miles"),
            ),
        ),
        Fact(
            f"<who> {draw.pick(['crossed', 'passed', 'followed'])} the {adjective} {habitat} by {vehicle}",
            (
                Ask("How did <who> cross the land?", vehicle),
                Ask(f"What did <who> see on the way by {vehicle}?", habitat),
            ),
            "",
            draw.pick(["while the weather held", "because the road was closed", "without much trouble"]),
            main=False,
        ),
        Fact(
            f"<who> met {friend} in {stop}",
            (Ask("Whom did <who> meet?", friend), Ask(f"Where did <who> meet {friend}?", stop)),
            draw.pick(["on the second day", "one evening", "half way", "on a rainy day"]),
        ),
        Fact(
            f"<who> paid {coins} coins for {goods}",
            (
                Ask(f"How much did <who> pay for {goods}?", f"{coins} coins"),
                Ask("What did <who> buy on the journey?", goods),
            ),
            "",
            "since prices were high",
            main=False,
        ),
        Fact(
            draw.say(f"<who> {{decided to stay|found a house|opened a small shop|rented a room}} in {end}"),
            (Ask("In which town did <who> remain?", end),),
            "at last",
        ),
    )
    return Topic("journey", who.full, who.last, facts)
