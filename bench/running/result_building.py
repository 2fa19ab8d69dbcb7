"""From what was measured of a cell to its result and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from bench.cells.cell import Cell
from bench.cells.measured import asked
from bench.cells.result import (
    SCHEMA_VERSION,
    Ceiling,
    CellResult,
    Costs,
    Facts,
    Forgotten,
    LmEval,
    PathPoint,
    Predictions,
    Recall,
    RetainedTask,
    Retention,
)
from bench.core.memory import above, higher, peak_memory_mib
from bench.core.provenance import provenance
from bench.network.running_text import TextLoss
from bench.running.blank import blank_result
from bench.running.measuring import Measured, Measuring
from bench.running.part_answers import shortened
from bench.scoring import lm_eval
from bench.scoring.chance import given, majority
from bench.scoring.metrics import accuracy, on_split
from bench.scoring.predictions import (
    correct,
    flips_of,
    gold_loss,
    predict,
    rise_error,
    task_scores,
)
from bench.training.loop import TrainingRecord

if TYPE_CHECKING:
    from bench.running.session import CellSession

_SAMPLED_TEXT = "sampled from the base model"


def cell_result(
    cell: Cell,
    stage: CellSession,
    record: TrainingRecord,
    before: Measured,
    after: Measured,
    path: Mapping[float, Measured],
    parts: Sequence[str],
) -> CellResult:
    """The result of a finished cell of which these parts were measured; `record` is that of its
    training, `path` what was measured on it by α."""
    measured: dict[str, Any] = {
        "retention": retention_result(cell, before.retention, after.retention),
        "forgotten": _forgotten_result(stage.measuring, before, after),
        "facts": _facts_result(stage.measuring, before, after),
        "lm_eval": lm_eval_result(before.lm_eval, after.lm_eval),
        "retain_tasks": retained_result(stage.measuring, before, after),
        "path": [_path_point(stage.measuring, *each) for each in path.items()] or None,
        "probe": stage.probing.result(record["probe"]) if stage.probing else None,
    }
    measured = {name: found for name, found in measured.items() if name in parts}
    if "scores" in parts:
        measured |= _scored(cell, stage, record, before, after)
    found = {
        **blank_result(cell),
        **measured,
        "measured": {part: on for part, on in asked(cell).items() if part in parts},
        "elicited": stage.run.reported.get("elicited"),
        "drift": stage.drift,
        "curve": record["curve"],
        "costs": _costs(cell, stage, record),
        "provenance": {
            **provenance(),
            "resumes": record["resumes"],
            "ways": dict(stage.run.task_model.ways),
        },
    }
    return cast(CellResult, found)


def _scored(
    cell: Cell, stage: CellSession, record: TrainingRecord, before: Measured, after: Measured
) -> dict[str, Any]:
    """What the dev rows say, as parts of the result."""
    split, dev = stage.shown
    answers = [predict(stage.task, dev, found.outputs[split]) for found in (before, after)]
    scored_before, _ = stage.measuring.task_scores(before.outputs)
    scored_after, notes = stage.measuring.task_scores(after.outputs)
    return {
        "scores": {
            "primary": on_split(split, stage.task.primary),
            "before": scored_before,
            "after": scored_after,
            "notes": notes + record["notes"],
        },
        "chance": {
            "majority": majority(stage.task.primary, dev.references),
            "before": given(answers[0]),
            "after": given(answers[1]),
        },
        "flips": flips_of(stage.task, dev, before.outputs[split], after.outputs[split]),
        "ceiling": _ceiling_result(stage, before, after),
        "data": {
            "train_rows": len(stage.run.train_rows),
            "dev_rows": len(dev),
            "truncated_rows": stage.run.train_rows.truncated + dev.truncated,
            **({"selected_step": record["selected"]["step"]} if "selected" in record else {}),
        },
    }


def _costs(cell: Cell, stage: CellSession, record: TrainingRecord) -> Costs:
    seconds = stage.seconds
    # Work found in the cache is charged at its first price: rule 4 of a fair comparison.
    prepare = record["prepare"] + record["shared"]
    return {
        "load": seconds["load"],
        "score_before": seconds["score_before"],
        "prepare": prepare,
        "compile": record["compile"],
        "train": record["train"],
        "finish": record["finish"],
        "score_after": seconds["score_after"],
        "method": prepare + record["train"] + record["finish"],
        "total": stage.clock - stage.start,
        "steps": cell.steps,
        "steps_per_second": cell.steps / record["train"] if record["train"] else None,
        "peak_memory_mib": peak_memory_mib(),
        "above_model_mib": higher(record["memory"], above(stage.loaded_mib)),
    }


def predictions(cell: Cell, stage: CellSession, before: Measured, after: Measured) -> Predictions:
    """The rows of all dev splits, one after the other; their ids tell them apart."""
    splits = stage.dev.items()
    return {
        "schema_version": SCHEMA_VERSION,
        "hash": cell.hash,
        "id": [name for _, rows in splits for name in rows.ids],
        "gold": [label for _, rows in splits for label in rows.references],
        "before": [a for s, rows in splits for a in predict(stage.task, rows, before.outputs[s])],
        "after": [a for s, rows in splits for a in predict(stage.task, rows, after.outputs[s])],
        "scores_after": [
            [round(v, 5) for v in row] for s in stage.dev for row in after.outputs[s].scores
        ],
    }


def retention_result(
    cell: Cell, before: TextLoss | None, after: TextLoss | None
) -> Retention | None:
    """What `Measuring.retention` found at two times, as a part of the result."""
    if before is None or after is None:
        return None
    return {
        "text": cell.retention.name or _SAMPLED_TEXT,
        "tokens": sum(before.tokens),
        "before": before.loss,
        "after": after.loss,
        "error": rise_error(shortened(before.nats), shortened(after.nats), before.tokens),
    }


def _path_point(measuring: Measuring, alpha: float, found: Measured) -> PathPoint:
    retained = {
        task.name: task_scores(task, rows, found.retained[task.name])[0][task.primary]
        for task, rows in measuring.retain
    }
    return {
        "alpha": alpha,
        "score": measuring.task_scores(found.outputs)[0][measuring.task.primary],
        "retention": found.retention.loss if found.retention else None,
        "retain_tasks": retained,
    }


def retained_result(
    measuring: Measuring, before: Measured, after: Measured
) -> dict[str, RetainedTask] | None:
    """What was said to the retention tasks' rows at two times, as a part of the result."""
    found: dict[str, RetainedTask] = {}
    for task, rows in measuring.retain:
        was, now = before.retained.get(task.name), after.retained.get(task.name)
        if was is not None and now is not None:
            found[task.name] = {
                "rows": len(rows),
                "metric": task.primary,
                "before": task_scores(task, rows, was)[0][task.primary],
                "after": task_scores(task, rows, now)[0][task.primary],
                "flips": flips_of(task, rows, was, now),
            }
    return found or None


def lm_eval_result(before: lm_eval.Found | None, after: lm_eval.Found | None) -> LmEval | None:
    """What `Measuring.lm_eval` found at two times, as a part of the result."""
    if before is None or after is None:
        return None
    return {"version": lm_eval.installed(), "before": before, "after": after}


def _facts_result(measuring: Measuring, before: Measured, after: Measured) -> Facts | None:
    asked = measuring.questions
    if asked is None or before.facts is None or after.facts is None:
        return None
    task, rows = asked.task, asked.encoded
    was, now = (
        correct(task, rows, predict(task, rows, each)) or [] for each in (before.facts, after.facts)
    )

    def recall(disputed: bool) -> Recall:
        places = [i for i, row in enumerate(asked.rows) if row["disputed"] is disputed]
        return {
            "questions": len(places),
            "before": sum(was[i] for i in places) / len(places),
            "after": sum(now[i] for i in places) / len(places),
        }

    return {"settled": recall(False), "disputed": recall(True)}


def _ceiling_result(stage: CellSession, before: Measured, after: Measured) -> Ceiling | None:
    measuring = stage.measuring
    gold = [answer for _, answer in measuring.disputed]
    was, now = (measuring.struck_out(found) for found in (before, after))
    if not was or not now:
        return None
    return {
        "rows": len(gold),
        "answers": len(measuring.task.labels),
        "before": accuracy(gold, was),
        "after": accuracy(gold, now),
    }


def _forgotten_result(measuring: Measuring, before: Measured, after: Measured) -> Forgotten | None:
    if not before.forget:
        return None
    scored = measuring.forget
    total = sum(len(rows) for _, rows in scored)

    def loss(found: Measured) -> float:
        each = [gold_loss(rows, found.forget[task.name]) * len(rows) for task, rows in scored]
        return sum(each) / total

    def accuracy(found: Measured) -> float | None:
        marks = [
            mark
            for task, rows in scored
            for mark in correct(task, rows, predict(task, rows, found.forget[task.name])) or ()
        ]
        return sum(marks) / len(marks) if marks else None

    return {
        "tasks": list(measuring.cell.forget.tasks),
        "rows": total,
        "loss_before": loss(before),
        "loss_after": loss(after),
        "accuracy_before": accuracy(before),
        "accuracy_after": accuracy(after),
    }
