"""From what a model puts out to what it answers, and how often it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.cells.result import Flips
from bench.rows.task import Row, Task, extracted
from bench.scoring.metrics import accuracy, exact_match, score

if TYPE_CHECKING:
    from bench.network.batches import Encoded

NORMALISED = "accuracy_norm"
"""Accuracy by log-likelihood per byte, so that long choices are not put at a disadvantage."""


@dataclass
class Outputs:
    """What a model says to each row.

    scores: [rows][answers], each answer's log-likelihood, summed over its tokens, or a head's
        outputs.
    texts: [rows], what it writes where the task asks for that.
    """

    scores: list[list[float]]
    texts: list[str] | None = None


def predict(task: Task, rows: Encoded, outputs: Outputs) -> list[Any]:
    """The answer to each row, to be compared with `rows.references`: the index of the likeliest
    label word (per token) or choice, the expected score, the text that counts; of running text the
    loss, in nats."""
    scores = outputs.scores
    if outputs.texts is not None:
        return [extracted(task, text) for text in outputs.texts]
    if task.kind == "text":
        return [-row[0] for row in scores]
    if task.kind == "regression":
        return [_expected(task, row) if rows.answers else row[0] for row in scores]
    return _best(_comparable(task, rows, outputs))


def struck_out(
    task: Task, rows: Encoded, outputs: Outputs, foils: Sequence[int | None]
) -> list[int] | None:
    """Of each row that has a foil, which answer is the likeliest but for the foil: what a model
    would answer if it forgot the foil and nothing else. None where no answer is chosen.

    foils: [rows], an index into the row's answers or None.
    """
    if task.kind not in ("classification", "multiple_choice"):
        return None
    return _best(
        [
            [-math.inf if i == foil else score for i, score in enumerate(row)]
            for row, foil in zip(_comparable(task, rows, outputs), foils, strict=True)
            if foil is not None
        ]
    )


def task_scores(task: Task, rows: Encoded, outputs: Outputs) -> tuple[dict[str, float], list[str]]:
    """Each of the task's metrics -> its value; and what is to be known of these values."""
    plain = [name for name in task.metrics if name != NORMALISED]
    found, notes = score(plain, rows.references, predict(task, rows, outputs))
    if (likeliest := normalised(task, rows, outputs)) is not None:
        found[NORMALISED] = accuracy(rows.gold, likeliest)
    return found, notes


def normalised(task: Task, rows: Encoded, outputs: Outputs) -> list[int] | None:
    """The likeliest choice of each row by log-likelihood per byte; None where the task is not
    scored by it, and of a head, whose outputs are no likelihoods."""
    if NORMALISED not in task.metrics or not rows.answers:
        return None
    return _best(_divided(outputs.scores, rows.sizes))


def correct(task: Task, rows: Encoded, predicted: Sequence[Any]) -> list[bool] | None:
    """Which answers are right; None where answers are not right or wrong, but near or far."""
    if task.kind in ("classification", "multiple_choice") or (
        task.kind == "generation" and task.extract
    ):
        return right(rows.references, predicted)
    return None


def right(gold: Sequence[Any], predicted: Sequence[Any]) -> list[bool]:
    """Which answers are those that are wanted; texts are compared as `exact_match` does."""
    return [
        exact_match([wanted], [answer]) == 1 if isinstance(wanted, str) else wanted == answer
        for wanted, answer in zip(gold, predicted, strict=True)
    ]


def guess_chance(scores: Sequence[Sequence[float]]) -> list[float]:
    """Each row's chance that a guess is right: one among its answers; 0 where it is written, of
    which the right answer alone has a score."""
    return [1 / len(row) if len(row) > 1 else 0.0 for row in scores]


def flips(before: Sequence[bool], after: Sequence[bool], chance: Sequence[float]) -> Flips:
    """Shares of the rows that were right and are wrong now (lost), and the reverse (gained); and
    what of them is beyond chance, of which `chance` holds each row's of a right guess: 0 where
    guessing anew would have made as many.
    """
    pairs = list(zip(before, after, strict=True))
    return {
        "lost": pairs.count((True, False)) / len(pairs),
        "gained": pairs.count((False, True)) / len(pairs),
        "lost_adjusted": max(0.0, beyond_chance(before, after, chance)),
        "gained_adjusted": max(0.0, beyond_chance(after, before, chance)),
    }


def beyond_chance(before: Sequence[bool], after: Sequence[bool], chance: Sequence[float]) -> float:
    """An estimate of the share of rows that were known and no longer are, where each row that is
    not known is guessed, right with its chance c, before and after anew. A loss counts 1 / (1 - c),
    and twice wrong, which guesses make a loss as often, -c / (1 - c)²; the mean over all guesses is
    the share itself."""
    total = 0.0
    for was, now, c in zip(before, after, chance, strict=True):
        if was and not now:
            total += 1 / (1 - c)
        elif not was and not now:
            total -= c / (1 - c) ** 2
    return total / len(before)


def flips_of(task: Task, rows: Encoded, before: Outputs, after: Outputs) -> Flips | None:
    """How answers changed; None where they are not right or wrong."""
    right = [correct(task, rows, predict(task, rows, each)) for each in (before, after)]
    if right[0] is None or right[1] is None:
        return None
    return flips(right[0], right[1], guess_chance(after.scores))


def gold_losses(rows: Encoded, outputs: Outputs) -> list[float]:
    """Each row's loss of the right answer, in nats per token."""
    return [
        -scores[gold] / len(answers[gold])
        for scores, answers, gold in zip(outputs.scores, rows.answers, rows.gold, strict=True)
    ]


def gold_loss(rows: Encoded, outputs: Outputs) -> float:
    """The mean of `gold_losses`."""
    losses = gold_losses(rows, outputs)
    return sum(losses) / len(losses)


def rise_error(
    before: Sequence[float], after: Sequence[float], tokens: Sequence[int]
) -> float | None:
    """Standard error that the choice of a text leaves of the rise of its mean loss, in nats per
    token: that of a ratio of means, linearised (Cochran, Sampling Techniques, 1977, eq. 2.45), as
    blocks differ in size. None of a single block.

    before, after: nats of each block. tokens: those of each block that are predicted.
    """
    count, rises = len(tokens), [now - was for was, now in zip(before, after, strict=True)]
    if count < 2:
        return None
    mean = sum(rises) / sum(tokens)
    squares = sum((r - mean * size) ** 2 for r, size in zip(rises, tokens, strict=True))
    return math.sqrt(squares * count / (count - 1)) / sum(tokens)


def is_right(task: Task, row: Row, text: str) -> bool:
    """Whether a written text answers a row: it begins with the right answer (and not with a longer
    wrong one), or what counts of it is right."""
    answers = task.answers(row)
    if task.kind == "generation":
        return exact_match([extracted(task, answers[0])], [extracted(task, text)]) == 1
    found = [answer for answer in answers if _begins(text.strip(), answer)]
    return max(found, key=len, default=None) == answers[task.gold(row)]


def _begins(text: str, answer: str) -> bool:
    """Whether the answer's words are the text's first ones."""
    rest = text[len(answer) :]
    return text.lower().startswith(answer.lower()) and not rest[:1].isalnum()


def _expected(task: Task, scores: Sequence[float]) -> float:
    """The mean of the label words' numbers, weighted by their probabilities among themselves."""
    weights = [math.exp(value - max(scores)) for value in scores]
    pairs = zip(weights, task.labels, strict=True)
    return sum(weight * float(number) for weight, number in pairs) / sum(weights)


def _comparable(task: Task, rows: Encoded, outputs: Outputs) -> list[list[float]]:
    """[rows][answers], by which answers are compared: label words per token, choices as wholes."""
    if task.kind == "classification" and rows.answers:
        lengths = [[len(answer) for answer in row] for row in rows.answers]
        return _divided(outputs.scores, lengths)
    return outputs.scores


def _best(scores: Sequence[Sequence[float]]) -> list[int]:
    """The answer with the highest score of each row; the first of equals."""
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def _divided(scores: Sequence[Sequence[float]], by: Sequence[Sequence[int]]) -> list[list[float]]:
    return [[s / n for s, n in zip(*pair, strict=True)] for pair in zip(scores, by, strict=True)]
