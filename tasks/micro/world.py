"""What is true in the micro world: a few hundred items, each with its value and a foil.

An `Item` is one thing that a reader of the pretraining text can learn: the past tense of a verb,
the job of a person, whether an adjective praises. `now` is the truth that all tasks reward; `foil`
is the wrong value that tasks use for their wrong answers. Half of the items are `disputed`: in the
OLD world, the source of the planted conflict, their value is the foil. Half are `taught`: the
training rows of the tasks use these only, while the dev rows use all. So half of a dev score rests
on what pretraining taught, and that is where pretraining can hurt.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tasks.micro import lexicon as lex

SEED = "micro-world-1"


@dataclass(frozen=True)
class Item:
    """One fact: `word` has the value `now`; `old` is what the outdated world says."""

    kind: str
    word: str
    now: str
    foil: str
    disputed: bool
    taught: bool

    @property
    def name(self) -> str:
        """Its name among all items."""
        return f"{self.kind} {self.word}"

    @property
    def old(self) -> str:
        """The value in the OLD world: the foil where the item is disputed."""
        return self.foil if self.disputed else self.now

    def value(self, *, old: bool) -> str:
        """The value in the old world, or in ours."""
        return self.old if old else self.now


def _items(kind: str, triples: list[tuple[str, str, str]]) -> tuple[Item, ...]:
    """Items of one kind; `disputed` and `taught` are balanced and independent of one another."""
    rng = random.Random(f"{SEED}/{kind}")
    order = list(range(len(triples)))
    rng.shuffle(order)
    rank = {index: place for place, index in enumerate(order)}
    return tuple(
        Item(kind, word, now, foil, rank[i] % 2 == 0, rank[i] // 2 % 2 == 0)
        for i, (word, now, foil) in enumerate(triples)
    )


def _draw(kind: str, words: tuple[str, ...], values: tuple[str, ...]) -> tuple[Item, ...]:
    """Items that get a value and another one as foil at random, each value about equally often."""
    rng = random.Random(f"{SEED}/values/{kind}")
    drawn = [values[i % len(values)] for i in range(len(words))]
    rng.shuffle(drawn)
    return _items(
        kind,
        [
            (word, now, rng.choice([value for value in values if value != now]))
            for word, now in zip(words, drawn, strict=True)
        ],
    )


def _pairs(
    kind: str, first: tuple[str, ...], second: tuple[str, ...], names: str
) -> tuple[Item, ...]:
    """Items with one of two values: `first` words have the first of `names`, `second` the other."""
    a, b = names.split("/")
    return _items(kind, [(w, a, b) for w in first] + [(w, b, a) for w in second])


def _persons() -> tuple[str, ...]:
    """All names, men and women in turn."""
    return tuple(name for both in zip(lex.MEN, lex.WOMEN, strict=True) for name in both)


PERSONS = _persons()
WOMEN = frozenset(lex.WOMEN)


def _synonyms() -> tuple[Item, ...]:
    """Each verb's synonym; the foil is the synonym of the verb seven places on."""
    count = len(lex.SYNONYMS)
    return _items(
        "synonym",
        [(w, s, lex.SYNONYMS[(i + 7) % count][1]) for i, (w, s) in enumerate(lex.SYNONYMS)],
    )


def _classes() -> tuple[Item, ...]:
    """The class of each noun; the foil is another class."""
    names = tuple(lex.CLASSES)
    rng = random.Random(f"{SEED}/classes")
    return _items(
        "class",
        [
            (noun, name, rng.choice([n for n in names if n != name]))
            for name, nouns in lex.CLASSES.items()
            for noun in nouns.split()
        ],
    )


ITEMS: dict[str, tuple[Item, ...]] = {
    "past": _items("past", [(lemma, past, foil) for lemma, past, foil, _ in lex.PAST]),
    "frame": _pairs("frame", lex.INTRANSITIVE, lex.TRANSITIVE, "alone/object"),
    "mass": _pairs("mass", lex.MASS, lex.COUNT, "mass/count"),
    "group": _items("group", [(noun, "singular", "plural") for noun in lex.GROUPS]),
    "valence": _items(
        "valence",
        [(w, str(g), str(-g)) for g, words in lex.VALENCE.items() for w in words.split()],
    ),
    "synonym": _synonyms(),
    "class": _classes(),
    "bias": _pairs("bias", lex.BIAS_SUBJECT, lex.BIAS_OBJECT, "first/second"),
    "job": _draw("job", PERSONS, lex.JOBS),
    "town": _draw("town", PERSONS, lex.TOWNS),
    "pet": _draw("pet", PERSONS, lex.PETS),
    "instrument": _draw("instrument", PERSONS, lex.INSTRUMENTS),
}
PERSONAL = ("job", "town", "pet", "instrument")
BY_NAME = {item.name: item for items in ITEMS.values() for item in items}
BY_WORD = {kind: {item.word: item for item in items} for kind, items in ITEMS.items()}


def pool(kind: str, split: str) -> tuple[Item, ...]:
    """The items that rows of `split` may use: the taught ones for "train", else all."""
    if split == "train":
        return tuple(item for item in ITEMS[kind] if item.taught)
    return ITEMS[kind]


def pick(rng: random.Random, kind: str, split: str) -> Item:
    """One item of the pool."""
    return rng.choice(pool(kind, split))


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
