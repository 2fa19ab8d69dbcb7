"""Tasks learned one after the other: each stage is a cell whose model the stage before it made.

A stage prepares its method anew, with the weights it starts from as θ0. An encoder has a head for
each task, drawn by (task, seed) as ever and trained in its own stage.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from bench.board import sequence_measures
from bench.cells.cell import Cell, ModelInfo, TaskSequence
from bench.cells.measured import asked
from bench.cells.result import (
    SCHEMA_VERSION,
    CellResult,
    Costs,
    Measured,
    PartAnswers,
    Predictions,
)
from bench.core.files import atomic_write_text
from bench.core.hashing import file_digest
from bench.core.memory import above, peak_memory_mib, reset_peak_memory
from bench.core.provenance import provenance
from bench.network.batches import Encoded
from bench.network.loading import put_stage, save_stage
from bench.rows.portions import VALIDATION
from bench.rows.task import Task
from bench.running.blank import blank_result
from bench.running.part_answers import part_answers
from bench.running.result_building import (
    lm_eval_result,
    retained_result,
    retention_result,
)
from bench.running.session import CellSession
from bench.running.tracking import tracked
from bench.running.workspace import Workspace
from bench.scoring import evaluation as ev
from bench.scoring.metrics import on_split
from bench.scoring.predictions import Outputs, predict
from bench.training import checkpoint
from bench.training.loop import TrainingRecord

AVERAGE = "average"
_KEPT = ("retention", "lm_eval", "retain_tasks")


class StageRecord(TrainingRecord):
    """What a finished stage leaves besides weights."""

    load: float  # seconds
    steps: int
    rows: int  # that it was trained on
    truncated: int
    weights: str  # sha256 of their file


@dataclass(frozen=True)
class _Scored:
    """One task's rows as a model answers them; `value` is the primary metric."""

    task: Task
    split: str  # dev, or validation
    rows: Encoded
    outputs: Outputs
    value: float
    validation: float | None  # the same on validation rows
    notes: list[str]
    loaded_mib: float | None  # in use when the model was loaded


def run_sequence(
    sequence: TaskSequence, workspace: Workspace, share_weights: bool
) -> tuple[CellResult, Predictions, list[PartAnswers]]:
    """Run a sequence from the base model to its result, as `run_cell` does a cell.

    Finished stages stay on disk beside the checkpoint of the running one, so a stopped sequence
    goes on from there.
    """
    reset_peak_memory()
    clock = time.perf_counter()
    folder, model = workspace.checkpoint(sequence), sequence.stages[0].model
    table = [_scored(sequence, model, workspace)]
    before, after = time.perf_counter() - clock, 0.0
    records = []
    for number, cell in enumerate(sequence.stages, start=1):
        cell = replace(cell, model=model)
        record = _learned(cell, folder, number, workspace, share_weights)
        records.append(record)
        model = replace(model, hash=cell.training_hash, weights=_weights(folder, number))
        scoring = time.perf_counter()
        table.append(_scored(sequence, model, workspace))
        after += time.perf_counter() - scoring
    scoring = time.perf_counter()
    kept, behind = _kept(sequence, model, workspace)
    after += time.perf_counter() - scoring
    costs = _costs(records, before, after, time.perf_counter() - clock, table[0][-1].loaded_mib)
    result = _result(sequence, table, records, costs)
    return cast(CellResult, result | kept), _predictions(sequence, table), behind


def _weights(folder: Path, number: int) -> Path:
    return folder / f"stage-{number}.safetensors"


def _learned(
    cell: Cell, folder: Path, number: int, workspace: Workspace, share_weights: bool
) -> StageRecord:
    """Train a stage unless its weights are there; its record."""
    note, unfinished = folder / f"stage-{number}.json", folder / f"stage-{number}"
    weights = _weights(folder, number)
    if not _is_finished(note, weights):
        stage = CellSession(cell, workspace)
        rows = stage.run.train_rows
        with tracked(stage):
            record = stage.learn(unfinished, share_weights, workspace.weights.find(cell))
        besides = {
            "load": stage.seconds["load"],
            "steps": cell.steps,
            "rows": len(rows),
            "truncated": rows.truncated,
        }
        if stage.run.accelerator.is_main_process:
            save_stage(stage.loaded, stage.head_seed, weights)
            written = {**record, **besides, "weights": file_digest(weights)}
            atomic_write_text(note, json.dumps(written))  # last: where it is, the weights are
            checkpoint.remove(unfinished)
        stage.run.accelerator.wait_for_everyone()
    return cast(StageRecord, json.loads(note.read_text(encoding="utf-8")))


def _is_finished(note: Path, weights: Path) -> bool:
    """Whether a stage's record is there, and its weights as they were written."""
    try:
        record = json.loads(note.read_text(encoding="utf-8"))
        return bool(record["weights"] == file_digest(weights))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _scored(sequence: TaskSequence, model: ModelInfo, workspace: Workspace) -> list[_Scored]:
    """A row of R: every task of the sequence as `model` answers it."""
    # a call each, so that one session has gone before the next one loads
    return [_score(replace(cell, model=model), workspace) for cell in sequence.stages]


def _score(cell: Cell, workspace: Workspace) -> _Scored:
    stage = CellSession(cell, workspace)
    outputs = stage.measuring.dev_outputs(base=True)
    values, notes = stage.measuring.task_scores(outputs)
    split, rows = stage.shown
    return _Scored(
        task=stage.task,
        split=split,
        rows=rows,
        outputs=outputs[split],
        value=values[on_split(split, stage.task.primary)],
        validation=values.get(on_split(VALIDATION, stage.task.primary)),
        notes=notes,
        loaded_mib=stage.loaded_mib,
    )


def _kept(
    sequence: TaskSequence, model: ModelInfo, workspace: Workspace
) -> tuple[dict[str, Any], list[PartAnswers]]:
    """What the whole sequence left of the base model, parts of the result: its own text, other
    tasks and suites, and ‖θ−θ0‖²; and the answers behind them."""
    first = sequence.stages[0]
    stage = CellSession(first, workspace)
    before = stage.measuring.measure(True, _KEPT)
    assert model.weights is not None, "a sequence has stages"
    put_stage(stage.run.net, set(), model.weights, None)
    after = stage.measuring.measure(False, _KEPT)
    kept = {
        "retention": retention_result(first, before.retention, after.retention),
        "lm_eval": lm_eval_result(before.lm_eval, after.lm_eval),
        "retain_tasks": retained_result(stage.measuring, before, after),
        "drift": ev.drift(stage.loaded),
    }
    return kept, part_answers(stage.measuring, asked(sequence), before, after, {})


def _costs(
    records: list[StageRecord],
    score_before: float,
    score_after: float,
    total: float,
    loaded_mib: float | None,
) -> Costs:
    """The sums over the stages."""
    sums = {
        part: sum(record[part] for record in records)
        for part in ("load", "prepare", "shared", "compile", "train", "finish")
    }
    steps = sum(record["steps"] for record in records)
    prepare, train, finish = sums["prepare"] + sums["shared"], sums["train"], sums["finish"]
    return {
        "load": sums["load"],
        "score_before": score_before,
        "prepare": prepare,
        "compile": sums["compile"],
        "train": train,
        "finish": finish,
        "score_after": score_after,
        "method": prepare + train + finish,
        "total": total,
        "steps": steps,
        "steps_per_second": steps / train if train else None,
        "peak_memory_mib": peak_memory_mib(),
        "above_model_mib": above(loaded_mib),
    }


def _result(
    sequence: TaskSequence, table: list[list[_Scored]], records: list[StageRecord], costs: Costs
) -> CellResult:
    matrix = [[scored.value for scored in row] for row in table]
    curve, done = [], 0
    for record in records:
        curve += [{**point, "step": point["step"] + done} for point in record["curve"]]
        done += record["steps"]
    remarks = [(one.task.name, one.notes) for one in table[-1]]
    remarks += [(c.task.name, r["notes"]) for c, r in zip(sequence.stages, records, strict=True)]
    return {
        **blank_result(sequence),
        "measured": cast(Measured, asked(sequence)),
        "scores": {
            "primary": on_split(table[0][0].split, AVERAGE),
            "before": _averages(table[0]),
            "after": _averages(table[-1]),
            "notes": [f"{name}: {note}" for name, notes in remarks for note in notes],
        },
        "sequence": {
            "tasks": [one.task.name for one in table[0]],
            "metrics": [one.task.primary for one in table[0]],
            "matrix": matrix,
        },
        "curve": curve,
        "costs": costs,
        "data": {
            "train_rows": sum(record["rows"] for record in records),
            "dev_rows": sum(len(one.rows) for one in table[0]),
            "truncated_rows": sum(record["truncated"] for record in records)
            + sum(one.rows.truncated for one in table[0]),
        },
        "provenance": {**provenance(), "resumes": sum(record["resumes"] for record in records)},
    }


def _averages(row: list[_Scored]) -> dict[str, float]:
    """The means over tasks of what boards show, and of validation scores where there are any."""
    found = {on_split(row[0].split, AVERAGE): sequence_measures.average([one.value for one in row])}
    validation = [one.validation for one in row if one.validation is not None]
    if validation:
        found[on_split(VALIDATION, AVERAGE)] = sequence_measures.average(validation)
    return found


def _predictions(sequence: TaskSequence, table: list[list[_Scored]]) -> Predictions:
    """The dev rows of all tasks, one task after the other, before the first stage and after the
    last; their ids begin with the task."""

    def answers(row: list[_Scored]) -> list[Any]:
        return [a for one in row for a in predict(one.task, one.rows, one.outputs)]

    return {
        "schema_version": SCHEMA_VERSION,
        "hash": sequence.hash,
        "id": [f"{one.task.name}-{name}" for one in table[0] for name in one.rows.ids],
        "gold": [label for one in table[0] for label in one.rows.references],
        "before": answers(table[0]),
        "after": answers(table[-1]),
        "scores_after": [[round(v, 5) for v in s] for one in table[-1] for s in one.outputs.scores],
    }
