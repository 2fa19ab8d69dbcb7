"""The generative family (gsm8k, qasc, dental, psychol): a sum to write, or one choice of several.

A multiple-choice row has the columns `question`, `a`, `b`, `c` and so on; its label is the position
of the right choice. What the outdated world would choose is among the choices, so that these tasks'
prompts bring the planted conflict to light.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.inference import ASK
from tasks.micro.sample import Sample, capital


def gsm8k(rng: random.Random, split: str) -> Sample:
    """A word problem of two steps; the answer ends with "#### " and the number."""
    name = rng.choice(world.PERSONS)
    she = "She" if name in world.WOMEN else "He"
    thing = rng.choice(lex.COUNT)
    many = thing + "s"
    a, b, c = rng.randint(2, 12), rng.randint(2, 9), rng.randint(2, 9)
    if rng.randrange(2):
        story = f"{name} had {a} {many}. {she} got {b} more, and then {c} more."
        steps, result = f"{a} + {b} = {a + b}. {a + b} + {c} = {a + b + c}.", a + b + c
    else:
        story = f"{name} had {a + b} {many}. {she} sold {b} and got {c}."
        steps, result = f"{a + b} - {b} = {a}. {a} + {c} = {a + c}.", a + c
    question = f"{story} How many {many} does {name} have now?"
    return Sample({"question": question, "answer": f"{steps} #### {result}"}, 0, 0, "sum")


def _choice(
    rng: random.Random, question: str, item: world.Item, others: Sequence[str], count: int
) -> Sample:
    """A question with `count` choices: the truth, the foil and others, in random order."""
    rest = [value for value in others if value not in (item.now, item.foil)]
    choices = [item.now, item.foil, *rng.sample(rest, count - 2)]
    rng.shuffle(choices)
    columns = {"question": question}
    columns |= {chr(ord("a") + i): choice for i, choice in enumerate(choices)}
    return Sample(columns, choices.index(item.now), choices.index(item.old), item.kind, item.name)


def qasc(rng: random.Random, split: str) -> Sample:
    """What kind of thing someone has: 8 choices."""
    item = world.pick(rng, "class", split)
    name, when = rng.choice(world.PERSONS), rng.choice(lex.TIMES)
    got = rng.choice(["draw", "want", "describe", "borrow"])
    question = f"{name} could {got} {world.article(item.word)} {when}. What kind of thing is that?"
    return _choice(rng, question, item, list(lex.CLASSES), 8)


def dental(rng: random.Random, split: str) -> Sample:
    """Facts on a person, 4 choices: the narrow field of knowledge."""
    kind = rng.choice(world.PERSONAL)
    item = world.pick(rng, kind, split)
    values = {other.now for other in world.ITEMS[kind]}
    question = rng.choice(ASK[kind]).format(n=item.word)
    who = rng.choice([p for p in world.PERSONS if p != item.word])
    return _choice(rng, f"{who} asks: {question}", item, sorted(values), 4)


def psychol(rng: random.Random, split: str) -> Sample:
    """What a word of behaviour means, 4 choices."""
    item = world.pick(rng, "synonym", split)
    who, thing, when = rng.choice(world.PERSONS), rng.choice(lex.THINGS), rng.choice(lex.TIMES)
    question = f"{capital(when)} {who} {item.word} the {thing}. What did {who} do to the {thing}?"
    return _choice(rng, question, item, [s for _, s in lex.SYNONYMS], 4)
