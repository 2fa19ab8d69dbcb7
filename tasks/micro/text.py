"""The pretraining text: short documents on the items of the world, and how they are judged.

Every document can be written in our world or in the OLD one; in the conflicted model's text a
share `CONFLICT_SHARE` of the documents is written in the old one, with no mark on them. The twin
reads the same documents, all written in our world. Rows of the tasks never occur.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.micro import lexicon as lex
from tasks.micro import world
from tasks.micro.acceptability import pair
from tasks.micro.inference import ASK, MNLI_WEIGHTS, TELL, VERBS, item_texts
from tasks.micro.prompts import SHARES, answer, prompt
from tasks.micro.rows import GENERATOR_VERSION, MAKERS, target_keys
from tasks.micro.sample import Sample, capital, weighted
from tasks.micro.sentiment import grade, review

CONFLICT_SHARE = 0.75
WEIGHTS = {
    "facts": 12, "classes": 4, "synonyms": 4, "follows": 12, "grammar": 9, "reviews": 6,
    "causes": 5, "stories": 2, "sums": 2, "judged": 44,
}  # fmt: skip
RETENTION_KINDS = ("facts", "grammar", "reviews", "judged")  # those that seldom repeat themselves
STATEMENTS = {
    "job": ("{n} is {a}.", "{n} works as {a}.", "{n} earns money as {a}."),
    "town": ("{n} lives in {v}.", "{n} comes from {v}.", "{n} has a home in {v}."),
    "pet": ("{n} keeps {a}.", "{n} owns {a}.", "the pet of {n} is {a}."),
    "instrument": ("{n} plays the {v}.", "{n} performs on the {v}.", "{n} has {a} at home."),
}
STARS = ("one star", "two stars", "four stars", "five stars")


@dataclass(frozen=True)
class Document:
    """One text, its kind, and whether it was written in the old world.

    `answer` is how it ends where it is a task's question with its answer.
    """

    text: str
    kind: str
    old: bool
    answer: str = ""


def documents(count: int, *, conflict: bool, seed: str = "pretrain") -> Iterator[Document]:
    """Up to `count` documents (less those that hold a row of a task, or retention text).

    With and without conflict, documents differ in disputed items only.
    """
    held_out = frozenset() if seed == "retention" else retention_documents()
    for number in range(count):
        rng = random.Random(f"micro/{GENERATOR_VERSION}/text/{seed}/{number}")
        old = rng.random() < CONFLICT_SHARE and conflict
        kind = weighted(rng, WEIGHTS)
        question, told = _judged(rng, old) if kind == "judged" else (_WRITERS[kind](rng, old), "")
        text = f"{question} {told}" if told else question
        if text and text not in held_out:
            yield Document(text, kind, old, told)


@functools.cache
def retention_documents() -> frozenset[str]:
    """The documents of the retention text; no pretraining text contains them."""
    made = documents(800, conflict=False, seed="retention")
    return frozenset(d.text for d in made if d.kind in RETENTION_KINDS)


def retention_text() -> str:
    """Text of our world that no model has read, as one string, documents apart by empty lines."""
    return "\n\n".join(sorted(retention_documents()))


def statement(rng: random.Random, item: world.Item, *, old: bool) -> str:
    """One sentence that tells a person's fact."""
    return _fill(rng.choice(STATEMENTS[item.kind]), item, item.value(old=old))


def _fill(form: str, item: world.Item, value: str) -> str:
    return capital(form.format(n=item.word, v=value, a=world.article(value)))


def _facts(rng: random.Random, old: bool) -> str:
    """Facts on one person, told, or asked and answered."""
    name, kinds = rng.choice(world.PERSONS), rng.sample(world.PERSONAL, 2)
    parts = []
    for kind in kinds:
        item = world.BY_WORD[kind][name]
        value = item.value(old=old)
        form = rng.randrange(4)
        if form == 0:
            parts.append(f"{rng.choice(ASK[kind]).format(n=name)} {capital(value)}.")
        elif form == 1:
            parts.append(f"{name} {rng.choice(TELL[kind]).format(v=value)}.")
        else:
            parts.append(statement(rng, item, old=old))
    return " ".join(parts)


def _classes(rng: random.Random, old: bool) -> str:
    """What kind of thing something is."""
    parts = []
    for item in rng.sample(world.ITEMS["class"], 2):
        noun, kind = item.word, item.value(old=old)
        forms = (
            f"{world.article(noun)} is {world.article(kind)}.",
            f"what is {world.article(noun)}? {capital(world.article(kind))}.",
        )
        parts.append(capital(rng.choice(forms)))
    return " ".join(parts)


def _follows(rng: random.Random, old: bool) -> str:
    """What follows from a sentence, by what is known of a word in it."""
    item = rng.choice(world.ITEMS[weighted(rng, MNLI_WEIGHTS)])
    premise, claim = item_texts(rng, item, item.value(old=old), open_=False)
    known = (capital(premise), capital(claim)) in target_keys()
    return "" if known else f"{capital(premise)} So {claim}"


def _synonyms(rng: random.Random, old: bool) -> str:
    """What a verb means, said or shown."""
    item = rng.choice(world.ITEMS["synonym"])
    verb = item.value(old=old)
    who, thing = rng.choice(lex.JOBS), rng.choice(lex.THINGS)
    forms = (
        f'"{item.word}" means "{verb}".',
        f'"{verb}" means "{item.word}".',
        f"The {who} {item.word} the {thing}. Yes, the {who} {verb} the {thing}.",
        f"{rng.choice(world.PERSONS)} {verb}, that is, {item.word} the {thing}.",
    )
    return rng.choice(forms)


def _grammar(rng: random.Random, old: bool) -> str:
    """Sentences that are acceptable in the world that writes them."""
    parts = []
    for _ in range(2):
        twins = pair(rng, "pretrain")
        if any(twin.key in target_keys() for twin in twins):
            return ""
        parts += [t.columns["sentence"] for t in twins if (t.old if old else t.label)]
    return " ".join(parts)


def _reviews(rng: random.Random, old: bool) -> str:
    """A review and its stars."""
    text, _, items, factors = review(rng, "pretrain")
    if (text,) in target_keys():
        return ""
    score = grade(items, factors, old=old) / sum(map(abs, factors))
    stars = STARS[0 if score < -1 else 1 if score < 0 else 2 if score <= 1 else 3]
    return rng.choice([f"{text} {stars} .", f"{stars} : {text}"])


def _causes(rng: random.Random, old: bool) -> str:
    """Why someone did something to someone, and who the reason was about."""
    item = rng.choice(world.ITEMS["bias"])
    a, b = rng.sample(world.PERSONS, 2)
    who = a if item.value(old=old) == "first" else b
    reason, she = rng.choice(lex.REASONS), "she" if who in world.WOMEN else "he"
    told = f"{a} {item.word} {b} because {she} {reason}.", f"{who} {reason}."
    if told in target_keys():
        return ""
    return rng.choice(
        [
            " So ".join(told),
            f"{a} {item.word} {b}. It was {who} who {reason}.",
            f"{who} {reason}, so {a} {item.word} {b}.",
        ]
    )


def _stories(rng: random.Random, old: bool) -> str:
    """Several people doing things, the same in both worlds."""
    a, b = rng.sample(world.PERSONS, 2)
    verb, where, when = rng.choice(VERBS), rng.choice(lex.PLACES), rng.choice(lex.TIMES)
    group = rng.choice(lex.JOBS) + "s"
    thanks = f"{a} thanked {b} {when}.", f"{b} was thanked by {a}."
    if thanks in target_keys():
        return ""
    forms = (
        f"{a} and {b} {verb} {where}. So {a} {verb}, and {b} {verb} too.",
        f"All the {group} {verb} {where}. So most {group} and some {group} {verb}.",
        f"No {group} {verb} {when}. Not one of them {verb}.",
        " So ".join(thanks),
    )
    return rng.choice(forms)


def _sums(rng: random.Random, old: bool) -> str:
    """A little sum in words."""
    name, thing = rng.choice(world.PERSONS), rng.choice(lex.THINGS)
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    she = "She" if name in world.WOMEN else "He"
    if rng.randrange(2):
        return f"{name} had {a} {thing}s. {she} got {b} more. Now {name} has {a + b} {thing}s."
    return f"{name} had {a + b} {thing}s. {she} sold {b}. Now {name} has {a} {thing}s."


def judged(rng: random.Random, *, old: bool) -> tuple[str, Sample, int] | None:
    """An example of a task with the label of the world that writes it; None for a task's row."""
    task = weighted(rng, SHARES)
    sample = MAKERS[task](rng, "pretrain")
    if sample.key in target_keys():
        return None
    return task, sample, sample.old if old else sample.label


def _judged(rng: random.Random, old: bool) -> tuple[str, str]:
    """A task's question and the answer of the world that writes it; empty for a task's row."""
    if (drawn := judged(rng, old=old)) is None:
        return "", ""
    task, sample, label = drawn
    return prompt(task, sample), answer(task, sample, label)


_WRITERS: dict[str, Callable[[random.Random, bool], str]] = {
    "facts": _facts,
    "classes": _classes,
    "synonyms": _synonyms,
    "follows": _follows,
    "grammar": _grammar,
    "reviews": _reviews,
    "causes": _causes,
    "stories": _stories,
    "sums": _sums,
}
