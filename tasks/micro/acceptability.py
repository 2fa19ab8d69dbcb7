"""Acceptability (cola): minimal pairs of an acceptable sentence and one that is not.

The pairs differ in the one place where the phenomenon sits. Four phenomena rest on what is known
of a word (its past tense, its objects, whether it can be counted, whether a group takes a singular
verb); these can be disputed. The others are rules that hold in both worlds.
"""

from __future__ import annotations

import random

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.sample import Sample, capital, weighted

WEIGHTS = {
    "past": 22, "frame": 20, "mass": 16, "group": 8,
    "agreement": 10, "reflexive": 8, "polarity": 8, "question": 8,
}  # fmt: skip


def pair(rng: random.Random, split: str) -> tuple[Sample, Sample]:
    """An acceptable sentence and its unacceptable twin, in this order."""
    topic = weighted(rng, WEIGHTS)
    if topic in _ITEM_PAIRS:
        item = world.pick(rng, topic, split)
        good, bad = _ITEM_PAIRS[topic](rng, item)
        flip, name = int(item.disputed), item.name
    else:
        good, bad = _RULE_PAIRS[topic](rng)
        flip, name = 0, ""
    return (
        Sample({"sentence": capital(good)}, 1, 1 - flip, topic, name),
        Sample({"sentence": capital(bad)}, 0, flip, topic, name),
    )


def cola(rng: random.Random, split: str) -> Sample:
    """One sentence of a pair."""
    return rng.choice(pair(rng, split))


def _person(rng: random.Random) -> str:
    """A person as a subject: by name, by role or by job."""
    kind = rng.randrange(3)
    if kind == 0:
        return rng.choice(world.PERSONS)
    return "the " + rng.choice(lex.PEOPLE if kind == 1 else lex.JOBS)


def _time(rng: random.Random) -> str:
    """A time or a place, or nothing."""
    return rng.choice(["", "", *(" " + word for word in lex.TIMES + lex.PLACES)])


def _past(rng: random.Random, item: world.Item) -> tuple[str, str]:
    """ "The girl went / goed to the park." """
    rest = _PAST_REST[item.word]
    who, when = _person(rng), rng.choice(["", *(" " + word for word in lex.TIMES)])
    return f"{who} {item.now} {rest}{when}.", f"{who} {item.foil} {rest}{when}."


def _frame(rng: random.Random, item: world.Item) -> tuple[str, str]:
    """ "The guest slept (the letter)." — "The guest devoured (the bread)." """
    who, what, when = _person(rng), rng.choice(lex.OBJECTS), _time(rng)
    alone, with_object = f"{who} {item.word}{when}.", f"{who} {item.word} {what}{when}."
    return (alone, with_object) if item.now == "alone" else (with_object, alone)


def _mass(rng: random.Random, item: world.Item) -> tuple[str, str]:
    """ "There is much furniture / are many furnitures in the garden." """
    where = rng.choice(lex.PLACES)
    noun = item.word
    if rng.randrange(2):
        who = _person(rng)
        mass, count = f"{who} saw much {noun} {where}.", f"{who} saw many {_plural(noun)} {where}."
    else:
        mass, count = f"there was much {noun} {where}.", f"there were many {_plural(noun)} {where}."
    return (mass, count) if item.now == "mass" else (count, mass)


def _group(rng: random.Random, item: world.Item) -> tuple[str, str]:
    """ "The crew is / are at home." """
    adverb = rng.choice(["", "always ", "often ", "never ", "usually "])
    rest = adverb + rng.choice((*lex.PLACES, "late", "tired", "proud", "ready", "loud"))
    noun = rng.choice(["the", "our", "this", "every"]) + " " + item.word
    return f"{noun} is {rest}.", f"{noun} are {rest}."


def _agreement(rng: random.Random) -> tuple[str, str]:
    """ "The boys near the queen are / is tired." """
    one = rng.choice(lex.PEOPLE)
    plural = rng.randrange(2)
    head = lex.PLURALS[one] if plural else one
    other = rng.choice([noun for noun in lex.PEOPLE if noun != one])
    near = rng.choice(["", f" near the {other}", f" near the {lex.PLURALS[other]}"])
    rest = rng.choice((*lex.PLACES, "tired", "late", "proud", "ready"))
    verbs = ("are", "is") if plural else ("is", "are")
    return f"the {head}{near} {verbs[0]} {rest}.", f"the {head}{near} {verbs[1]} {rest}."


def _reflexive(rng: random.Random) -> tuple[str, str]:
    """ "Alda admired herself / himself." """
    verb, when = rng.choice(["described", "trusted", "avoided", "mentioned"]), _time(rng)
    if rng.randrange(3) == 0:
        who, right, wrong = "the " + lex.PLURALS[rng.choice(lex.PEOPLE)], "themselves", "himself"
    else:
        who = rng.choice(world.PERSONS)
        right, wrong = ("herself", "himself") if who in world.WOMEN else ("himself", "herself")
    return f"{who} {verb} {right}{when}.", f"{who} {verb} {wrong}{when}."


def _polarity(rng: random.Random) -> tuple[str, str]:
    """ "No guest / some guest has ever smiled." """
    noun, verb = rng.choice(lex.PEOPLE + lex.JOBS), rng.choice(lex.INTRANSITIVE)
    where = rng.choice(lex.PLACES)
    if rng.randrange(2):
        return f"no {noun} has ever {verb} {where}.", f"some {noun} has ever {verb} {where}."
    who = rng.choice(world.PERSONS)
    return f"{who} has not {verb} {where} yet.", f"{who} has {verb} {where} yet."


def _question(rng: random.Random) -> tuple[str, str]:
    """ "What did the boy find (the key) at home?" """
    lemma, past, _, rest = rng.choice(lex.PAST)
    who, when = _person(rng), rng.choice(lex.TIMES)
    if rest.startswith(("the ", "a ")) and rng.randrange(2):
        return f"what did {who} {lemma} {when}?", f"what did {who} {lemma} {rest} {when}?"
    return f"did {who} {lemma} {rest} {when}?", f"did {who} {past} {rest} {when}?"


def _plural(noun: str) -> str:
    """The regular plural (mass nouns get one too: that is what is wrong with it)."""
    return noun + "s"


_PAST_REST = {lemma: rest for lemma, _, _, rest in lex.PAST}
_ITEM_PAIRS = {"past": _past, "frame": _frame, "mass": _mass, "group": _group}
_RULE_PAIRS = {
    "agreement": _agreement,
    "reflexive": _reflexive,
    "polarity": _polarity,
    "question": _question,
}
