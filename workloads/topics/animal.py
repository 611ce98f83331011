"""A group of animals is watched by someone who studies them."""

from __future__ import annotations

from workloads.draw import Draw
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import ADJECTIVES, ANIMALS, FOODS, HABITATS, WEATHER


def make(draw: Draw) -> Topic:
    animal, habitat, place = draw.pick(ANIMALS), draw.pick(HABITATS), draw.place()
    name = f"the {animal} of {place}"
    expert = draw.person().full
    food, weather, adjective = draw.pick(FOODS), draw.pick(WEATHER), draw.pick(ADJECTIVES)
    weight, young, count, hours = draw.number(2, 59), draw.number(2, 12), draw.number(60, 990), draw.number(2, 16)
    year, month = draw.year(), draw.month()
    facts = (
        Fact(
            f"<who> lives near the {adjective} {habitat}",
            (Ask(f"Where does {name} live?", habitat),),
            "for most of the year",
            draw.pick(["where food is easy to find", f"because the {weather} is rare there", "far from the roads"]),
        ),
        Fact(
            f"{expert} {draw.pick(['studied', 'counted', 'watched', 'filmed'])} {count} animals",
            (Ask(f"Who studied {name}?", expert), Ask(f"How many animals did {expert} see?", f"{count} animals")),
            f"in {year}",
        ),
        Fact(
            f"a grown animal weighs {weight} pounds and sleeps {hours} hours a day",
            (
                Ask(f"How much does {name} weigh?", f"{weight} pounds"),
                Ask(f"How many hours a day does {name} sleep?", f"{hours} hours"),
            ),
        ),
        Fact(
            f"<who> {draw.pick(['eats', 'steals', 'likes'])} {food}",
            (Ask(f"What does {name} eat?", food),),
            "at night",
            "when nobody is near",
            main=False,
        ),
        Fact(
            f"<who> has {young} young",
            (Ask(f"How many young does {name} have?", f"{young} young"),),
            f"in {month}",
            f"after the {weather} is over",
        ),
        Fact(
            draw.say("{a new fence|a new law|a small park|a group of students} {protects|helps} <who>"),
            (),
            "today",
            "because the number of animals fell",
            main=False,
        ),
    )
    return Topic("animal", name, draw.pick(["the animal", f"the {animal}"]), facts)
