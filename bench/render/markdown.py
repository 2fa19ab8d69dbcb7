"""Boards as Markdown in GitHub's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from bench.board.leaderboard import Board
from bench.render.section import Section
from bench.render.sections import Page, page
from bench.render.wording import one_line


def render(boards: Sequence[Board]) -> str:
    """One document with a section per board."""
    return "\n".join(["# Leaderboard\n", *(page_text(page(board)) for board in boards)])


def page_text(shown: Page) -> str:
    """One page as a section."""
    facts = "\n".join(f"- {_escape(line)}" for line in shown.facts)
    body = "\n".join(map(_section, shown.sections))
    return f"## {_escape(shown.heading)}\n\n{facts}\n\n{body}\n{shown.legend}\n"


def _section(section: Section) -> str:
    """Title, table and notes."""
    grid = [
        _line([column.heading for column in section.columns]),
        f"| {' | '.join(':---' if column.left else '---:' for column in section.columns)} |",
        *map(_line, section.rows),
    ]
    blocks = [[f"### {_escape(section.title)}"], grid]
    if section.notes:
        blocks.append([f"- {_escape(note)}" for note in section.notes])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |"


def _escape(words: str) -> str:
    """`words` on one line, showing its own characters: they start no cell, no tag and no link."""
    plain = one_line(words).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return ("\\" if plain.startswith("[") else "") + plain.replace("](", "]\\(")
