"""Boards as text for a terminal: no colour, nothing that its encoding cannot write or that is wider
than its window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.board.leaderboard import Board
from bench.render.layout import WIDTH, table, wrap
from bench.render.section import Section
from bench.render.sections import Page, page

_ASCII = str.maketrans({"±": "+-", "×": "x", "–": "-", "−": "-", "…": "...", "↑": "^", "↓": "v"})
_ALL = "`table DIR --wide` shows all; leaderboard.md has them."
_WIDER = "A wider window, or COLUMNS=200 before the command, shows all."


def render(boards: Sequence[Board], encoding: str = "utf-8", width: int = WIDTH) -> str:
    """All boards, ending with a line break; `encoding` and `width` are those of the output."""
    return "\n\n".join(page_text(page(board), encoding, width, _ALL) for board in boards) + "\n"


def page_text(
    shown: Page, encoding: str = "utf-8", width: int = WIDTH, advice: str = _WIDER
) -> str:
    """One page; `advice` is for columns that have no room."""

    def fit(line: str) -> str:
        return _fit(line, encoding)

    return _page(_writable(shown, fit), width, advice)


def _page(shown: Page, width: int, advice: str) -> str:
    name = wrap(shown.heading, width)
    rule = "=" * max(map(len, name.split("\n")))
    blocks = ["\n".join([name, rule, *(wrap(line, width, "  ") for line in shown.facts)])]
    without: dict[str, None] = {}
    for section in shown.sections:
        lines, gone = table(section.columns, section.rows, width)
        without |= dict.fromkeys(gone)
        notes = [wrap(f"! {note}", width, "  ") for note in section.notes]
        blocks.append("\n".join([wrap(section.title, width, "  "), *lines, *notes]))
    if without:
        said = f"No room in {width} columns for {', '.join(without)}."
        blocks.append(wrap(f"{said} {advice}", width))
    return "\n\n".join([*blocks, *([wrap(shown.legend, width)] if shown.legend else [])])


def _writable(shown: Page, fit: Callable[[str], str]) -> Page:
    """The page in other characters. Before the layout: replacements may be longer."""
    return Page(
        heading=fit(shown.heading),
        facts=tuple(map(fit, shown.facts)),
        sections=tuple(
            Section(
                title=fit(section.title),
                columns=tuple(replace(c, heading=fit(c.heading)) for c in section.columns),
                rows=tuple(tuple(map(fit, row)) for row in section.rows),
                notes=tuple(map(fit, section.notes)),
            )
            for section in shown.sections
        ),
        legend=fit(shown.legend),
    )


def _fit(line: str, encoding: str) -> str:
    """`line` in characters that `encoding` has."""
    lost: dict[str, str | int | None] = {
        c: _ASCII.get(ord(c), "?") for c in set(line) if not _has(encoding, c)
    }
    return line.translate(str.maketrans(lost))


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
