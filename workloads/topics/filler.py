# ruff: noqa: E501 (one template a line)
"""Sentences that carry no fact: they make passages longer and summaries worth making."""

from __future__ import annotations

from workloads.draw import Draw, sentence, with_article
from workloads.words.things import ADJECTIVES, FOODS, GOODS, HABITATS, WEATHER

FORMS = [
    "{the morning|the evening|the whole day|that week|the night} was {cold|warm|grey|bright|quiet|windy} {and full of <weather>|with some <weather>|and the <weather> did not stop}",
    "{nobody|hardly anyone|almost everyone} {noticed|remembered|talked about} the <adjective> <goods> {by the door|on the table|in the corner|near the window}",
    "{somewhere|not far away}, <an_adjective> <habitat> {could be seen|lay in the <weather>|waited for {spring|summer|winter}}",
    "{there was|people could smell} {fresh|cold|sweet|plenty of} <food> {in every house|on the tables|at the corner shop}",
    "{a few|many|some} {children|neighbours|visitors|travellers} {carried|looked at|asked about|sold} <adjective> <goods>",
    "{the road|the path|the street} {to the <habitat>|beside the <habitat>} was <adjective> {and <adjective2>|but safe|and long}",
    "{one|another} {visitor|neighbour|reader} {liked|disliked|praised|forgot} the <food> {very much|a little|at once|for years}",
]


def filler(draw: Draw) -> str:
    """One sentence about nothing in particular."""
    first, second = draw.some(ADJECTIVES, 2)
    text = draw.say(
        draw.pick(FORMS),
        weather=draw.pick(WEATHER),
        food=draw.pick(FOODS),
        goods=draw.pick(GOODS),
        habitat=draw.pick(HABITATS),
        an_adjective=with_article(first),
        adjective=first,
        adjective2=second,
    )
    return sentence(text)
