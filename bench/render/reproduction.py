"""Published figures beside measured ones, as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from bench.board.published import Published, Value
from bench.board.reproduction import WITHIN, Reproduced
from bench.render import markdown, terminal
from bench.render.section import Column, Section
from bench.render.sections import Page
from bench.render.wording import MISSING, one_line

_LEGEND = (
    "Scores ×100, gains in points, relative gains in percent, forgetting as a share. diff: "
    "measured less published; SE: that in standard errors, where both have a standard "
    f"deviation (±). within: at most {WITHIN:g} SE, or, where only ours have a spread, "
    "published lies between our lowest and highest seed. not comparable (1, 2): for the "
    "reasons above with these numbers. known: seen (read in the source), secondary (in a "
    "summary of it), derived (worked out). What could not be read is empty: "
    "results/published/README.md says how to fill it in."
)
_NO_CELL = "nothing of it was measured yet: --preset runs it, --dry-run tells what that costs"
_OTHERS = "none of these figures is of what the folder holds: `table` shows its boards"


def reproduction_page(
    title: str,
    published: Published,
    found: Sequence[Reproduced],
    notes: Sequence[str],
    cells: int,
) -> Page:
    """A table per row of the source, and below it why figures cannot be compared; `cells` is how
    many the folder holds."""
    reasons = list(dict.fromkeys(reason for one in found for reason in one.reasons))
    empty = not any(one.measured for one in found)
    sections = []
    for row in published.rows:
        mine = [one for one in found if one.row is row]
        of = f"{row.statistic or 'of runs'} of {row.runs}" if row.runs else row.statistic
        told = (row.measure, of, row.split, row.selection, f"lab {row.lab}", row.known, row.source)
        sections.append(
            Section(
                one_line(f"{row.name} ({', '.join(filter(None, told))})"),
                _COLUMNS,
                tuple(_cells(one, reasons) for one in mine),
            )
        )
    facts = [*notes, *([_OTHERS if cells else _NO_CELL] if empty else [])]
    facts += [f"({number}) {reason}" for number, reason in enumerate(reasons, 1)]
    return Page(one_line(title), tuple(map(one_line, facts)), tuple(sections), _LEGEND)


_COLUMNS = (
    Column("task", words=20, left=True),
    Column("published"),
    Column("±", 6),
    Column("measured"),
    Column("±", 6),
    Column("n", 7),
    Column("diff"),
    Column("SE", 8),
    Column("verdict", words=24, left=True),
)


def _cells(one: Reproduced, reasons: Sequence[str]) -> tuple[str, ...]:
    digits = 4 if one.row.measure == "forgetting" else 2
    sd = one.measured.sd if one.measured else None
    numbers = [str(reasons.index(reason) + 1) for reason in one.reasons]
    return (
        one_line(one.task),
        _as_published(one.published),
        _as_published(one.row.spread.get(one.task)),
        MISSING if one.value is None else f"{one.value:.{digits}f}",
        MISSING if sd is None else f"{sd:.{digits}f}",
        str(len(one.measured.scores)) if one.measured else MISSING,
        MISSING if one.difference is None else f"{one.difference:+z.{digits}f}",
        MISSING if one.errors is None else f"{one.errors:+z.1f}",
        one.verdict + (f" ({', '.join(numbers)})" if numbers else ""),
    )


def _as_published(value: Value) -> str:
    """With no more digits than the source has."""
    if isinstance(value, tuple):
        return " to ".join(f"{end:g}" for end in value)
    return MISSING if value is None else repr(value)


def reproduction_json(found: Sequence[Reproduced]) -> str:
    """A record per figure; missing is null."""
    return json.dumps(list(map(_record, found)), ensure_ascii=False, indent=1) + "\n"


def _record(one: Reproduced) -> dict[str, Any]:
    row, measured = one.row, one.measured
    return {
        "row": row.name,
        "task": one.task,
        "measure": row.measure,
        "statistic": row.statistic or None,
        "runs": row.runs or None,
        "split": row.split or None,
        "selection": row.selection or None,
        "lab": row.lab,
        "source": row.source,
        "known": row.known,
        "published": one.published,
        "published_spread": row.spread.get(one.task),
        "method": measured.method if measured else None,
        "measured": one.value,
        "measured_sd": measured.sd if measured else None,
        "seeds": len(measured.scores) if measured else 0,
        "difference": one.difference,
        "standard_errors": one.errors,
        "verdict": one.verdict,
        "reasons": list(one.reasons),
    }


FORMATS: dict[str, Callable[[Page, Sequence[Reproduced], str, int], str]] = {
    "terminal": lambda page, found, encoding, width: terminal.page_text(page, encoding, width),
    "markdown": lambda page, found, encoding, width: markdown.page_text(page),
    "json": lambda page, found, encoding, width: reproduction_json(found),
}
"""What `reproduce --format` may be -> the page or its figures in it."""
