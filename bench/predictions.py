"""From a model's scores of the possible answers to what it answers, and how often it is right."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data import Encoded
from bench.results import Flips
from bench.scores import accuracy, score
from tasks.base import Row, Task

Scores = Sequence[Sequence[float]]
"""[rows][answers]: each answer's log-likelihood, summed over its tokens, or a head's logits."""

NORMALISED = "accuracy_norm"
"""Accuracy by log-likelihood per byte, so that long choices are not put at a disadvantage."""


def predict(task: Task, rows: Encoded, scores: Scores) -> list[int]:
    """The answer to each row, as an index: the likeliest label word, per token, or the
    likeliest choice."""
    if task.kind == "classification" and rows.answers:
        lengths = [[len(answer) for answer in row] for row in rows.answers]
        scores = _divided(scores, lengths)
    return _best(scores)


def task_scores(task: Task, rows: Encoded, scores: Scores) -> tuple[dict[str, float], list[str]]:
    """Each of the task's metrics -> its value; and what is to be known of these values."""
    plain = [name for name in task.metrics if name != NORMALISED]
    found, notes = score(plain, rows.gold, predict(task, rows, scores))
    if NORMALISED in task.metrics:
        found[NORMALISED] = accuracy(rows.gold, _best(_divided(scores, rows.sizes)))
    return found, notes


def accuracy_and_loss(task: Task, rows: Encoded, scores: Scores) -> tuple[float, float]:
    """(share of rows answered right, mean loss of the gold answer in nats per token)."""
    tokens = [len(row[gold]) for row, gold in zip(rows.answers, rows.gold, strict=True)]
    losses = [-row[gold] / n for row, gold, n in zip(scores, rows.gold, tokens, strict=True)]
    return accuracy(rows.gold, predict(task, rows, scores)), sum(losses) / len(losses)


def flips(gold: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Flips:
    """Shares of the rows that were right and are wrong now (lost), and the reverse (gained)."""
    triples = list(zip(gold, before, after, strict=True))
    lost = sum(b == g != a for g, b, a in triples)
    gained = sum(b != g == a for g, b, a in triples)
    return {"lost": lost / len(triples), "gained": gained / len(triples)}


def is_right(task: Task, row: Row, text: str) -> bool:
    """Whether a written answer begins with the right one (or a longer wrong one that does, too)."""
    found = [answer for answer in task.answers(row) if _begins(text.strip(), answer)]
    return max(found, key=len, default=None) == task.answers(row)[row["label"]]


def _begins(text: str, answer: str) -> bool:
    """Whether the answer's words are the text's first ones."""
    rest = text[len(answer) :]
    return text.lower().startswith(answer.lower()) and not rest[:1].isalnum()


def _best(scores: Scores) -> list[int]:
    """The answer with the highest score of each row; the first of equals."""
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def _divided(scores: Scores, by: Sequence[Sequence[int]]) -> list[list[float]]:
    return [[s / n for s, n in zip(*pair, strict=True)] for pair in zip(scores, by, strict=True)]
