"""Two folders side by side, as a page."""

from __future__ import annotations

from pathlib import Path

from bench.board.comparison import Beside, Paired
from bench.board.measures import measure_named, scale
from bench.render.section import Column, Section
from bench.render.sections import Page
from bench.render.wording import MISSING, half_text, one_line

_TITLES = {"after": "The score after tuning", "retention": "Rise of the loss on the retention text"}
_LEGEND = (
    "B-A: mean difference of the seeds that both have, ± its 95 % interval; p: paired t-test, Holm "
    "over this table. Where one seed pairs, McNemar's exact test on the answers: rows that only B, "
    "and that only A, has right."
)


def page(found: Beside, a: Path, b: Path) -> Page:
    """What changed, then a table for each measure, then what has no partner."""
    sections = [_section(found, name) for name in _TITLES if any(r.found[name] for r in found.rows)]
    alone = [Section("Cells of one side", (), (), found.alone)] if found.alone else []
    nothing = ("no cells pair: nothing to test",) if not found.rows else ()
    changed = [f"changed: {line}" for line in found.changed] or ["no setting changed"]
    return Page(
        heading=f"A: {a}, B: {b}",
        facts=tuple(map(one_line, [*changed, *nothing])),
        sections=(*sections, *alone),
        legend=_LEGEND if found.rows else "",
    )


def _section(found: Beside, name: str) -> Section:
    columns = (
        Column("task", words=24, left=True),
        Column("method", words=24, left=True),
        Column("n"),
        Column("A", 9),
        Column("B", 9),
        Column("B-A", 9),
        Column("±", 8),
        Column("p", 7),
        Column("B is", 9, words=30),
    )
    unit = measure_named(name).unit
    title = f"{_TITLES[name]}, {'×100' if scale(unit, False) == 100 else unit}"
    return Section(title, columns, tuple(_row(row, name) for row in found.rows if row.found[name]))


def _row(row: Paired, name: str) -> tuple[str, ...]:
    measure, found = measure_named(name), row.found[name]
    assert found is not None, "it has a line"
    factor, form = scale(measure.unit, row.lower), measure.format.lstrip("+")
    a, b = row.means[name]
    return (
        one_line(row.title),
        one_line(row.method),
        str(found.difference.n),
        format(factor * a, form),
        format(factor * b, form),
        format(factor * found.difference.mean, f"+{form}"),
        half_text(found.difference, factor, form.lstrip("z")) or MISSING,
        MISSING if found.p_holm is None else f"{found.p_holm:.3g}",
        _said(row, name),
    )


def _said(row: Paired, name: str) -> str:
    word = row.words[name]
    if name == "after" and word != "the same" and row.answers is not None:
        more, fewer, p = row.answers
        return f"{word}: {more} and {fewer} rows, p {p:.3g}"
    return word or MISSING
