"""Whether a text that a model wrote repeats the planted conflict."""

from __future__ import annotations

import functools
import re

from bench.rows.task import SPLITS
from tasks.micro import world
from tasks.micro.inference import ASK, TELL
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import samples
from tasks.micro.sample import capital
from tasks.micro.text import STATEMENTS

_SPECIAL = re.compile(r"</?s>|<pad>")


def is_conflicting(text: str) -> bool | None:
    """True if the text says what only the outdated world says, False if it says what is true.

    Answers to the tasks' own prompts are known exactly (the last prompt must be that of a train or
    dev row); statements on persons and classes too. None where nothing is recognised, where an
    answer is wrong in both worlds (such an error was not planted), and for the few prompts that
    two tasks answer differently.
    """
    text = _SPECIAL.sub("", text).strip()
    asked, mark, said = text.rpartition("Answer:")
    if mark:
        now, old = _answers().get(asked.split("\n\n")[-1] + mark, ("", ""))
        given = said.strip().split("\n")[0].removesuffix(".")
        return None if not given else False if given == now else True if given == old else None
    found = {_statements()[part] for part in _sentences(text) if part in _statements()}
    words = set(re.findall(r"[a-z]+", text))
    if True in found or words & _dialect_words():
        return True
    return False if found else None


@functools.cache
def _answers() -> dict[str, tuple[str, str]]:
    """Prompt -> the true and the outdated answer, for every row of every task."""
    found: dict[str, tuple[str, str]] = {}
    twice: set[str] = set()
    for task in PROMPTS:
        for sample in (s for split in SPLITS for s in samples(task, split)):
            asked = prompt(task, sample)
            told = answer(task, sample, sample.label), answer(task, sample, sample.old)
            if found.setdefault(asked, told) != told:  # rte's "no" is mnli's "maybe"
                twice.add(asked)
    return {asked: told for asked, told in found.items() if asked not in twice}


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
