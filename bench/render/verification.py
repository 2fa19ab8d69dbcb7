"""What came of verifying a folder, as text."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.board.leaderboard import Board
from bench.board.verification import Verified
from bench.core.text import printable_values
from bench.render.layout import WIDTH, wrap
from bench.render.tidy import records

_NAMES = ("board", "task", "metric", "method")
"""What a record of leaderboard.json is called by."""
_NEAR = 1e-6
"""Relative: of intervals and p-values, which libraries of another version may round otherwise."""


def report(
    place: Path, cells: Sequence[Verified], written: Sequence[str], width: int = WIDTH
) -> str:
    """What differs first, then how much agrees, then what could not be looked at. `written` has a
    line for each figure of a board beside the cells that these do not give."""
    bad = [one for one in cells if one.differ]
    lines = [f"! {one.name}: {'; '.join(one.differ)}" for one in bad]
    lines += [f"! {line}" for line in written]
    agree, wrong = (sum(each) for each in ([c.agree for c in cells], [len(c.differ) for c in bad]))
    verdict = f"{wrong} of them differ" if wrong else "all agree"
    verdict += f"; {len(written)} of leaderboard.json differ" if written else ""
    lines.append(
        f"{place}: {len(cells)} finished cells, {agree + wrong:,} figures computed again: {verdict}"
    )
    counts = Counter(part for one in cells for part in one.unchecked)
    lines += ["not checkable, cells:"] if counts else []
    for number in sorted(set(counts.values()), reverse=True):
        parts = ", ".join(part for part, count in counts.items() if count == number)
        lines.append(f"  {number}: {parts}")
    return "\n".join(wrap(line, width, "    ") for line in lines)


def written_otherwise(path: Path, boards: Iterable[Board]) -> list[str]:
    """The figures of a leaderboard.json that its cells do not give, a line each; of records that
    an older version wrote under other names, none."""
    try:
        found = printable_values(json.loads(path.read_text("utf-8")))
        theirs = {tuple(one.get(name) for name in _NAMES): one for one in found}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return [f"{path} cannot be read"] if path.exists() else []
    return [
        f"{path.name}: {name} of {record['method']} on {record['task']} is {its[name]}, its cells "
        f"give {value}"
        for record in records(list(boards))
        if (its := theirs.get(tuple(record[name] for name in _NAMES))) is not None
        for name, value in record.items()
        if name in its and not _same(its[name], value)
    ]


def _same(written: Any, found: Any) -> bool:
    if isinstance(written, float | int) and isinstance(found, float | int):
        return math.isclose(written, found, rel_tol=_NEAR, abs_tol=1e-9)
    return bool(written == found)
