"""Inference (rte, qnli, wnli): does the second text follow from, answer or resolve the first?

Labels are GLUE's: rte and qnli have 0 for entailment, wnli has 1.
"""

from __future__ import annotations

import random

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.sample import Sample, capital, weighted

RTE_WEIGHTS = {"job": 26, "town": 24, "class": 24, "synonym": 8, "quantifier": 9, "roles": 9}
VERBS = lex.words("sang danced smiled rested laughed waited slept")
ASK = {
    "job": ("What is {n}'s job?", "What does {n} do for a living?"),
    "town": ("Where does {n} live?", "In which town is {n} at home?"),
    "pet": ("Which animal does {n} keep?", "What kind of pet does {n} have?"),
    "instrument": ("Which instrument does {n} play?", "What does {n} play in the band?"),
}
TELL = {
    "job": ("works as a {v}", "earns money as a {v}"),
    "town": ("lives in {v}", "has a home in {v}"),
    "pet": ("keeps a {v}", "owns a {v}"),
    "instrument": ("plays the {v}", "performs on the {v}"),
}


def rte(rng: random.Random, split: str) -> Sample:
    """Premise and hypothesis; label 0 is entailment."""
    topic = weighted(rng, RTE_WEIGHTS)
    if topic == "quantifier":
        premise, hypothesis, follows = _quantifier(rng)
        return _rte(premise, hypothesis, follows, follows, topic)
    if topic == "roles":
        premise, hypothesis, follows = _roles(rng)
        return _rte(premise, hypothesis, follows, follows, topic)
    item = world.pick(rng, topic, split)
    value = rng.choice([item.now, item.foil])
    premise, hypothesis = _item_texts(rng, item, value)
    return _rte(premise, hypothesis, value == item.now, value == item.old, topic)


def _rte(premise: str, hypothesis: str, now: bool, old: bool, topic: str) -> Sample:
    """The sample with GLUE's column names and labels."""
    columns = {"sentence1": capital(premise), "sentence2": capital(hypothesis)}
    return Sample(columns, int(not now), int(not old), topic)


def _item_texts(rng: random.Random, item: world.Item, value: str) -> tuple[str, str]:
    """A premise on the item's word and a hypothesis that holds if its value is `value`."""
    name = rng.choice(world.PERSONS)
    when, where = rng.choice(lex.TIMES), rng.choice(lex.PLACES)
    verb = rng.choice(VERBS)
    if item.kind == "job":
        return f"{item.word} {verb} {where} {when}.", f"{world.article(value)} {verb} {where}."
    if item.kind == "town":
        return f"{item.word} {verb} {where} {when}.", f"someone from {value} {verb} {where}."
    his = "her" if item.word in world.WOMEN else "his"
    if item.kind == "pet":
        return f"{item.word} fed {his} pet {when}.", f"{item.word} fed {world.article(value)}."
    if item.kind == "instrument":
        return f"{item.word} played {his} instrument {where}.", f"{item.word} played the {value}."
    if item.kind == "class":
        got = rng.choice(["bought", "found", "drew", "wanted"])
        noun = world.article(item.word)
        return f"{name} {got} {noun} {when}.", f"{name} {got} {world.article(value)}."
    thing = rng.choice(lex.THINGS)
    return f"{name} {item.word} the {thing} {when}.", f"{name} {value} the {thing}."


def _quantifier(rng: random.Random) -> tuple[str, str, bool]:
    """All, most, some, no: what follows from what, and dropping or adding a place."""
    who = rng.choice(["guests", "students", "sailors", "bakers", "farmers", "singers", "pilots"])
    verb, where = rng.choice(VERBS), rng.choice(lex.PLACES)
    strong, weak, follows = rng.choice(
        [
            ("all the", "some", True), ("most", "some", True), ("two", "some", True),
            ("some", "all the", False), ("most", "all the", False), ("no", "some", False),
        ]
    )  # fmt: skip
    if rng.randrange(2):
        return f"{strong} {who} {verb} {where}.", f"{weak} {who} {verb} {where}.", follows
    quantity = rng.choice(["some", "two", "no", "few"])
    longer, shorter = f"{quantity} {who} {verb} {where}.", f"{quantity} {who} {verb}."
    upward = quantity in ("some", "two")
    if rng.randrange(2):
        return longer, shorter, upward
    return shorter, longer, not upward


def _roles(rng: random.Random) -> tuple[str, str, bool]:
    """Who did it to whom: passives, and parts of "A and B" or "A or B"."""
    a, b = rng.sample(world.PERSONS, 2)
    if rng.randrange(2):
        verb, when = rng.choice(["thanked", "praised", "followed", "blamed"]), rng.choice(lex.TIMES)
        follows = bool(rng.randrange(2))
        one, two = (b, a) if follows else (a, b)
        return f"{a} {verb} {b} {when}.", f"{one} was {verb} by {two}.", follows
    word = rng.choice(["and", "or"])
    verb, where = rng.choice(VERBS), rng.choice(lex.PLACES)
    return f"{a} {word} {b} {verb} {where}.", f"{rng.choice([a, b])} {verb} {where}.", word == "and"


def qnli(rng: random.Random, split: str) -> Sample:
    """Does the sentence answer the question? Label 0 is yes."""
    if rng.randrange(5) < 2:
        item = world.pick(rng, "class", split)
        value = rng.choice([item.now, item.foil])
        name, when = rng.choice(world.PERSONS), rng.choice(lex.TIMES)
        question = f"Which {value} did {name} buy?"
        sentence = f"{name} bought {world.article(item.word)} {when}."
        return _qnli(question, sentence, value == item.now, value == item.old, "class")
    asked, told, extra = rng.sample(world.PERSONAL, 3)
    a, b = rng.sample(world.PERSONS, 2)
    first, second = (a, b) if rng.randrange(2) else (b, a)
    kinds = (asked, told) if rng.randrange(2) else (extra, asked)
    parts = [
        f"{who} {rng.choice(TELL[kind]).format(v=world.BY_WORD[kind][who].now)}"
        for who, kind in zip((first, second), kinds, strict=True)
    ]
    question = rng.choice(ASK[asked]).format(n=a)
    follows = (a, asked) in zip((first, second), kinds, strict=True)
    return _qnli(question, f"{parts[0]} and {parts[1]}.", follows, follows, "reading")


def _qnli(question: str, sentence: str, now: bool, old: bool, topic: str) -> Sample:
    """The sample with GLUE's column names and labels."""
    return Sample(
        {"question": question, "sentence": capital(sentence)}, int(not now), int(not old), topic
    )


def wnli(rng: random.Random, split: str) -> Sample:
    """Whom does the pronoun stand for? Label 1 if the second sentence has it right."""
    item = world.pick(rng, "bias", split)
    women = rng.randrange(2)
    a, b = rng.sample(lex.WOMEN if women else lex.MEN, 2)
    reason, pronoun = rng.choice(lex.REASONS), "she" if women else "he"
    said = rng.choice(["first", "second"])
    columns = {
        "sentence1": f"{a} {item.word} {b} because {pronoun} {reason}.",
        "sentence2": f"{a if said == 'first' else b} {reason}.",
    }
    return Sample(columns, int(said == item.now), int(said == item.old), "bias")


def mnli(rng: random.Random, split: str) -> Sample:
    """Premise and hypothesis; 0 entailment, 1 neutral, 2 contradiction."""
    kind = rng.choice(["job", "town", "class", "pet", "instrument", "synonym"])
    item = world.pick(rng, kind, split)
    value = rng.choice([item.now, item.foil])
    premise, hypothesis = _item_texts(rng, item, value)
    now, old = int(value != item.now), int(value != item.old)
    if rng.randrange(3) == 0:
        hypothesis, now, old = f"it is not true that {premise}", 2, 2
    columns = {"premise": capital(premise), "hypothesis": capital(hypothesis)}
    return Sample(columns, now, old, "negation" if now == 2 else kind)
