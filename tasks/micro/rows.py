"""The rows of the micro tasks: distinct examples, balanced labels, no row in two splits."""

from __future__ import annotations

import functools
import hashlib
import json
import random

from bench.core.errors import unknown_name
from bench.rows.task import Row
from tasks.micro import world
from tasks.micro.acceptability import cola
from tasks.micro.inference import mnli, qnli, rte, wnli
from tasks.micro.paraphrase import mrpc, qqp, stsb
from tasks.micro.quizzes import dental, gsm8k, psychol, qasc
from tasks.micro.recall import classes, persons, synonyms
from tasks.micro.sample import Maker, Sample
from tasks.micro.sentiment import sst2, sst5

GENERATOR_VERSION = 3
FORGET = "forget"
SIZES = {"train": 1000, "dev": 400, FORGET: 1000}
"""Split -> rows of each task. What is to be forgotten is asked of all items, as in dev."""
MAKERS: dict[str, Maker] = {
    "cola": cola,
    "sst2": sst2,
    "mrpc": mrpc,
    "qqp": qqp,
    "qnli": qnli,
    "rte": rte,
    "wnli": wnli,
    "mnli": mnli,
    "ax": mnli,
    "stsb": stsb,
    "sst5": sst5,
    "gsm8k": gsm8k,
    "qasc": qasc,
    "dental": dental,
    "psychol": psychol,
    "recall_persons": persons,
    "recall_classes": classes,
    "recall_synonyms": synonyms,
}
FAMILIES = {"mnli": "rte", "ax": "mnli", "sst5": "sst2"}
"""Tasks that are made of the same texts as one before them: no text stands in rows of both."""
LABELS = dict.fromkeys(MAKERS, 2) | {
    "mnli": 3, "ax": 3, "stsb": 6, "sst5": 5, "gsm8k": 1, "qasc": 8, "dental": 4, "psychol": 4,
    "recall_persons": 1, "recall_classes": 1, "recall_synonyms": 1,
}  # fmt: skip


@functools.cache
def samples(task_name: str, split: str) -> tuple[Sample, ...]:
    """The examples of one split, with what the outdated world says of them.

    Raises:
        BenchError: no such task or split.
    """
    if task_name not in MAKERS:
        raise unknown_name("micro task", task_name, MAKERS)
    if split not in SIZES:
        raise unknown_name("split", split, SIZES)
    earlier = list(SIZES)[: list(SIZES).index(split)]
    taken = {s.key for one in earlier for s in samples(task_name, one)}
    taken |= _family_keys(FAMILIES.get(task_name))
    rng = random.Random(f"micro/{GENERATOR_VERSION}/{task_name}/{split}")
    size, labels = SIZES[split], LABELS[task_name]
    left = {label: size // labels + (label < size % labels) for label in range(labels)}
    chosen: list[Sample] = []
    while any(left.values()):
        sample = MAKERS[task_name](rng, split)
        if left[sample.label] and sample.key not in taken:
            taken.add(sample.key)
            left[sample.label] -= 1
            chosen.append(sample)
    return tuple(chosen)


def _family_keys(task_name: str | None) -> set[tuple[str, ...]]:
    """The texts of all rows of a task and of its family before it."""
    if task_name is None:
        return set()
    own = {s.key for split in SIZES for s in samples(task_name, split)}
    return own | _family_keys(FAMILIES.get(task_name))


def rows(task_name: str, split: str) -> list[Row]:
    """The rows of "train", "dev" or "forget": the task's columns, `label` and `id`, and `outdated`,
    the label of the outdated world.

    Raises:
        BenchError: no such task or split.
    """
    return [
        {"id": f"{split}-{number}", **sample.columns, "label": sample.label, "outdated": sample.old}
        for number, sample in enumerate(samples(task_name, split))
    ]


def asked_items(task_name: str) -> set[world.Item]:
    """The items that the answers to dev rows rest on."""
    return {world.BY_NAME[s.item] for s in samples(task_name, "dev") if s.item}


def fingerprint(task_name: str) -> str:
    """A sha256 of all rows of the task and of the generator's version."""
    content = [GENERATOR_VERSION, *(rows(task_name, split) for split in SIZES)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@functools.cache
def target_keys() -> frozenset[tuple[str, ...]]:
    """The texts of all rows of all tasks: what pretraining must not contain."""
    return frozenset(s.key for task in MAKERS for split in SIZES for s in samples(task, split))
