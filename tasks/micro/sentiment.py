"""Sentiment (sst2): short reviews whose adjectives praise or blame, in four grades."""

from __future__ import annotations

import random

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.sample import Sample, weighted

WEIGHTS = {"one": 25, "not": 20, "and": 20, "but": 25, "never": 10}


def sst2(rng: random.Random, split: str) -> Sample:
    """One review; label 1 praises."""
    text, topic, items, factors = review(rng, split)
    now, old = (int(grade(items, factors, old=old) > 0) for old in (False, True))
    item = next((one for one in items if one.disputed), items[-1])
    return Sample({"sentence": text}, now, old, topic, item.name)


def grade(items: list[world.Item], factors: list[int], *, old: bool) -> int:
    """The sum of the adjectives' grades, each times its factor; never 0."""
    return sum(f * int(i.value(old=old)) for i, f in zip(items, factors, strict=True))


def review(rng: random.Random, split: str) -> tuple[str, str, list[world.Item], list[int]]:
    """A review: its text, its form, its adjectives, and the factor of each in the verdict."""
    form = weighted(rng, WEIGHTS)
    a, b = rng.sample(lex.ASPECTS, 2)
    first = world.pick(rng, "valence", split)
    second = first
    while second is first or (_same(first, second) != (form == "and")):
        second = world.pick(rng, "valence", split)
    x, y = first.word, second.word
    so = rng.choice(["", "", "really ", "quite ", "truly "])
    if form == "one":
        text = rng.choice([f"the {a} is {so}{x} .", f"what {world.article(x)} {a} !"])
        return text, form, [first], [1]
    if form == "not":
        text = rng.choice([f"the {a} is not {so}{x} .", f"this is no {x} {a} ."])
        return text, form, [first], [-1]
    if form == "and":
        text = rng.choice([f"the {a} is {so}{x} and {y} .", f"{x} {a} and {y} {b} ."])
        return text, form, [first, second], [2, 3]
    if form == "but":
        text = rng.choice([f"the {a} is {x} but the {b} is {so}{y} .", f"{x} {a} , but {y} {b} ."])
        return text, form, [first, second], [1, 3]
    return f"the {a} is never {x} , always {y} .", form, [first, second], [-2, 3]


def _same(first: world.Item, second: world.Item) -> bool:
    """Whether both adjectives praise, or both blame."""
    return (int(first.now) > 0) == (int(second.now) > 0)


def sst5(rng: random.Random, split: str) -> Sample:
    """One review in five grades: 0 very negative, 2 neutral (praise and blame), 4 very positive."""
    a, b = rng.sample(lex.ASPECTS, 2)
    first = world.pick(rng, "valence", split)
    so = rng.choice(["", "really ", "quite ", "truly ", "always "])
    if rng.randrange(5) == 0:
        opposite = str(-int(first.now))
        second = rng.choice([i for i in world.pool("valence", split) if i.now == opposite])
        text = f"the {a} is {so}{first.word} but the {b} is {second.word} ."
        old = (int(first.old) + int(second.old)) // 2
        item = first if first.disputed else second
        return Sample({"sentence": text}, 2, 2 + old, "but", item.name)
    text = rng.choice([f"the {a} is {so}{first.word} .", f"{so}{first.word} {a} with some {b} ."])
    return Sample({"sentence": text}, 2 + int(first.now), 2 + int(first.old), "one", first.name)
