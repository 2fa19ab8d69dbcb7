"""The commands that read what runs have left."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.parser import FAILED_CELLS, OK, Parser, add_options
from bench.core.errors import BenchError
from bench.planning.plugins import load_all
from bench.render.layout import window, wrap

if TYPE_CHECKING:
    from bench.api import Runs
    from bench.render.sections import Page

TERMINAL, PARQUET = "terminal", "parquet"
PAGE = "report.html"
_LOOK_SECONDS, _REST = 2.0, 9.0
_PLACE = "the folder of a run, or an archive of it (see pack)"


def table(words: Sequence[str]) -> int:
    """Print the boards of folders; they are written into one where that is asked for."""
    from bench.render import FORMATS

    parser = Parser("table")
    about = "also write leaderboard.md, .csv, .json and cells.csv into DIR"
    parser.add_argument("--write", action="store_true", help=about)
    about = "every column, however wide the window (of terminal and latex)"
    parser.add_argument("--wide", action="store_true", help=about)
    about = f"print them as one of {', '.join(FORMATS)} (terminal); {PARQUET}: write a record "
    about += "for each cell, with settings, recipe and provenance, into DIR as cells.parquet"
    parser.add_argument("--format", choices=(*FORMATS, PARQUET), metavar="F", help=about)
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+", help=_PLACE)
    given = parser.read(words)
    folders = given.pop("folders")
    into_folder = given.get("write") or given.get("format") == PARQUET
    if into_folder and (len(folders) > 1 or not folders[0].is_dir()):
        raise BenchError("files are written into a folder: name one, and no archive.")
    from bench.api import load

    runs = load(*folders)
    if given.get("format") == PARQUET:
        from bench.render.tidy import cell_records, write_parquet

        path = runs.folder / "cells.parquet"
        write_parquet(cell_records(runs.results), path)
        print(f"written: {path}")
        _print_notes(runs.set_aside)
        return OK
    show_boards(runs, **given)
    return OK


def show_boards(
    runs: Runs, format: str = TERMINAL, wide: bool = False, write: bool = False
) -> None:
    """Print the boards, and write them into the folder. What is said of files goes elsewhere where
    the boards are another program's to read."""
    from bench.render import FORMATS, write_all

    board = runs.board()
    boards = board.boards
    print(FORMATS[format](boards, wide), end="\n" if format == TERMINAL else "", flush=True)
    lines = [f"! {line}" for line in (*runs.set_aside, *board.set_aside)]
    if write:
        lines += [f"written: {path}" for path in write_all(boards, runs.results, runs.folder)]
    for line in lines:
        print(line, file=sys.stdout if format == TERMINAL else sys.stderr)


def report(words: Sequence[str]) -> int:
    """Write all that a folder holds as one HTML page."""
    about = (
        "The boards of a run as one HTML file, with verdicts, plots and every table; it needs no "
    )
    about += "network. --data says where the rows lie, for the texts of answers that changed."
    parser = Parser("report", description=about)
    parser.add_argument("folder", metavar="DIR", type=Path, help=_PLACE)
    parser.add_argument("--out", metavar="FILE", type=Path, help="(report.html in DIR)")
    given = read_with_rows(parser, words)
    folder = given["folder"]
    if "out" not in given and folder.is_file():
        raise BenchError("--out FILE says where the page of an archive goes.")
    from bench.api import load

    write_page(load(folder), given.get("out", folder / PAGE), given.get("data", "micro"))
    return OK


def write_page(runs: Runs, path: Path, data: str) -> None:
    """Write the page of a run, and say where it is."""
    from bench.core.files import atomic_write_text

    atomic_write_text(path, runs.page(data))
    print(f"written: {path}")


def status(words: Sequence[str]) -> int:
    """Print what is done in a folder, what runs, and why the rest is not."""
    parser = Parser("status")
    about = "look again every two seconds, until all is done or Ctrl-C"
    parser.add_argument("--watch", action="store_true", help=about)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of a run")
    given = parser.read(words)
    folder = given["folder"]
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder.")
    from bench.cells.state import state_of
    from bench.render.status import status

    if given.get("watch", False):
        _watch(folder)
    else:
        print(status(state_of(folder, {}), folder, window()))
    return OK


def _watch(folder: Path) -> None:
    """Show how far a folder is, again and again: redrawn on a terminal, elsewhere printed where it
    differs. Ends when all is done, or with Ctrl-C, which harms no run."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from bench.cells.state import state_of
    from bench.core.lease import Lease
    from bench.render.status import status

    leases: dict[str, Lease] = {}
    console, shown = Console(highlight=False), ""
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=console, auto_refresh=False, vertical_overflow="crop") as live,
    ):
        while True:
            start = time.monotonic()
            state = state_of(folder, leases)
            text = status(state, folder, window())
            if console.is_terminal:
                live.update(Text(text), refresh=True)
            elif text != shown:
                print(text, flush=True)
            shown = text
            if state.is_over:
                return
            took = time.monotonic() - start
            time.sleep(max(_LOOK_SECONDS, _REST * took))  # a folder of thousands takes a second


def pack(words: Sequence[str]) -> int:
    """Write a folder's cells and answers as one archive."""
    about = "Cells and answers of a run as one zip file, without weights; table, verify and merge "
    about += "take it wherever they take a folder."
    parser = Parser("pack", description=about)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of a run")
    parser.add_argument("--out", metavar="FILE", type=Path, help="(NAME.zip here, as the folder)")
    given = parser.read(words)
    folder = given["folder"]
    if not folder.is_dir():
        raise BenchError(f"{folder} is not a folder.")
    out = given.get("out", Path(f"{folder.resolve().name}.zip"))
    from bench.cells.archive import pack

    packed = pack(folder, out)
    print(f"written: {out} with {packed.cells} cells, the answers of {packed.answers}")
    _print_notes(packed.left_out)
    return OK


def add_cell_options(parser: Parser) -> None:
    """What `show` takes of a cell."""
    from bench.render.examples import KINDS, Window

    group = parser.add_argument_group("of a cell")
    kinds = "|".join(KINDS)
    about = f"its answers with the rows' texts, or some of them: {kinds} (all; of --diff changed)"
    group.add_argument(
        "--rows", nargs="?", const="", choices=("", *KINDS), metavar="KIND", help=about
    )
    group.add_argument("--page", type=int, metavar="N", help=f"of {Window.size} rows each (1)")
    about = "another cell: what differs in settings, figures and answers"
    group.add_argument("--diff", type=Path, metavar="OTHER", help=about)
    add_options(parser, "data")


def show_cell(
    name: Path,
    rows: str | None = None,
    page: int = 1,
    diff: Path | None = None,
    data: str = "micro",
    **_: Any,
) -> int:
    """Print a cell, or two beside each other, and some of the answers."""
    from bench.cells.gathering import cell_at
    from bench.render import cell
    from bench.render.examples import Window, against, examples
    from bench.rows.lookup import Lookup

    said: list[str] = []
    result, answers = cell_at(name, said)
    names, kind = ("before", "after"), "all"
    if rows is None and diff is None:
        _print_page(cell.page(result))
    elif diff is not None:
        other, its = cell_at(diff, said)
        _print_page(cell.beside(result, other, (answers, its)))
        answers, names, kind = against(answers, its), ("A", "B"), "changed"
    _print_notes(said)
    if rows is None:
        return OK
    if answers is None:
        raise BenchError(f"{name}: the answers were not kept, are damaged, or are of other rows.")
    asked = result["cell"]
    recipe = asked["training"]
    letters, validated = recipe.get("choices") == "letter", bool(recipe.get("validation"))
    tasks = asked.get("stages") or [asked["task"]]
    found = Lookup(data).rows(tasks, asked["data"]["hash"], letters, validated)
    shown = Window(rows or kind, page=page)
    print(examples(result, answers, found, shown, names, window()))
    return OK


def compare(words: Sequence[str]) -> int:
    """Print two folders side by side: what changed, and what that did where cells pair."""
    about = "What of the settings changed from A to B, and paired tests of the cells that have "
    about += "method, task, seed and model in common."
    parser = Parser("compare", description=about)
    for name in ("A", "B"):
        parser.add_argument(name, metavar=name, type=Path, help=_PLACE)
    given = parser.read(words)
    from bench.board.comparison import compare
    from bench.cells.gathering import gathered
    from bench.render.comparison import page

    a, b = (gathered([given[name]]) for name in ("A", "B"))
    found = compare(a.results, b.results, (a.answers, b.answers))
    _print_page(page(found, given["A"], given["B"]))
    _print_notes([*a.set_aside, *b.set_aside])
    return OK


def verify(words: Sequence[str]) -> int:
    """Compute every score of a folder again from stored answers; 1 where any differs."""
    about = "Every figure that stored answers give, computed again, and the right answers held "
    about += "against the rows. Exit code 1 where anything differs."
    parser = Parser("verify", description=about)
    parser.add_argument("folder", metavar="DIR", type=Path, help=_PLACE)
    given = read_with_rows(parser, words)
    from bench.board.leaderboard import boards
    from bench.board.verification import verify
    from bench.cells.gathering import gathered
    from bench.render.verification import report, written_otherwise
    from bench.rows.lookup import Lookup

    place = given["folder"]
    found, rows = gathered([place]), Lookup(given.get("data", "micro"))
    done = [result for result in found.results if result["status"] == "done"]
    cells = [verify(one, found.answers(one), rows, found.part_answers(one)) for one in done]
    beside = (place if place.is_dir() else place.parent) / "leaderboard.json"
    written = written_otherwise(beside, boards(found.results, found.answers))
    print(report(place, cells, written, window()))
    _print_notes(found.set_aside)
    bad = found.set_aside or written or any(one.differ for one in cells)
    return FAILED_CELLS if bad else OK


def merge(words: Sequence[str]) -> int:
    """Take cells of one folder into another; 1 where two contradict each other."""
    about = "The cells of B beside those of A, or both in C. What is finished is never replaced: "
    about += "where two results of one cell differ, the first is kept, and a line says so."
    parser = Parser("merge", description=about)
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+", help=_PLACE)
    parser.add_argument("--into", metavar="C", type=Path, help="a folder, new or not (A)")
    given = parser.read(words)
    places, into = given["folders"], given.get("into")
    if into is None:
        into, *places = places
        if not into.is_dir() or not places:
            raise BenchError(
                "merge needs two places, and --into where the first is no folder: "
                "merge A B --into C."
            )
    from bench.cells.gathering import merge

    found = merge(places, into)
    numbers = f"{found.added} cells added, {found.finished} completed, {found.there} there already"
    print(f"merged into {into}: {numbers}, {len(found.conflicts)} in conflict")
    _print_notes([*found.conflicts, *found.set_aside])
    return FAILED_CELLS if found.conflicts else OK


def read_with_rows(parser: Parser, words: Sequence[str]) -> dict[str, Any]:
    """What the words say, of a command that looks at rows; their tasks are loaded."""
    add_options(parser, "data", "plugin", "task_file")
    given = parser.read(words)
    load_all(given.get("plugin", ()), given.get("task_file", ()))
    return given


def _print_page(shown: Page) -> None:
    from bench.render.terminal import page_text

    print(page_text(shown, sys.stdout.encoding or "ascii", window()))


def _print_notes(lines: Sequence[str]) -> None:
    for line in lines:
        print(wrap(f"! {line}", window(), "  "))
