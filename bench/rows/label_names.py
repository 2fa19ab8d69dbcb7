"""Labels by their names, as fine-tuned heads and saved data sets spell them, not by number."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.rows.task import Task

_SPELLINGS = {
    "entailment": ("entail", "entails", "entailed", "e"),
    "not_entailment": ("non_entailment", "no_entailment", "not_entailed"),
    "neutral": ("n",),
    "contradiction": ("contradict", "contradicts", "contradictory", "c"),
    "equivalent": ("paraphrase", "is_paraphrase", "semantically_equivalent"),
    "not_equivalent": ("not_paraphrase", "no_paraphrase", "not_semantically_equivalent"),
    "duplicate": ("is_duplicate", "paraphrase"),
    "not_duplicate": ("no_duplicate", "non_duplicate", "not_paraphrase"),
    "acceptable": ("grammatical", "is_acceptable"),
    "unacceptable": ("ungrammatical", "not_acceptable"),
    "negative": ("neg",),
    "positive": ("pos",),
    "very_negative": ("very_neg",),
    "very_positive": ("very_pos",),
    "false": ("no",),
    "true": ("yes",),
}
"""A label -> how others spell it, beside that: in small letters, with _ for what is no letter."""


def places(task: Task, names: Sequence[str]) -> list[int | None]:
    """For each name the place of the task's label that it spells, or whose word it is; None for
    no label's name."""
    known = {
        spelling: place
        for place, label in enumerate(map(_plain, task.labels))
        for spelling in (label, *_SPELLINGS.get(label, ()))
    }
    known = {word: place for place, word in enumerate(map(_plain, task.words))} | known
    return [known.get(_plain(name)) for name in names]


def head_order(task: Task, head: Sequence[str]) -> list[int] | None:
    """For each of the task's labels the output of a head, which names its own, that stands for
    it; None where the two do not name the same labels."""
    found, outputs = places(task, head), range(task.outputs)
    if not head or len(task.labels) != len(head) or set(found) != set(outputs):
        return None
    return [found.index(place) for place in outputs]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
