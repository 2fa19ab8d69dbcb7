"""One cell, whole: what was run, what came out, what it cost and where; or two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.board.cell_table import flat
from bench.board.comparison import changes, settings_of
from bench.board.measures import MEASURES
from bench.board.one_seed import right_rows
from bench.board.statistics import mcnemar
from bench.cells.gathering import cell_name
from bench.cells.result import CellResult, Predictions
from bench.render.section import Column, Section
from bench.render.sections import Page
from bench.render.wording import MISSING, one_line

_POINTS = 12
"""Of a curve; its cell has all."""
_TWO = (Column("", left=True), Column("", words=60, left=True))


def page(result: CellResult) -> Page:
    """Scores first, then what else was measured, then what was run, its curve, costs and place."""
    labels = result["labels"]
    facts = [f"{labels['model']} on {labels['data']}", f"hash: {result['hash']}"]
    facts += [f"{result['status']}: {result['error']}"] if result["error"] else []
    scores = result["scores"]
    facts += [f"note: {note}" for note in scores.get("notes", [])] if scores else []
    return Page(
        heading=f"{cell_name(result)}: {result['status']}",
        facts=tuple(map(one_line, facts)),
        sections=tuple(section for section in _sections(result) if section.rows),
        legend="Figures in their own units: docs/measures.md and docs/results_format.md say which.",
    )


def _sections(result: CellResult) -> list[Section]:
    whole: Mapping[str, Any] = result
    done = result["status"] == "done"
    measures = [
        (m.name, _value(value), m.unit)
        for m in MEASURES
        if done and not m.versus and (value := m.from_result(result)) is not None
    ]
    besides = {name: whole[name] for name in ("chance", "forgotten", "facts", "elicited", "data")}
    return [
        _scores(result),
        Section(
            "Measures",
            (Column("", left=True), Column(""), Column("", left=True)),
            tuple(
                (name, _value(value), unit) for name, value, unit in measures if value is not None
            ),
        ),
        _named("What they are made of", besides),
        _named("What was run", settings_of(result)),
        _curve(result["curve"]),
        _named("Costs (s, MiB)", result["costs"] or {}),
        _named("Where", result["provenance"]),
    ]


def _scores(result: CellResult) -> Section:
    """A row per metric."""
    scores = result["scores"]
    columns = (Column("metric", left=True), *map(Column, ("before", "after", "change")))
    if scores is None:
        return Section("Scores", columns, ())
    pairs = [(name, scores["before"].get(name), after) for name, after in scores["after"].items()]
    rows = [
        (name, _value(old), _value(new), MISSING if old is None else f"{new - old:+.4g}")
        for name, old, new in pairs
    ]
    return Section("Scores on the dev rows", columns, tuple(rows))


def _named(title: str, values: Mapping[str, Any]) -> Section:
    """A row per value that there is."""
    found = {name.removeprefix("."): value for name, value in flat("", values).items()}
    rows = [(one_line(name), _value(value)) for name, value in found.items() if value is not None]
    return Section(title, _TWO, tuple(rows))


def _curve(curve: Sequence[Mapping[str, float]]) -> Section:
    """Some of its points, the last among them."""
    names = dict.fromkeys(name for point in curve for name in point)
    step = max(1, -(-len(curve) // _POINTS))
    some = curve[::-1][::step][::-1]
    rows = [tuple(_value(point.get(name)) for name in names) for point in some]
    return Section("Training", tuple(map(Column, names)), tuple(rows))


def _value(value: Any) -> str:
    if value is None:
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else one_line(str(value))


def beside(
    one: CellResult, other: CellResult, answers: tuple[Predictions | None, Predictions | None]
) -> Page:
    """What differs between two cells: settings, measures, answers."""
    changed = changes(settings_of(one), settings_of(other)) or ["no setting differs"]
    if one["cell"]["seed"] != other["cell"]["seed"]:
        changed.append(f"seed: {one['cell']['seed']} -> {other['cell']['seed']}")
    columns = (Column("", left=True), *map(Column, ("A", "B", "B-A")))
    rows = []
    for measure in (m for m in MEASURES if not m.versus):
        a, b = (_measured(measure.from_result, each) for each in (one, other))
        if a is not None and b is not None:
            rows.append((measure.name, _value(a), _value(b), f"{b - a:+.4g}"))
    return Page(
        heading=f"A: {cell_name(one)}, B: {cell_name(other)}",
        facts=tuple(map(one_line, [*changed, _rows_apart(one, other, answers)])),
        sections=(Section("Measures", columns, tuple(rows)),),
        legend="",
    )


def _measured(of: Any, result: CellResult) -> float | None:
    found: float | None = of(result) if result["status"] == "done" else None
    return found


def _rows_apart(
    one: CellResult, other: CellResult, answers: tuple[Predictions | None, Predictions | None]
) -> str:
    mine, its = right_rows(one, answers[0]), right_rows(other, answers[1])
    if mine is None or its is None or mine.keys() != its.keys():
        return "answers: not of the same rows, not right or wrong, or not kept"
    both = sum(mine[row] and its[row] for row in mine)
    ours, theirs = sum(mine.values()) - both, sum(its.values()) - both
    return (
        f"answers to {len(mine)} rows: {both} right in both, {ours} in A alone, {theirs} in B "
        f"alone (McNemar's exact p {mcnemar(ours, theirs):.3g})"
    )
