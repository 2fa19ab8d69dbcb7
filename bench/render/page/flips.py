"""Rows that are answered otherwise after tuning, with their texts."""

from __future__ import annotations

from collections.abc import Callable

from bench.board.flipped import Flip, TaskFlips, flips_of
from bench.board.leaderboard import Board
from bench.cells.result import CellResult, Predictions
from bench.render.examples import answer_text
from bench.render.page.tables import Looks, section_table
from bench.render.page.tags import Markup, joined
from bench.render.section import Column, Section
from bench.render.wording import one_line
from bench.rows.lookup import Asked, Lookup

_MOST_ROWS = 12  # of a task
_MOST_CHARACTERS = 400  # of a text


def flips(
    board: Board,
    answers: Callable[[CellResult], Predictions | None],
    lookup: Lookup,
    looks: Looks,
) -> Markup | None:
    """A table per task: the rows that flipped in most cells, each with its text, the right answer
    and the base model's, and in how many seeds a method lost or gained it."""
    found = [one for one in flips_of(board.cells, board.names, answers) if one.rows]
    return joined(*(section_table(_section(o, lookup), looks) for o in found)) if found else None


def _section(found: TaskFlips, lookup: Lookup) -> Section:
    texts = lookup.rows(found.stages or (found.task,), found.data_hash, found.letters)
    known: dict[str, Asked] = {} if isinstance(texts, str) else texts
    methods = sorted(found.seeds)
    shown = found.rows[:_MOST_ROWS]
    title = (
        f"{one_line(found.title)}: {len(shown)} of {len(found.rows)} rows that flipped in some "
        "cell, first those on which methods differ most. −: seeds in which it was right and is "
        "wrong now, +: the reverse"
    )
    columns = (
        Column("row", left=True),
        Column("text", words=60, left=True),
        Column("right answer", left=True),
        Column("base model's", left=True),
        *(Column(f"{name}\nof {found.seeds[name]}") for name in methods),
    )
    rows = [
        (
            one_line(flip.id),
            *_words(flip, known.get(flip.id)),
            *(_count(flip, name) for name in methods),
        )
        for flip in shown
    ]
    notes = (f"without texts: {texts}",) if isinstance(texts, str) else ()
    return Section(title, columns, tuple(rows), notes)


def _count(flip: Flip, method: str) -> str:
    """Such as "−2", "+1", or both."""
    lost, gained = flip.lost.get(method, 0), flip.gained.get(method, 0)
    return " ".join([*([f"−{lost}"] if lost else []), *([f"+{gained}"] if gained else [])])


def _words(flip: Flip, asked: Asked | None) -> tuple[str, str, str]:
    """The row's text, the right answer and the base model's."""
    answers = _cut(answer_text(asked, flip.gold)), _cut(answer_text(asked, flip.before))
    if asked is None:
        return "", *answers
    task, row = asked
    names = [name for name in task.columns if name not in task.labels and name != task.target]
    text = " · ".join(one_line(str(row[name])) for name in names if name in row)
    return _cut(text), *answers


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
