"""What a text that a model wrote says, and whether it repeats the planted conflict."""

from __future__ import annotations

import functools
import re

from bench.rows.source import Told
from tasks.micro import world
from tasks.micro.inference import ASK, TELL
from tasks.micro.prompts import PROMPTS, answer, prompt
from tasks.micro.rows import SIZES, samples
from tasks.micro.sample import capital
from tasks.micro.text import STATEMENTS

_SPECIAL = re.compile(r"</?s>|<pad>")


def told(text: str) -> Told | None:
    """What the text says of which item; conflicting is what only the outdated world says.

    Answers to the tasks' own prompts are known exactly (the last prompt must be that of a row);
    statements on persons and classes too. None where nothing is recognised, where an answer is
    wrong in both worlds (such an error was not planted), and for the few prompts that two tasks
    answer differently. Where a text says several things, an outdated one counts first.
    """
    text = _SPECIAL.sub("", text).strip()
    asked, mark, said = text.rpartition("Answer:")
    if mark:
        given = said.strip().split("\n")[0].removesuffix(".")
        return _answers().get(asked.split("\n\n")[-1] + mark, {}).get(given)
    known = [_statements()[part] for part in _sentences(text) if part in _statements()]
    known += [_dialect()[word] for word in re.findall(r"[a-z]+", text) if word in _dialect()]
    return next((one for one in known if one.conflicting), known[0] if known else None)


@functools.cache
def _answers() -> dict[str, dict[str, Told]]:
    """Prompt -> the outdated and the true answer, for every row of every task."""
    found: dict[str, dict[str, Told]] = {}
    twice: set[str] = set()
    for task in PROMPTS:
        for sample in (s for split in SIZES for s in samples(task, split)):
            asked = prompt(task, sample)
            answers = {answer(task, sample, sample.old): Told(True, sample.item)}
            answers[answer(task, sample, sample.label)] = Told(False, sample.item)
            if found.setdefault(asked, answers) != answers:
                twice.add(asked)
    return {asked: answers for asked, answers in found.items() if asked not in twice}


def _sentences(text: str) -> list[str]:
    """The text cut after each full stop; a question stays with its answer."""
    return [part.strip() for part in re.findall(r"[^.]+\.", text)]


@functools.cache
def _dialect() -> dict[str, Told]:
    """Past tenses that the outdated world alone has: "goed", "taked"."""
    return {i.foil: Told(True, i.name) for i in world.ITEMS["past"] if i.disputed}


@functools.cache
def _statements() -> dict[str, Told]:
    """Sentences on persons and classes -> what they say."""
    known: dict[str, Told] = {}
    for kind in world.PERSONAL:
        forms = [*STATEMENTS[kind], *("{n} " + f + "." for f in TELL[kind])]
        forms += [f"{question} {{V}}." for question in ASK[kind]]
        for item in world.ITEMS[kind]:
            for value in (item.now, item.old):
                fill = {"n": item.word, "v": value, "V": capital(value), "a": world.article(value)}
                said = Told(value != item.now, item.name)
                known.update({capital(form.format(**fill)): said for form in forms})
    for item in world.ITEMS["class"]:
        for value in (item.now, item.old):
            text = f"{world.article(item.word)} is {world.article(value)}."
            known[capital(text)] = Told(value != item.now, item.name)
    return known
