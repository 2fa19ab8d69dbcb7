"""What stands behind a board: settings, where it was run, what has no scores, and every cell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bench.board import cell_table
from bench.board.grouping import method_of
from bench.board.leaderboard import Board
from bench.board.measures import MEASURES, Measure, scale
from bench.board.rows import is_plain
from bench.render.section import Column, Section
from bench.render.wording import MISSING, one_line
from bench.scoring.metrics import is_lower

_OWN = frozenset({"started", "resumes", "ways", "dirty", "commit"})
"""What is said of a cell's run beside the machine and its software."""


def settings(board: Board) -> Section:
    """Every setting of every method."""
    rows = [
        (one_line(name), setting, _plain(value))
        for key, name in sorted(board.names.items(), key=lambda item: item[1])
        for setting, value in cell_table.flat("", json.loads(key.settings)).items()
    ]
    shown = tuple((name, setting.lstrip("."), value) for name, setting, value in rows)
    columns = (
        Column("method", left=True),
        Column("setting", left=True),
        Column("value", left=True),
    )
    return Section("Settings of the methods", columns, shown)


def recipe(board: Board) -> Section:
    """What all cells have in common."""
    shared = cell_table.flat("", board.shared)
    rows = tuple((name.lstrip("."), _plain(value)) for name, value in shared.items())
    columns = (Column("part", left=True), Column("value", left=True))
    return Section("What all cells have in common", columns, rows)


def provenance(board: Board) -> Section:
    """Where cells were run and with what, a row per kind of place, and how many came of it."""
    counts = Counter[tuple[str, str]]()
    for cell in board.cells:
        run = cell["provenance"]
        code = (
            f"{str(run.get('commit') or MISSING)[:10]}{' and changes' if run.get('dirty') else ''}"
        )
        counts[code, "; ".join(_machine(run))] += 1
    days = sorted(
        str(c["provenance"]["started"])[:10] for c in board.cells if "started" in c["provenance"]
    )
    when = f", {days[0]} to {days[-1]}" if days else ""
    columns = (
        Column("commit", left=True),
        Column("machine and software", words=60, left=True),
        Column("cells"),
    )
    rows = tuple((*place, str(count)) for place, count in sorted(counts.items()))
    return Section(f"Provenance of {len(board.cells)} cells{when}", columns, rows)


def _machine(run: Mapping[str, Any]) -> Iterator[str]:
    for name, value in run.items():
        if name not in _OWN and value not in (None, [], {}):
            words = value.items() if isinstance(value, dict) else ()
            yield f"{name} {', '.join(f'{k} {v}' for k, v in words) or _plain(value)}"


def without_scores(board: Board) -> Section | None:
    """Cells that failed or were refused, each with its reason."""
    rows = tuple(
        (
            one_line(board.names[method_of(cell)]),
            one_line(cell["cell"]["task"]),
            str(cell["cell"]["seed"]),
            cell["status"],
            one_line(str(cell["error"])),
        )
        for cell in board.cells
        if cell["status"] != "done"
    )
    names = ("method", "task", "seed", "status")
    columns = (
        *(Column(name, left=name != "seed") for name in names),
        Column("reason", words=60, left=True),
    )
    return Section(f"{len(rows)} cells without scores", columns, rows) if rows else None


def every_cell(board: Board) -> Section:
    """A row per cell: its measures, and the hash that names it."""
    shown = [m for m in MEASURES if is_plain(m) or m.over == "highest"]
    known = cell_table.records(board.cells)
    shown = [m for m in shown if any(one[m.name] is not None for one in known)]
    labels = {cell["hash"]: board.names[method_of(cell)] for cell in board.cells}
    columns = (
        *(Column(name, left=True) for name in ("method", "task")),
        Column("seed"),
        Column("status", left=True),
        *(Column(measure.heading) for measure in shown),
        Column("hash", left=True),
    )
    rows = tuple(
        (
            one_line(labels[one["hash"]]),
            one_line(one["task"]),
            str(one["seed"]),
            one["status"],
            *(_value(measure, one) for measure in shown),
            one["hash"][:12],
        )
        for one in known
    )
    return Section(f"All {len(rows)} cells", columns, rows)


def _value(measure: Measure, record: Mapping[str, Any]) -> str:
    value = record[measure.name]
    if value is None:
        return MISSING
    lower = is_lower(record["metric"] or "")
    return format(scale(measure.unit, lower) * value, measure.format)


def _plain(value: Any) -> str:
    return "none" if value is None else one_line(json.dumps(value, ensure_ascii=False).strip('"'))
