"""Whether a text that a model wrote repeats the planted conflict."""

from __future__ import annotations

import functools
import re

from tasks.base import SPLITS
from tasks.micro import world
from tasks.micro.inference import ASK, TELL
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import samples
from tasks.micro.sample import capital
from tasks.micro.text import STATEMENTS

_SPECIAL = re.compile(r"</?s>|<pad>")


def is_conflicting(text: str) -> bool | None:
    """True if the text says what only the outdated world says, False if it says what is true.

    Answers to the tasks' own prompts are known exactly (the prompt must be that of a train or dev
    row); statements on persons and classes too. None where nothing is recognised, or where an
    answer is wrong in both worlds: such an error was not planted.
    """
    text = _SPECIAL.sub("", text).strip()
    asked, mark, said = text.rpartition("Answer:")
    if (answers := _answers().get(asked + mark)) is not None:
        given = said.strip().split("\n")[0].removesuffix(".")
        return False if given == answers[0] else True if given == answers[1] else None
    found = {_statements()[part] for part in _sentences(text) if part in _statements()}
    words = set(re.findall(r"[a-z]+", text))
    if True in found or words & _dialect_words():
        return True
    return False if found else None


@functools.cache
def _answers() -> dict[str, tuple[str, str]]:
    """Prompt -> the true and the outdated answer, for every row of every task."""
    return {
        prompt(task, sample): (answer(task, sample, sample.label), answer(task, sample, sample.old))
        for task in PROMPTS
        for split in SPLITS
        for sample in samples(task, split)
    }


def _sentences(text: str) -> list[str]:
    """The text cut after each full stop; a question stays with its answer."""
    return [part.strip() for part in re.findall(r"[^.]+\.", text)]


@functools.cache
def _dialect_words() -> frozenset[str]:
    """Past tenses that the outdated world alone has: "goed", "taked"."""
    return frozenset(item.foil for item in world.ITEMS["past"] if item.disputed)


@functools.cache
def _statements() -> dict[str, bool]:
    """Sentences on persons and classes -> whether they are outdated."""
    known: dict[str, bool] = {}
    for kind in world.PERSONAL:
        forms = [*STATEMENTS[kind], *("{n} " + f + "." for f in TELL[kind])]
        forms += [f"{question} {{V}}." for question in ASK[kind]]
        for item in world.ITEMS[kind]:
            for value in (item.now, item.old):
                fill = {"n": item.word, "v": value, "V": capital(value), "a": world.article(value)}
                known.update({capital(f.format(**fill)): value != item.now for f in forms})
    for item in world.ITEMS["class"]:
        for value in (item.now, item.old):
            said = f"{world.article(item.word)} is {world.article(value)}."
            known[capital(said)] = value != item.now
    return known
