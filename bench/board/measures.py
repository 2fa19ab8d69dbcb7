"""The measures: what boards show of a cell, one entry each.

The rows of a board, CSV, JSON and every renderer read `MEASURES`, in this order. One more measure
is one more entry and its test: docs/add_a_measure.md. (A metric is something else: it scores the
answers to a task's rows, see bench.scoring.metrics.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.board import sequence_measures
from bench.cells.result import CellResult, Costs, Recall, Retention, Scores
from bench.rows.portions import VALIDATION
from bench.scoring.metrics import on_split

SCORE = "score"
"""The unit of the task's primary metric. Shown ×100, but for one whose less is better."""
SHARE = "share"
"""Of a whole, between 0 and 1; of a change between -1 and 1. Shown ×100."""


@dataclass(frozen=True)
class Measure:
    """A figure of a finished cell, what becomes of it over seeds, and how boards show it."""

    name: str  # in CSV and JSON
    heading: str  # of its column: one to three lines
    unit: str  # SCORE, SHARE, or in words
    from_result: Callable[[CellResult], float | None]  # of a finished cell; None is missing
    format: str  # of what is shown, as `format()` takes it
    legend: str  # sentences under the board; measures that share them are explained once
    interval: int = 0
    """The importance of a second column, ±: the half-width of the 95 % t-interval over seeds; 0 is
    no such column."""
    better: Literal["more", "less"] | None = None
    """Which way is good; None is neither, or it depends. A score of which less is better is turned
    round."""
    over: Literal["mean", "highest"] = "mean"  # seeds and tasks
    versus: Literal["difference", "ratio"] | None = None
    """Set against the reference on the same seeds: the mean difference, or the ratio of means."""
    show: Literal["always", "known", "nonzero"] = "always"
    """Where it has a column: also where no row has a value, where one has, or one but 0."""
    in_sequences: bool = False  # whether tables of task sequences have the column too
    importance: int = 5  # where a window is too narrow, the least important columns go first


def scale(unit: str, lower: bool) -> int:
    """What a value is multiplied by to be shown; `lower` is whether less of the score is better."""
    return 100 if unit == SHARE or (unit == SCORE and not lower) else 1


def better(measure: Measure, lower: bool) -> Literal["more", "less"] | None:
    """Which way of a measure is good; `lower` is whether less of the score is better."""
    if measure.unit != SCORE or measure.better is None:
        return measure.better
    return "less" if lower else "more"


def _scores(result: CellResult) -> Scores:
    scores = result["scores"]
    assert scores is not None, "a finished cell has scores"
    return scores


def _costs(result: CellResult) -> Costs:
    costs = result["costs"]
    assert costs is not None, "a finished cell has costs"
    return costs


def _before(result: CellResult) -> float:
    scores = _scores(result)
    return scores["before"][scores["primary"]]


def _after(result: CellResult) -> float:
    scores = _scores(result)
    return scores["after"][scores["primary"]]


def _validation(result: CellResult) -> float | None:
    scores = _scores(result)
    return scores["after"].get(on_split(VALIDATION, scores["primary"]))


def _rise(found: Retention | Recall | None) -> float | None:
    return None if found is None else found["after"] - found["before"]


def _forgotten(result: CellResult) -> float | None:
    lost = result["forgotten"]
    return None if lost is None else lost["loss_after"] - lost["loss_before"]


def _seconds(result: CellResult) -> float:
    return _costs(result)["method"]


def _of_matrix(
    measure: Callable[[sequence_measures.Matrix], float],
) -> Callable[[CellResult], float | None]:
    """`measure` of a sequence's scores; None where the cell is one task."""
    return lambda result: measure(result["sequence"]["matrix"]) if result["sequence"] else None


def _flip(
    which: Literal["lost", "gained", "lost_adjusted", "gained_adjusted"],
) -> Callable[[CellResult], float | None]:
    return lambda result: result["flips"].get(which) if result["flips"] else None


_SCORES = (
    "Scores ×100, before and after tuning; ±: half-width of the 95 % t-interval over seeds; gain: "
    "over finetune, paired by seed. ↑ more is better, ↓ less; *: no method is shown better, "
    "by the paired interval. Order: finetune, then by after, best first."
)
_LOSSES = (
    "retain, forget: rise of the loss on the retention text and the forgetting tasks, nats per "
    "token."
)
_FLIPS = "lost, gained: answers that were right and are wrong now, and the reverse, in percent."
_ADJUSTED = "lost adj, gained adj: what of that is beyond guessing anew."
_SEQUENCES = (
    "Sequences: R[k][i] is the score on task i after stage k of T (R[0]: the base model). before "
    "and after are the means of R[0] and R[T] over all tasks; backward and forgetting (max over "
    "1<=k<T) are means over i<T, forward over i>1. Negative forgetting is improvement."
)
_TIME = "time: the method's own, extra passes included."

MEASURES: list[Measure] = [
    Measure(
        "before", "before", SCORE, _before, "z.2f", _SCORES, in_sequences=True, importance=8
    ),
    Measure(
        "after", "after", SCORE, _after, "z.2f", _SCORES,
        interval=9, better="more", in_sequences=True, importance=9,
    ),
    Measure(
        "validation", "validation", SCORE, _validation, "z.2f",
        "validation: after, on the training rows that were split off.",
        interval=2, better="more", show="known", in_sequences=True, importance=6,
    ),
    Measure(
        "gain", "gain", SCORE, _after, "+z.2f", _SCORES,
        versus="difference", interval=9, better="more", in_sequences=True, importance=9,
    ),
    Measure(
        "retention", "retain\n+nats", "nats per token",
        lambda result: _rise(result["retention"]), "+z.3f", _LOSSES,
        interval=4, better="less", importance=7,
    ),
    Measure(
        "forgotten", "forget\n+nats", "nats per token", _forgotten, "+z.3f", _LOSSES,
        interval=4, importance=7,
    ),
    Measure(
        "facts", "facts\n+%", SHARE,
        lambda result: _rise(result["facts"] and result["facts"]["settled"]), "+z.2f",
        "facts: change of the share of undisputed facts that the model recalls, in percent.",
        interval=2, better="more", show="known",
    ),
    Measure(
        "lost", "lost\n%", SHARE, _flip("lost"), ".1f", _FLIPS,
        interval=2, better="less", importance=3,
    ),
    Measure(
        "gained", "gained\n%", SHARE, _flip("gained"), ".1f", _FLIPS,
        interval=2, better="more", importance=3,
    ),
    Measure(
        "lost_adjusted", "lost\nadj %", SHARE, _flip("lost_adjusted"), ".1f", _ADJUSTED,
        interval=1, better="less", show="known", importance=2,
    ),
    Measure(
        "gained_adjusted", "gained\nadj %", SHARE, _flip("gained_adjusted"), ".1f", _ADJUSTED,
        interval=1, better="more", show="known", importance=2,
    ),
    Measure(
        "drift", "drift", "squared distance", lambda result: result["drift"], ".2e",
        "drift: squared distance from the base weights.", interval=2, importance=4,
    ),
    Measure(
        "backward", "backward\nR[T][i]\n-R[i][i]", SHARE,
        _of_matrix(sequence_measures.backward), "+z.2f", _SEQUENCES,
        interval=2, better="more", show="known", in_sequences=True, importance=7,
    ),
    Measure(
        "forward", "forward\nR[i-1][i]\n-R[0][i]", SHARE,
        _of_matrix(sequence_measures.forward), "+z.2f", _SEQUENCES,
        interval=2, better="more", show="known", in_sequences=True, importance=6,
    ),
    Measure(
        "forgetting", "forgetting\nmax R[k][i]\n-R[T][i]", SHARE,
        _of_matrix(sequence_measures.forgetting), "+z.2f", _SEQUENCES,
        interval=2, better="less", show="known", in_sequences=True, importance=8,
    ),
    Measure(
        "seconds", "time\ns", "s", _seconds, ".1f", _TIME,
        interval=2, better="less", in_sequences=True, importance=3,
    ),
    Measure(
        "time_ratio", "time\n×ref", "times finetune's", _seconds, ".2f", _TIME,
        versus="ratio", interval=2, better="less", in_sequences=True, importance=6,
    ),
    Measure(
        "compile_seconds", "compile\ns", "s", lambda result: _costs(result).get("compile"), ".1f",
        "compile: warm-up of torch.compile, in no method's time.",
        better="less", show="nonzero", in_sequences=True, importance=2,
    ),
    Measure(
        "above_model_mib", "memory\n+MiB", "MiB",
        lambda result: _costs(result).get("above_model_mib"), ".0f",
        "memory: the peak above what the loaded model takes, of the GPU or else the process.",
        over="highest", better="less", show="known", importance=2,
    ),
    Measure(
        "peak_mib", "peak\nMiB", "MiB", lambda result: _costs(result)["peak_memory_mib"], ".0f",
        "peak: memory of the GPU; without one of the process, which depends on what ran before.",
        over="highest", better="less", importance=1,
    ),
]  # fmt: skip


def measure_named(name: str) -> Measure:
    """The measure of this name; there is one."""
    return next(measure for measure in MEASURES if measure.name == name)
