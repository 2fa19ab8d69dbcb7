"""The command that sets a preset's published figures beside measured ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.board.published import published_in
from bench.board.reproduction import reproductions
from bench.cli.jobs import preset_of
from bench.cli.parser import OK, Parser, add_options
from bench.render.layout import window

if TYPE_CHECKING:
    from bench.cells.result import CellResult


def reproduce(words: Sequence[str]) -> int:
    """Print a preset's published figures beside those that a folder holds."""
    from bench.render.reproduction import FORMATS, reproduction_page

    about = "Published figures beside measured ones, with a verdict for each and the reasons."
    parser = Parser("reproduce", description=about)
    about = "of list presets, or a TOML file that says which figures it is set against"
    parser.add_argument("preset", metavar="PRESET", help=about)
    about = "the folder of a run, or an archive of it (the preset's own)"
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, default=None, help=about)
    about = f"print it as one of {', '.join(FORMATS)} (terminal)"
    parser.add_argument("--format", choices=tuple(FORMATS), metavar="F", help=about)
    add_options(parser, "plugin", "task_file")
    given = parser.read(words)
    preset = preset_of(given.pop("preset"), given)
    published = published_in(preset.published, preset.name)
    folder = given["folder"] or preset.folder
    results = _results(folder, bool(given["folder"]))
    found = reproductions(published, results, preset.recipes)
    title = f"{preset.name}: {published.about}; measured in {folder}"
    page = reproduction_page(title, published, found, preset.notes, len(results))
    text = FORMATS[given.get("format", "terminal")](
        page, found, sys.stdout.encoding or "ascii", window()
    )
    print(text, end="" if text.endswith("\n") else "\n")
    return OK


def _results(folder: Path, named: bool) -> Sequence[CellResult]:
    """What a folder holds; nothing where it is a preset's own and was not run yet."""
    from bench.api import load

    return load(folder).results if named or folder.is_dir() else ()
