"""A cell's answers with the rows that they answer, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.cells.gathering import cell_name
from bench.cells.result import CellResult, Predictions
from bench.core.errors import BenchError
from bench.core.text import printable
from bench.render.layout import WIDTH, wrap
from bench.rows.lookup import Asked
from bench.scoring.predictions import right

KINDS: dict[str, Callable[[bool, bool, bool], bool]] = {
    "all": lambda before, after, same: True,
    "lost": lambda before, after, same: before and not after,
    "gained": lambda before, after, same: after and not before,
    "wrong": lambda before, after, same: not after,
    "changed": lambda before, after, same: not same,
}
"""Which rows are shown -> of an answer that was right before, is right now, and is the same."""
_EITHER = ("all", "changed")
"""Kinds that need no answers that are right or wrong."""


@dataclass(frozen=True)
class Window:
    """Which of a cell's rows are shown."""

    kind: str = "all"  # of KINDS
    size: int = 20
    page: int = 1


def examples(
    result: CellResult,
    answers: Predictions,
    rows: Mapping[str, Asked] | str,
    shown: Window,
    names: tuple[str, str] = ("before", "after"),
    width: int = WIDTH,
) -> str:
    """The rows of a kind, a page of them; `names` are what the two answers are called, `rows` why
    there are no texts where there are none.

    Raises:
        BenchError: a kind of right and wrong where answers are neither; a page that there is not.
    """
    found = _of_kind(result, answers, shown.kind)
    first = (shown.page - 1) * shown.size
    some = found[first : first + shown.size]
    if shown.page < 1 or (not some and shown.page > 1):
        raise BenchError(f"--page {shown.page}: there are {-(-len(found) // shown.size)}.")
    said = f"{cell_name(result)}, rows ({shown.kind}): {len(found)} of {len(answers['id'])}"
    said += f"; {first + 1} to {first + len(some)} are shown" if some else ""
    said += f", --page {shown.page + 1} has the next" if first + len(some) < len(found) else ""
    lines = [wrap(said, width, "  ")]
    if isinstance(rows, str):
        lines.append(wrap(f"no texts: {rows} (--data says where to look)", width, "  "))
    for i in some:
        asked = None if isinstance(rows, str) else rows.get(answers["id"][i])
        given = zip(
            ("gold", *names), (answers[c][i] for c in ("gold", "before", "after")), strict=True
        )
        words = ", ".join(f"{name} {answer_text(asked, value)}" for name, value in given)
        lines.append(wrap(f"{answers['id'][i]}: {words}", width, "  "))
        lines += [wrap(f"  {text}", width, "    ") for text in (_texts(asked) if asked else [])]
    return "\n".join(lines)


def _of_kind(result: CellResult, answers: Predictions, kind: str) -> list[int]:
    """The places of the rows of a kind."""
    gold, before, after = answers["gold"], answers["before"], answers["after"]
    if result["flips"] is None:
        if kind not in _EITHER:
            raise BenchError(
                f"--rows {kind}: answers of {result['cell']['task']} are not right or wrong; "
                f"--rows {' or '.join(_EITHER)} shows them."
            )
        was = now = [False] * len(gold)
    else:
        was, now = right(gold, before), right(gold, after)
    wanted = KINDS[kind]
    return [i for i in range(len(gold)) if wanted(was[i], now[i], before[i] == after[i])]


def against(one: Predictions | None, other: Predictions | None) -> Predictions | None:
    """The tuned answers of two cells, the first's as those before; None where a cell's were not
    kept or they are not of the same rows."""
    if one is None or other is None or one["id"] != other["id"]:
        return None
    return {**other, "before": one["after"]}


def _texts(asked: Asked) -> list[str]:
    """What the row says, a line for each of its columns."""
    return [f"{name}: {printable(str(asked.row[name]))}" for name in asked.task.columns]


def answer_text(asked: Asked | None, value: Any) -> str:
    """An answer as a person reads it."""
    if asked is not None and type(value) is int and asked.task.kind != "text":
        task = asked.task
        known = task.answers(asked.row) if task.kind == "multiple_choice" else task.words
        known = known or task.labels
        if 0 <= value < len(known):
            return printable(known[value].strip()) + f" ({value})"
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(" ".join(str(value).split()))
