"""From what was measured of a cell to its result and its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from bench.cells.cell import AnyCell, Cell
from bench.cells.measured import asked
from bench.cells.result import (
    SCHEMA_VERSION,
    Ceiling,
    CellResult,
    Costs,
    Facts,
    Forgotten,
    LmEval,
    Predictions,
    Recall,
    RetainedTask,
    Retention,
)
from bench.core.memory import above, higher, peak_memory_mib
from bench.core.provenance import provenance
from bench.rows.source import source_named, source_of
from bench.running.measuring import Measured, Measuring
from bench.scoring import lm_eval
from bench.scoring.chance import given, majority
from bench.scoring.metrics import on_split
from bench.scoring.predictions import flips_of, predict, struck_out, task_scores
from bench.training.loop import TrainingRecord

if TYPE_CHECKING:
    from bench.running.session import CellSession

_SAMPLED_TEXT = "sampled from the base model"


def blank_result(cell: AnyCell) -> CellResult:
    """A result of which nothing is known yet but the cell."""
    found: CellResult = {
        "schema_version": SCHEMA_VERSION,
        "status": "done",
        "error": None,
        "hash": cell.hash,
        "cell": cell.identity(),
        "labels": cell.labels,
        "generated": cell.generated,
        "scores": None,
        "chance": None,
        "sequence": None,
        "flips": None,
        "retention": None,
        "forgotten": None,
        "facts": None,
        "ceiling": None,
        "lm_eval": None,
        "retain_tasks": None,
        "path": None,
        "probe": None,
        "measured": {},
        "earlier": [],
        "elicited": None,
        "drift": None,
        "curve": [],
        "costs": None,
        "data": {},
        "provenance": dict(provenance()),
    }
    if (tuned := cell.method.tuned) is not None:
        found["tuning"] = {
            "chosen": tuned.chosen,
            "failed": tuned.failed,
            "best": tuned.best,
            "worst": tuned.worst,
            "seconds": tuned.seconds,
        }
    return found


def failed_result(
    cell: AnyCell, reason: str, status: Literal["failed", "refused"] = "failed"
) -> CellResult:
    """The result of a cell that could not be finished, or was not begun."""
    return {**blank_result(cell), "status": status, "error": reason}


def cell_result(
    cell: Cell,
    stage: CellSession,
    record: TrainingRecord,
    before: Measured,
    after: Measured,
    parts: Sequence[str],
) -> CellResult:
    """The result of a finished cell of which these parts were measured; `record` is that of its
    training."""
    measured: dict[str, Any] = {
        "retention": retention_result(cell, before.retention, after.retention),
        "forgotten": _forgotten_result(cell, before, after),
        "facts": _facts_result(cell, before.facts, after.facts),
        "lm_eval": lm_eval_result(before.lm_eval, after.lm_eval),
        "retain_tasks": retained_result(stage.measuring, before, after),
        "path": after.path or None,
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
        "ceiling": _ceiling_result(cell, stage, before, after),
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
    cell: Cell, before: tuple[float, int] | None, after: tuple[float, int] | None
) -> Retention | None:
    """What `Measuring.retention` found at two times, as a part of the result."""
    if before is None or after is None:
        return None
    return {
        "text": cell.retention.name or _SAMPLED_TEXT,
        "tokens": before[1],
        "before": before[0],
        "after": after[0],
    }


def retained_result(
    measuring: Measuring, before: Measured, after: Measured
) -> dict[str, RetainedTask] | None:
    """What `Measuring.retained` found at two times, as a part of the result."""
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


def _facts_result(cell: Cell, before: list[bool] | None, after: list[bool] | None) -> Facts | None:
    known = source_named(cell.data.source).facts()
    if known is None or before is None or after is None:
        return None
    rows = list(zip(known[1], before, after, strict=True))

    def recall(disputed: bool) -> Recall:
        pairs = [(was, now) for row, was, now in rows if row["disputed"] is disputed]
        return {
            "questions": len(pairs),
            "before": sum(was for was, _ in pairs) / len(pairs),
            "after": sum(now for _, now in pairs) / len(pairs),
        }

    return {"settled": recall(False), "disputed": recall(True)}


def _ceiling_result(
    cell: Cell, stage: CellSession, before: Measured, after: Measured
) -> Ceiling | None:
    split, dev = stage.shown
    if split != "dev":
        return None
    data = cell.data.source
    source = source_of(stage.task, data)
    by_id = {row["id"]: row for row in stage.workspace.rows_of(stage.task, data, "dev")}
    foils = [source.foil(by_id[name]) for name in dev.ids]
    was, now = (
        struck_out(stage.task, dev, found.outputs["dev"], foils) for found in (before, after)
    )
    if not was or not now:
        return None
    return {
        "rows": len(was),
        "answers": len(stage.task.labels),
        "before": sum(was) / len(was),
        "after": sum(now) / len(now),
    }


def _forgotten_result(cell: Cell, before: Measured, after: Measured) -> Forgotten | None:
    if not before.forget:
        return None
    rows = sum(found.rows for found in before.forget)

    def loss(measured: Measured) -> float:
        return sum(found.loss * found.rows for found in measured.forget) / rows

    def accuracy(measured: Measured) -> float | None:
        known = [(one.accuracy, one.rows) for one in measured.forget if one.accuracy is not None]
        total = sum(count for _, count in known)
        return sum(share * count for share, count in known) / total if known else None

    return {
        "tasks": list(cell.forget.tasks),
        "rows": rows,
        "loss_before": loss(before),
        "loss_after": loss(after),
        "accuracy_before": accuracy(before),
        "accuracy_after": accuracy(after),
    }
