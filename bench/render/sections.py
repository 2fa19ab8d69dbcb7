"""A board in words: a page of sections, which every renderer lays out in its own way.

A renderer knows nothing of measures, transfers or suites: docs/add_a_renderer.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from bench.board.leaderboard import AVERAGE, GLUE_AVERAGE, Board, Table
from bench.board.measures import MEASURES, Measure, better, scale
from bench.board.rows import Row
from bench.board.statistics import MOST_SEEDS, Comparison
from bench.board.verdicts import JUDGED, Verdict
from bench.cells.recipe import BEST_ON_DEV, BEST_ON_VALIDATION
from bench.core.settings import typed
from bench.core.version import SUITE_VERSION, is_older
from bench.render.details import details
from bench.render.section import LABEL, Column, Section
from bench.render.wording import (
    MISSING,
    half_text,
    mean_text,
    measure_text,
    one_line,
    verdict_text,
)
from bench.scoring.metrics import is_lower, title_of

_ARROWS = {"more": "\n↑", "less": "\n↓", None: ""}
"""Which way is good, under a heading."""


@dataclass(frozen=True)
class Page:
    """All that is to be shown of a board."""

    heading: str
    facts: tuple[str, ...]  # what its cells have in common
    sections: tuple[Section, ...]
    legend: str


def page(board: Board) -> Page:
    """The board in words."""
    return Page(
        heading=heading(board),
        facts=_facts(board),
        sections=tuple(sections(board)),
        legend=_legend(board),
    )


def sections(board: Board) -> list[Section]:
    """The board's tables in the order of reading: averages come after tasks."""
    return [
        *map(_table, tables(board)),
        *_standings(board),
        *_verdicts(board),
        *_closest(board),
        *details(board),
    ]


def tables(board: Board) -> tuple[Table, ...]:
    """The tables of methods: a task each, then the averages."""
    averages = [table for table in (board.average, board.glue) if table is not None]
    return (*board.tables, *averages)


def averages_first(board: Board) -> tuple[Table, ...]:
    """The same where one looks at the whole before its parts."""
    found, count = tables(board), len(board.tables)
    return (*found[count:], *found[:count])


def heading(board: Board) -> str:
    """What the board is of, and whether an older suite made it."""
    version = board.shared["suite_version"]
    age = f" (older suite version {version}, this is {SUITE_VERSION})" if is_older(version) else ""
    return one_line(f"{board.model} on {board.data}{age}")


def _facts(board: Board) -> tuple[str, ...]:
    shared = board.shared
    model = shared["model"]
    recipe = shared["training"] | ({"max_eval": board.dev_rows} if board.dev_rows else {})
    training = ", ".join(f"{k}={typed(v)}" for k, v in recipe.items() if v is not None)
    lines = (
        f"model: {board.model} ({model['kind']}, {model['hash'][:8]})",
        f"data: {board.data}",
        f"training: {training}",
        f"seeds: {', '.join(map(str, board.seeds))}",
        *_selection(shared["training"]),
        f"retention text: {board.retention or 'none'}{_text_error(board.text_error)}",
        f"suite version: {shared['suite_version']}",
    )
    return tuple(map(one_line, lines))


def _text_error(error: float | None) -> str:
    """How far another text of this size might have shown another rise."""
    return "" if error is None else f" (its choice: standard error up to {error:.3f} nats)"


def _selection(training: Mapping[str, Any]) -> list[str]:
    """Which weights were scored, where not the last."""
    if training.get("select") == BEST_ON_DEV:
        return ["weights: the best on dev, as papers do: chosen on the rows that are reported"]
    if training.get("select") == BEST_ON_VALIDATION:
        return ["weights: the best on validation rows"]
    return []


def _legend(board: Board) -> str:
    """What the columns mean: first those of every board, then those that this one has too."""
    shown = {measure.name for table in board.tables for measure in _shown(table)}
    legends = [m.legend for m in MEASURES if m.show == "always"]
    legends += [m.legend for m in MEASURES if m.name in shown]
    return " ".join(["n: seeds.", *dict.fromkeys(legends)])


def _shown(table: Table) -> list[Measure]:
    """The measures that have a column in a table."""

    def has(measure: Measure) -> bool:
        values = [row.values[measure.name] for row in table.rows]
        if measure.show == "nonzero":
            return any(value.mean for value in values if value)
        return measure.show == "always" or any(value is not None for value in values)

    return [m for m in MEASURES if has(m) and (m.in_sequences or not table.stages)]


def _table(table: Table) -> Section:
    shown = _shown(table)
    spread = {m.name for m in shown if _has_interval(m, table.rows)}
    columns = [Column("method", words=LABEL, left=True), Column("n")]
    for measure in shown:
        arrow = _ARROWS[better(measure, any(row.lower for row in table.rows))]
        columns.append(Column(measure.heading + arrow, measure.importance))
        columns += [Column("±", measure.interval)] if measure.name in spread else []
    return Section(
        title=_title(table),
        columns=tuple(columns),
        rows=tuple(_cells(row, shown, spread) for row in table.rows),
        notes=tuple(map(one_line, table.notes)),
    )


def _has_interval(measure: Measure, rows: Sequence[Row]) -> bool:
    found = (row.values[measure.name] for row in rows)
    return measure.interval > 0 and any(one.half is not None for one in found if one)


def _cells(row: Row, shown: Sequence[Measure], spread: Set[str]) -> tuple[str, ...]:
    seeds = str(row.done) if row.done == row.planned else f"{row.done}/{row.planned}"
    cells = [one_line(row.method), seeds]
    for measure in shown:
        value, factor = row.values[measure.name], scale(measure.unit, row.lower)
        is_reference = row.reference and measure.versus == "difference"
        mark = "*" if measure.name in row.leading else ""
        cells.append("ref" if is_reference else mark + mean_text(value, measure.format, factor))
        form = measure.format.lstrip("+z")
        cells += [half_text(value, factor, form)] if measure.name in spread else []
    return tuple(cells)


def _title(table: Table) -> str:
    """Such as "RTE: accuracy ×100, majority 50.00 (to be forgotten: cola)"."""
    if table.task in (AVERAGE, GLUE_AVERAGE):
        return f"{table.title} ×100"
    metric = title_of(table.metric or "no finished cell")
    metric = metric.replace(AVERAGE, "mean over tasks") if table.stages else metric
    factor = " ×100" if table.metric else ""
    factor = ", less is better" if is_lower(table.metric or "") else factor
    if table.majority is not None:
        factor += f", majority {100 * table.majority:.2f}"
    forget = f" (to be forgotten: {', '.join(table.forget)})" if table.forget else ""
    return one_line(f"{table.title}: {metric}{factor}{forget}")


def _standings(board: Board) -> list[Section]:
    """A row per method over all tasks of the average."""
    columns = (
        Column("method", words=LABEL, left=True),
        Column("n"),
        Column("IQM\n↑", 9),
        Column("low", 7),
        Column("high", 7),
        Column("rank\n↓", 8),
        Column("Borda\n↑", 6),
        Column("P(above\nfinetune)\n↑", 8),
    )
    rows = [
        (
            one_line(found.method),
            str(found.scores),
            f"{100 * found.iqm:z.2f}",
            f"{100 * found.low:z.2f}",
            f"{100 * found.high:z.2f}",
            f"{found.rank:.2f}",
            f"{found.borda:.1f}",
            MISSING if found.improvement is None else f"{found.improvement:.2f}",
        )
        for found in board.standings
    ]
    title = (
        "Over the tasks of the average: interquartile mean of n scores ×100 with its 95 % interval "
        "(seeds drawn anew within each task), mean rank, Borda count, and how often a seed's score "
        "is above one of finetune's"
    )
    return [Section(title, columns, tuple(rows))] if rows else []


def _verdicts(board: Board) -> list[Section]:
    """A row per task and method, in words."""
    columns = (
        Column("task", words=LABEL, left=True),
        Column("method", words=LABEL, left=True),
        Column("n"),
        Column("target", words=28, left=True),
        Column("retention", words=28, left=True),
        Column("seeds to\ntell target", 5),
    )
    rows = []
    for verdict in board.verdicts:
        target, retention = (verdict.found[name] for name in JUDGED)
        n = max(one.difference.n for one in (target, retention) if one)
        said = (one_line(verdict.title), one_line(verdict.method), str(n))
        rows.append((*said, *(verdict_text(verdict, name) for name in JUDGED), _seeds(verdict)))
    title = (
        "Against finetune: paired t-tests over seeds at 5 %, Holm over this board's tasks and "
        "methods (the average by itself); better, worse: by how many points, and nats per token, "
        "with the 95 % interval; no difference shown (±: what would have been)"
    )
    return [Section(title, columns, tuple(rows), board.limits)] if rows else []


def _seeds(verdict: Verdict) -> str:
    """How many would show the difference on the target, where these do not."""
    is_open = verdict.words["after"] == "no difference shown"
    return _needed(verdict.found["after"]) if is_open else MISSING


def _needed(found: Comparison | None) -> str:
    """The seeds that would show a difference."""
    if not found or not found.difference.mean:
        return MISSING
    return f"more than {MOST_SEEDS}" if found.needed is None else str(found.needed)


def _closest(board: Board) -> list[Section]:
    """A row per task, and one of the average: the two best beside finetune."""
    columns = (
        Column("task", words=LABEL, left=True),
        *(Column(heading, words=LABEL, left=True) for heading in ("best", "next")),
        Column("n"),
        *(Column(heading) for heading in ("apart", "±")),
        Column("seeds to\ntell apart"),
    )
    rows = []
    for table in tables(board):
        if (pair := table.closest) is not None:
            apart = measure_text("gain", pair.found.difference, table.rows[0].lower)
            seeds = "told" if pair.is_told else _needed(pair.found)
            names = map(one_line, (table.title, pair.first, pair.second))
            rows.append((*names, str(pair.found.difference.n), *apart, seeds))
    title = (
        "The two best beside finetune: how far apart on the seeds of both, with the 95 % interval, "
        "and from how many seeds on that would be told (one paired t-test at 5 %, of two that were "
        "chosen by these scores)"
    )
    return [Section(title, columns, tuple(rows))] if rows else []
