"""What of a cell's memory is for what, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from bench.planning.plan import Forecast
from bench.render.layout import table, wrap
from bench.render.section import MOST, Column
from bench.render.wording import HELD

_LARGE = 10 * 2**30  # bytes from which on they are said in GiB
_PARTS = {
    "weights": "weights",
    "gradients": "gra-\ndients",
    "moments": "mo-\nments",
    "theta0": HELD["theta0"],
    "importance": HELD["importance"],
    "star": HELD["star"],
    "teacher": "tea-\ncher",
    "passes": "passes",
    "process": "pro-\ncess",
    "device": "all",
    "host": "host",
}
"""Parts of a footprint -> the headings of their columns."""


def memory_lines(found: Sequence[Forecast], width: int) -> list[str]:
    """Of each method at the peak of its largest cell, by arithmetic; nothing where none is known.
    Columns in which nobody has anything are left out."""
    known = [(one.method, one.footprint) for one in found if one.footprint]
    if not known:
        return []
    largest = max(max(one.device, one.host) for _, one in known)
    unit, size, form = ("GiB", 2**30, ".1f") if largest > _LARGE else ("MiB", 2**20, ".0f")
    parts = [part for part in _PARTS if any(getattr(one, part) for _, one in known)]
    columns = [Column("method", words=24, left=True), Column("while", MOST - 1, left=True)]
    columns += [Column(_PARTS[part], MOST - (part != "device")) for part in parts]
    columns.append(Column("PFLOP", 2))
    rows = [
        (
            method,
            one.at,
            *(format(getattr(one, part) / size, form) for part in parts),
            f"{one.operations / 1e15:.2g}",
        )
        for method, one in known
    ]
    on_gpu, over = any(one.host for _, one in known), known[0][1].over
    where = "of a GPU, and of its host," if on_gpu else "of this machine"
    if over > 1:
        where = f"of each of {over} processes" + (", a GPU's and the host's," if on_gpu else "")
    said = f"memory {where} by arithmetic, in {unit}, at the peak of each method's largest cell; "
    said += "passes: activations, logits and the like; PFLOP: what its training computes"
    if over > 1:
        said += "; cut, save: while weights are cut, and put together for a checkpoint"
    lines, gone = table(columns, rows, width)
    if gone:
        names = ", ".join(gone).replace("- ", "")  # headings of two lines are hyphenated
        more = f"no room in {width} columns for {names}; a wider window, or COLUMNS=120, has more"
        lines.append(wrap(more, width, "  "))
    return ["", wrap(said, width, "  "), "", *lines]
