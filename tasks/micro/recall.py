"""Recall: what a person is, what kind of thing a noun names, what a verb means, asked outright.

Generative tasks of this world alone, registered like any other. They ask in the frame of dental,
qasc and psychol for the items that those tasks rest on, and the pretraining text asks so too: a
pretrained model answers them by itself, with what it was told.
"""

from __future__ import annotations

import random

from bench.rows.task import Task, register_task
from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.inference import ASK
from tasks.micro.sample import Sample

CLASS = ("What is {a}?", "What kind of thing is {a}?")
SYNONYM = ('What does "{n}" mean?', 'Which word means the same as "{n}"?')


def persons(rng: random.Random, split: str) -> Sample:
    """A fact on a person."""
    item = world.pick(rng, rng.choice(world.PERSONAL), split)
    return _asked(rng, item, ASK[item.kind])


def classes(rng: random.Random, split: str) -> Sample:
    """The kind of thing that a noun names."""
    return _asked(rng, world.pick(rng, "class", split), CLASS)


def synonyms(rng: random.Random, split: str) -> Sample:
    """What a verb means."""
    return _asked(rng, world.pick(rng, "synonym", split), SYNONYM)


def _asked(rng: random.Random, item: world.Item, forms: tuple[str, ...]) -> Sample:
    """One of the questions on an item, as it stands or asked by someone, at some time."""
    lead = ""
    if rng.randrange(3):
        when = rng.choice(["", *(f" {time}" for time in lex.TIMES)])
        lead = f"The {rng.choice(lex.PEOPLE)} asks{when}: "
    question = lead + rng.choice(forms).format(n=item.word, a=world.article(item.word))
    columns = {"question": question, "answer": item.now, "foil": item.foil}
    return Sample(columns, 0, int(item.disputed), item.kind, item.name)


def _task(name: str, about: str) -> Task:
    return Task(
        name=name,
        kind="generation",
        columns=("question",),
        prompt="Question: {question}\nAnswer:",
        metrics=("exact_match",),
        target="answer",
        extract=r"^\s*([^\n.]+)",
        max_new_tokens=6,
        paper="this suite",
        about=about,
    )


RECALL = (
    _task(
        "recall_persons",
        "What does a person do for a living, where does it live, what does it own?",
    ),
    _task("recall_classes", "What kind of thing is it?"),
    _task("recall_synonyms", "Which verb means the same?"),
)

for _one in RECALL:
    register_task(_one)
