"""The rows of the micro tasks: distinct examples, balanced labels, no row in two splits."""

from __future__ import annotations

import functools
import hashlib
import json
import random

from bench.core.errors import unknown_name
from bench.rows.task import SPLITS, Row
from tasks.micro.acceptability import cola
from tasks.micro.inference import mnli, qnli, rte, wnli
from tasks.micro.paraphrase import mrpc, qqp, stsb
from tasks.micro.quizzes import dental, gsm8k, psychol, qasc
from tasks.micro.sample import Maker, Sample
from tasks.micro.sentiment import sst2, sst5

GENERATOR_VERSION = 2
SIZES = {"train": 1000, "dev": 400}
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
}
LABELS = dict.fromkeys(MAKERS, 2) | {
    "mnli": 3, "ax": 3, "stsb": 6, "sst5": 5, "gsm8k": 1, "qasc": 8, "dental": 4, "psychol": 4,
}  # fmt: skip


@functools.cache
def samples(task_name: str, split: str) -> tuple[Sample, ...]:
    """The examples of one split, with what the outdated world says of them.

    Raises:
        BenchError: no such task or split.
    """
    if task_name not in MAKERS:
        raise unknown_name("micro task", task_name, MAKERS)
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    taken = {s.key for s in samples(task_name, "train")} if split == "dev" else set()
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


def rows(task_name: str, split: str) -> list[Row]:
    """The rows of "train" or "dev": the task's columns, `label` and `id`.

    Raises:
        BenchError: no such task or split.
    """
    return [
        {"id": f"{split}-{number}", **sample.columns, "label": sample.label}
        for number, sample in enumerate(samples(task_name, split))
    ]


def fingerprint(task_name: str) -> str:
    """A sha256 of all rows of the task and of the generator's version."""
    content = [GENERATOR_VERSION, *(rows(task_name, split) for split in SPLITS)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@functools.cache
def target_keys() -> frozenset[tuple[str, ...]]:
    """The texts of all rows of all tasks: what pretraining must not contain."""
    return frozenset(s.key for task in MAKERS for split in SPLITS for s in samples(task, split))
