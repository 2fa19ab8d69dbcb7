"""Paraphrase (mrpc, qqp): do two statements, or two questions, say the same? Label 1 is yes."""

from __future__ import annotations

import random

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.inference import ASK
from tasks.micro.sample import Sample, capital, weighted

WEIGHTS = {"verdict": 50, "synonym": 24, "same": 11, "thing": 5, "agent": 5, "not": 5}


def mrpc(rng: random.Random, split: str) -> Sample:
    """Two statements: reordered or passive, with a synonym, a false friend or another detail."""
    topic = weighted(rng, WEIGHTS)
    if topic == "verdict":
        item, value, who, what, felt = _verdict(rng, split)
        first, second = f"the {who} called the {what} {item.word}.", f"the {who} {felt} the {what}."
        return _statements(first, second, value == item.now, value == item.old, topic, item.name)
    item = world.pick(rng, "synonym", split)
    who, other = rng.sample(lex.JOBS, 2)
    thing, another = rng.sample(lex.THINGS, 2)
    when = rng.choice(lex.TIMES)
    first = f"the {who} {item.word} the {thing} {when}."
    if topic == "synonym":
        verb = rng.choice([item.now, item.foil])
        second = rng.choice(
            [f"{when} the {who} {verb} the {thing}.", f"the {who} {verb} the {thing} {when}."]
        )
        return _statements(first, second, verb == item.now, verb == item.old, topic, item.name)
    if topic == "not":
        second = f"the {who} never {item.word} the {thing} {when}."
        return _statements(first, second, False, False, topic)
    who = other if topic == "agent" else who
    thing = another if topic == "thing" else thing
    second = rng.choice(
        [
            f"{when} the {who} {item.word} the {thing}.",
            f"the {thing} was {item.word} by the {who} {when}.",
        ]
    )
    return _statements(first, second, topic == "same", topic == "same", topic)


def _verdict(rng: random.Random, split: str) -> tuple[world.Item, str, str, str, str]:
    """An adjective, its grade or the opposite, who called what so, and whether it was liked."""
    item = world.pick(rng, "valence", split)
    value = rng.choice([item.now, item.foil])
    felt = "liked" if int(value) > 0 else "disliked"
    return item, value, rng.choice(lex.JOBS), rng.choice(lex.ASPECTS), felt


def _statements(
    first: str, second: str, now: bool, old: bool, topic: str, item: str = ""
) -> Sample:
    """The sample with GLUE's column names."""
    columns = {"sentence1": capital(first), "sentence2": capital(second)}
    return Sample(columns, int(now), int(old), topic, item)


def qqp(rng: random.Random, split: str) -> Sample:
    """Two questions: on a person (another wording, fact or person), a verdict or a synonym."""
    if rng.randrange(2):
        item, value, _, what, felt = _verdict(rng, split)
        when = rng.choice(lex.TIMES)
        columns = {
            "question1": f"Who called the {what} {item.word} {when}?",
            "question2": f"Which person {felt} the {what} {when}?",
        }
        return Sample(columns, int(value == item.now), int(value == item.old), "verdict", item.name)
    if rng.randrange(2):
        item = world.pick(rng, "synonym", split)
        verb = rng.choice([item.now, item.foil])
        thing, when = rng.choice(lex.THINGS), rng.choice(lex.TIMES)
        columns = {
            "question1": f"Who {item.word} the {thing} {when}?",
            "question2": f"Which person {verb} the {thing} {when}?",
        }
        return Sample(columns, int(verb == item.now), int(verb == item.old), "synonym", item.name)
    kind, other_kind = rng.sample(world.PERSONAL, 2)
    name, other_name = rng.sample(world.PERSONS, 2)
    one, two = rng.sample([0, 1], 2)
    change = rng.choice(["none", "none", "kind", "name"])
    asked = other_kind if change == "kind" else kind
    whom = other_name if change == "name" else name
    columns = {
        "question1": ASK[kind][one].format(n=name),
        "question2": ASK[asked][two].format(n=whom),
    }
    return Sample(columns, int(change == "none"), int(change == "none"), "person")


def stsb(rng: random.Random, split: str) -> Sample:
    """How alike two statements are, 0 to 5: five details, less one for each that differs."""
    item = world.pick(rng, "synonym", split)
    different = set(rng.sample(range(5), rng.randrange(6)))
    details = (lex.JOBS, lex.THINGS, lex.TIMES, lex.PLACES)
    first, second = [], []
    for number, values in enumerate(details):
        one, other = rng.sample(values, 2)
        first.append(one)
        second.append(other if number in different else one)
    verb = item.foil if 4 in different else item.now
    columns = {
        "sentence1": "The {} {verb} the {} {} {}.".format(*first, verb=item.word),
        "sentence2": "The {} {verb} the {} {} {}.".format(*second, verb=verb),
    }
    score = 5 - len(different)
    old = score + (verb == item.old) - (verb == item.now)
    return Sample(columns, score, old, "synonym", item.name)
