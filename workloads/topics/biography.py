"""The life of a person."""

from __future__ import annotations

from workloads.draw import Draw, with_article
from workloads.topics.fact import Ask, Fact, Topic
from workloads.words.things import INSTRUMENTS, JOBS, SUBJECTS


def make(draw: Draw) -> Topic:
    who, teacher = draw.person(), draw.person().full
    home, town = draw.place(), draw.place()
    born, works, age = draw.year(), draw.number(3, 95), draw.number(18, 58)
    job, other = draw.some(JOBS, 2)
    subject, second = draw.some(SUBJECTS, 2)
    instrument, title = (
        draw.pick(INSTRUMENTS),
        draw.say(
            "The {Silent|Long|Blue|Last|Open|Golden|Hidden|Second} {River|Door|Summer|Garden|Winter|Letter|Road|Lamp}"
        ),
    )
    facts = (
        Fact(
            f"<who> was born in {home} in {born}",
            (Ask("Where was <who> born?", home), Ask("In which year was <who> born?", str(born))),
            "",
            f"as the child of {with_article(job)}",
        ),
        Fact(
            f"<who> {draw.pick(['studied', 'learned'])} {subject} with {teacher}",
            (Ask("What did <who> study?", subject), Ask(f"Who taught {subject} to <who>?", teacher)),
            draw.pick(["as a young student", "for four years", "after school"]),
        ),
        Fact(
            f"<who> played the {instrument}",
            (Ask("Which instrument did <who> play?", instrument),),
            draw.pick(["every evening", "on Sundays", "at home"]),
            draw.pick(["because the house was quiet", "to earn some money"]),
            main=False,
        ),
        Fact(
            f"<who> worked as {with_article(other)} in {town}",
            (
                Ask(f"Where did <who> work as {with_article(other)}?", town),
                Ask(f"What was the work of <who> in {town}?", other),
            ),
            f"at the age of {age}",
            "because money was short",
        ),
        Fact(
            draw.say(f"<who> {{wrote|published|finished}} {works} books about {second}"),
            (
                Ask("How many books did <who> write?", f"{works} books"),
                Ask("What are the books of <who> about?", second),
            ),
        ),
        Fact(
            f"the best known work of <who> is called {title}",
            (Ask("What is the best known work of <who> called?", title),),
            "",
            draw.pick(["although few people read it", "and it is still printed", "which won a prize"]),
        ),
    )
    return Topic("life", who.full, who.last, facts)
