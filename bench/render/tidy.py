"""Boards as records, one per task and method: CSV and JSON, full precision, metric units."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.board import cell_table
from bench.board.leaderboard import AVERAGE, Board, Table
from bench.board.lm_eval_table import Outside
from bench.board.measures import MEASURES, SCORE, Measure
from bench.board.metrics_table import OtherMetric
from bench.board.path_table import WeightPath
from bench.board.retained_table import Retained
from bench.board.rows import Row, is_plain
from bench.board.statistics import Estimate
from bench.board.verdicts import JUDGED
from bench.cells.result import CellResult
from bench.core.files import atomic_write_bytes
from bench.render.sections import tables


def records(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """A flat dictionary per board, task and method; the average is the task "average". Those of
    the tasks' other metrics follow, then retention tasks and points of the path, then scores of
    lm-evaluation-harness and relative changes, of which `metric` says which."""
    found = [
        _record(board, table, row)
        for board in boards
        for table in tables(board)
        for row in table.rows
    ]
    found += [_other(board, one) for board in boards for one in board.metrics]
    found += [_retained(board, one) for board in boards for one in board.retained]
    found += [one for board in boards for path in board.paths for one in _points(board, path)]
    found += [_outside(board, one) for board in boards for one in board.outsides]
    found += [one for board in boards for one in _changes(board)]
    return _whole(found)


def cell_records(results: Iterable[CellResult]) -> list[dict[str, Any]]:
    """A flat dictionary per cell: bench.board.cell_table, every record with every name."""
    return _whole(cell_table.records(results))


def to_csv(found: Sequence[Mapping[str, Any]]) -> str:
    """Records with a header line; missing is empty. No records, no text."""
    stream = io.StringIO()
    if found:
        writer = csv.DictWriter(stream, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _inert(value) for name, value in one.items()} for one in found)
    return stream.getvalue()


def write_parquet(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Records as a parquet file, a column for each name: whole numbers, figures, truths or, where a
    name has values of several kinds, text; missing is null.

    Raises:
        BenchError: the file cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    names = list(found[0]) if found else []
    columns = {name: _column([one[name] for one in found]) for name in names}
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), buffer)
    atomic_write_bytes(path, buffer.getvalue().to_pybytes())


def _column(values: Sequence[Any]) -> Any:
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    alike = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()}
    if kinds <= {int, float}:
        return pyarrow.array(values, alike[int] if kinds == {int} else alike[float])
    if len(kinds) == 1 and (kind := alike.get(next(iter(kinds)))):
        return pyarrow.array(values, kind)
    return pyarrow.array([None if v is None else str(v) for v in values], pyarrow.string())


def _whole(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for one in found for name in one)
    return [{**names, **one} for one in found]


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would calculate with, as a text."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t"))
        else value
    )


def to_json(boards: Sequence[Board]) -> str:
    """The records as a list; missing is null."""
    return json.dumps(records(boards), allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def _of_board(board: Board) -> dict[str, Any]:
    return {
        "board": board.key,
        "suite_version": board.shared["suite_version"],
        "model": board.model,
        "model_hash": board.shared["model"]["hash"],
        "data": board.data,
        "dev_rows": board.dev_rows,
    }


def _beside(
    board: Board, task: str, metric: str, method: str, n: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    """A record of what has no row in the board's tables of methods."""
    return {
        **_of_board(board),
        "task": task,
        "metric": metric,
        "method": method,
        "seeds_done": n,
        **values,
        **cell_table.flat("train", board.shared["training"]),
    }


def _other(board: Board, found: OtherMetric) -> dict[str, Any]:
    scores = {"before": found.before.mean, **_spread("after", found.after)}
    return _beside(board, found.task, found.metric, found.method, found.after.n, scores)


def _retained(board: Board, found: Retained) -> dict[str, Any]:
    values = {
        "retain_task": found.task,
        "before": found.before.mean,
        **_spread("after", found.after),
        **_spread("change", found.change),
        **_spread("lost_adjusted", found.lost),
        **_spread("gained_adjusted", found.gained),
    }
    metric = f"retained {found.task} {found.metric}"
    return _beside(board, found.learned, metric, found.method, found.after.n, values)


def _points(board: Board, found: WeightPath) -> list[dict[str, Any]]:
    """A record per α."""
    records = []
    for point in found.points:
        is_best = point is found.best
        values = {
            "alpha": point.alpha,
            **_spread("after", point.score),
            **_spread("retention", point.retention),
            "best_point": is_best,
            **_spread("over_wise_ft", found.versus if is_best else None),
        }
        metric = f"path {point.alpha:g} {found.metric}"
        n = point.score.n
        records.append(_beside(board, found.task, metric, found.method, n, values))
    return records


def _outside(board: Board, found: Outside) -> dict[str, Any]:
    scores = {"before": found.before.mean, **_spread("after", found.after)}
    metric = f"lm-eval {found.task} {found.metric}"
    return _beside(board, found.learned, metric, found.method, found.after.n, scores)


def _changes(board: Board) -> list[dict[str, Any]]:
    """A record per method, learned and forgotten task."""
    return [
        _beside(
            board,
            learned,
            f"relative change, forgetting {forgotten}",
            matrix.method,
            change.n,
            _spread("relative_change", change),
        )
        for matrix in board.matrices
        for (learned, forgotten), change in sorted(matrix.changes.items())
    ]


def _record(board: Board, table: Table, row: Row) -> dict[str, Any]:
    return {
        **_of_board(board),
        "data_hash": table.data_hash,
        "task": table.task,
        "metric": table.metric,
        "majority": table.majority,
        "method": row.method,
        "reference": row.reference,
        "seeds_done": row.done,
        "seeds_planned": row.planned,
        **{key: value for m in MEASURES for key, value in _measure(m, row).items()},
        **_judged(board, table, row),
        **_next(table, row),
        **_one_seed(board, table, row),
        **_standing(board, table, row),
        **_transfer(board, table, row),
        **cell_table.flat("train", board.shared["training"]),
    }


def _measure(measure: Measure, row: Row) -> dict[str, float | None]:
    """Its mean over seeds or the highest, where it has one its spread, and its difference to the
    reference (which of a score is the gain)."""
    name, value = measure.name, row.values[measure.name]
    if measure.over == "highest":
        return {name: row.mean(name)}
    found = {**_spread(name, value), f"{name}_sd": value.sd if value else None}
    if is_plain(measure) and measure.unit != SCORE:
        apart = row.against[name]
        found |= _spread(f"{name}_difference", apart.difference if apart else None)
    return found


def _judged(board: Board, table: Table, row: Row) -> dict[str, Any]:
    """What is said of a row against the reference."""
    place = (table.task, row.method)
    said = next((one for one in board.verdicts if (one.task, one.method) == place), None)
    found: dict[str, Any] = {}
    for name in JUDGED:
        one = said.found[name] if said else None
        found |= {
            f"{name}_verdict": said.words[name] if said else None,
            f"{name}_p": one.p if one else None,
            f"{name}_p_exact": one.p_exact if one else None,
            f"{name}_p_holm": one.p_holm if one else None,
            f"{name}_seen": one.seen if one else None,
            f"{name}_seeds_needed": one.needed if one else None,
        }
    return found


def _next(table: Table, row: Row) -> dict[str, Any]:
    """What sets the best method beside the reference apart from the next."""
    pair = table.closest if table.closest and table.closest.first == row.method else None
    return {
        "next": pair.second if pair else None,
        **_spread("next_difference", pair.found.difference if pair else None),
        "next_p": pair.found.p if pair else None,
        "next_seeds_needed": pair.found.needed if pair else None,
    }


def _one_seed(board: Board, table: Table, row: Row) -> dict[str, Any]:
    """McNemar's test on the answers of a method that has one seed."""
    place = (table.task, row.method)
    found = next((one for one in board.one_seed if (one.task, one.method) == place), None)
    return {
        "answers_verdict": found.word if found else None,
        "answers_only_right": found.more if found else None,
        "answers_only_reference_right": found.fewer if found else None,
        "answers_p": found.p if found else None,
        "answers_p_holm": found.p_holm if found else None,
    }


def _standing(board: Board, table: Table, row: Row) -> dict[str, float | None]:
    """Where a method stands over all tasks; missing but in the average."""
    found = [one for one in board.standings if one.method == row.method]
    one = found[0] if found and table.task == AVERAGE else None
    return {
        "iqm": one.iqm if one else None,
        "iqm_low": one.low if one else None,
        "iqm_high": one.high if one else None,
        "rank": one.rank if one else None,
        "borda": one.borda if one else None,
        "improvement": one.improvement if one else None,
    }


def _transfer(board: Board, table: Table, row: Row) -> dict[str, float | None]:
    """The task's negative transfer, and the share of it that the row's method recovers."""
    found = next((found for found in board.transfers if found.task == table.task), None)
    return {
        **_spread("negative_transfer", found.negative if found else None),
        **_spread("recovered", found.recovered.get(row.method) if found else None),
        **_spread("ceiling", found.ceiling if found else None),
    }


def _spread(name: str, found: Estimate | None) -> dict[str, float | None]:
    return {
        name: None if found is None else found.mean,
        f"{name}_half_width": None if found is None else found.half,
    }
