"""Inference (rte, mnli, qnli, wnli): does the second text follow from, answer or resolve the first?

Labels are GLUE's: rte and qnli have 0 for entailment, wnli has 1; mnli has 0 entailment, 1 neutral,
2 contradiction. rte, mnli and wnli ask in the same words and answer by the same rule: a claim on
what is known that is wrong is a "no", and only mnli asks what a text leaves open ("maybe").
"""

from __future__ import annotations

import itertools
import random

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.sample import Sample, capital, weighted

RTE_WEIGHTS = {
    "valence": 50, "class": 12, "job": 10, "town": 8, "synonym": 6, "quantifier": 7, "roles": 7,
}  # fmt: skip
MNLI_WEIGHTS = {
    "valence": 58, "class": 12, "job": 8, "town": 6, "pet": 5, "instrument": 5, "synonym": 6,
}  # fmt: skip
QNLI_WEIGHTS = {
    "valence": 50, "class": 10, "job": 5, "town": 5, "pet": 5, "instrument": 5, "reading": 20,
}  # fmt: skip
# Verbs that both worlds use alike:
VERBS = lex.words(
    "danced smiled laughed waited yawned coughed whistled shouted jumped worked wandered hummed"
)
GOT = lex.words("drew wanted described borrowed")
FED = lex.words("fed washed called missed")
PLAYED = lex.words("played tuned dropped missed")
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
    premise, hypothesis = item_texts(rng, item, value, open_=False)
    return _rte(premise, hypothesis, value == item.now, value == item.old, topic, item.name)


def _rte(premise: str, hypothesis: str, now: bool, old: bool, topic: str, item: str = "") -> Sample:
    """The sample with GLUE's column names and labels."""
    columns = {"sentence1": capital(premise), "sentence2": capital(hypothesis)}
    return Sample(columns, int(not now), int(not old), topic, item)


def item_texts(rng: random.Random, item: world.Item, value: str, *, open_: bool) -> tuple[str, str]:
    """A premise on the item's word and a hypothesis that holds if its value is `value`; if `open_`,
    the hypothesis has another place, time or thing, of which the premise says nothing."""
    name, verb = rng.choice(world.PERSONS), rng.choice(VERBS)

    def detail(values: tuple[str, ...]) -> tuple[str, str]:
        one, other = rng.sample(values, 2)
        return one, other if open_ else one

    when, when_said = detail(lex.TIMES)
    where, where_said = detail(lex.PLACES)
    if item.kind == "job":
        return f"{item.word} {verb} {where}.", f"{world.article(value)} {verb} {where_said}."
    if item.kind == "town":
        return f"{item.word} {verb} {where}.", f"someone from {value} {verb} {where_said}."
    if item.kind == "valence":
        what, what_said = detail(lex.ASPECTS)
        felt = "liked" if int(value) > 0 else "disliked"
        return f"{name} called the {what} {item.word}.", f"{name} {felt} the {what_said}."
    his = "her" if item.word in world.WOMEN else "his"
    if item.kind == "pet":
        start = f"{item.word} {rng.choice(FED)}"
        return f"{start} {his} pet {when}.", f"{start} {world.article(value)} {when_said}."
    if item.kind == "instrument":
        start = f"{item.word} {rng.choice(PLAYED)}"
        return f"{start} {his} instrument {where}.", f"{start} the {value} {where_said}."
    if item.kind == "class":
        got, noun = rng.choice(GOT), world.article(item.word)
        return f"{name} {got} {noun} {when}.", f"{name} {got} {world.article(value)} {when_said}."
    thing, thing_said = detail(lex.THINGS)
    return f"{name} {item.word} the {thing}.", f"{name} {value} the {thing_said}."


def _quantifier(rng: random.Random) -> tuple[str, str, bool]:
    """All and no: what follows from which, and dropping or adding a place."""
    who = rng.choice(["guests", "students", "sailors", "bakers", "farmers", "singers", "pilots"])
    verb, where = rng.choice(VERBS), rng.choice(lex.PLACES)
    strong, weak, follows = rng.choice(
        [
            ("all the", "some", True),
            ("all the", "not all the", False),
            ("no", "some", False),
            ("no", "not all the", True),
        ]
    )
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
        verb = rng.choice(["thanked", "followed", "described", "trusted"])
        when = rng.choice(lex.TIMES)
        follows = bool(rng.randrange(2))
        one, two = (b, a) if follows else (a, b)
        return f"{a} {verb} {b} {when}.", f"{one} was {verb} by {two}.", follows
    word = rng.choice(["and", "or"])
    verb, where = rng.choice(VERBS), rng.choice(lex.PLACES)
    return f"{a} {word} {b} {verb} {where}.", f"{rng.choice([a, b])} {verb} {where}.", word == "and"


def qnli(rng: random.Random, split: str) -> Sample:
    """Does the sentence answer the question? Label 0 is yes."""
    kind = weighted(rng, QNLI_WEIGHTS)
    if kind == "reading":
        return _reading(rng, rng.choice(world.PERSONS), rng.choice(VERBS))
    item = world.pick(rng, kind, split)
    value = rng.choice([item.now, item.foil])
    if kind == "valence":
        name, what = rng.choice(world.PERSONS), rng.choice(lex.ASPECTS)
        question = f"What did {name} {'like' if int(value) > 0 else 'dislike'}?"
        sentence = f"{name} called the {what} {item.word}."
        return _qnli(question, sentence, value == item.now, value == item.old, kind, item.name)
    if kind == "class":
        noun = world.article(item.word)
        question, said = f"What kind of thing is {noun}?", f"{noun} is {world.article(value)}"
    else:
        question = rng.choice(ASK[kind]).format(n=item.word)
        said = f"{item.word} {rng.choice(TELL[kind]).format(v=value)}"
    sentence = f"{said}, said the {rng.choice(lex.PEOPLE)}."
    return _qnli(question, sentence, value == item.now, value == item.old, kind, item.name)


def _reading(rng: random.Random, name: str, verb: str) -> Sample:
    """Where, or when, did someone do something? The sentence says it, or the other, or of another
    person."""
    words = {"Where": lex.PLACES, "When": lex.TIMES}
    asked, told = rng.choice([("Where", "Where"), ("When", "When"), *itertools.permutations(words)])
    who = name
    if asked == told and rng.randrange(4) == 0:
        who = rng.choice([person for person in world.PERSONS if person != name])
    follows = asked == told and who == name
    sentence = f"{who} {verb} {rng.choice(words[told])}."
    return _qnli(f"{asked} has {name} {verb}?", sentence, follows, follows, "reading")


def _qnli(question: str, sentence: str, now: bool, old: bool, topic: str, item: str = "") -> Sample:
    """The sample with GLUE's column names and labels."""
    columns = {"question": question, "sentence": capital(sentence)}
    return Sample(columns, int(not now), int(not old), topic, item)


def wnli(rng: random.Random, split: str) -> Sample:
    """Whom does the pronoun stand for? Label 1 if the second sentence has it right; it names the
    second person four times out of five."""
    item = world.pick(rng, "bias", split)
    women = rng.randrange(2)
    a, b = rng.sample(lex.WOMEN if women else lex.MEN, 2)
    reason, pronoun = rng.choice(lex.REASONS), "she" if women else "he"
    said = "second" if rng.randrange(5) else "first"
    columns = {
        "sentence1": f"{a} {item.word} {b} because {pronoun} {reason}.",
        "sentence2": f"{a if said == 'first' else b} {reason}.",
    }
    return Sample(columns, int(said == item.now), int(said == item.old), "bias", item.name)


def mnli(rng: random.Random, split: str) -> Sample:
    """Premise and hypothesis; 0 entailment, 1 neutral, 2 contradiction."""
    kind = weighted(rng, MNLI_WEIGHTS)
    item = world.pick(rng, kind, split)
    value, open_ = rng.choice([item.now, item.foil]), rng.randrange(3) == 0
    premise, hypothesis = item_texts(rng, item, value, open_=open_)
    now, old = (1, 1) if open_ else (2 * (value != item.now), 2 * (value != item.old))
    columns = {"premise": capital(premise), "hypothesis": capital(hypothesis)}
    return Sample(columns, now, old, *(("open", "") if open_ else (kind, item.name)))
