"""What each command does: parse its words, ask the rest of the suite, print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.cli import reading
from bench.cli.jobs import jobs_of
from bench.cli.parser import FAILED_CELLS, OK, TIME_UP, USAGE, Parser, add_options, run_parser
from bench.cli.reading import PAGE, show_boards, write_page
from bench.cli.reproducing import reproduce
from bench.core.errors import BenchError, unknown_name
from bench.planning.plugins import load_all
from bench.render.layout import window
from bench.rows.task import TASKS
from bench.training.method import METHODS


def run(words: Sequence[str]) -> int:
    """Plan and run a grid, and print its boards."""
    parser = run_parser()
    if not words:
        parser.print_help()
        return USAGE
    given = parser.read(words)
    dry_run = given.pop("dry_run", False)
    probe, card = given.pop("probe", False), given.pop("card", None)
    for name in (name for name, asked in (("probe", probe), ("card", card)) if asked):
        if not dry_run:
            raise BenchError(f"--{name} is for --dry-run.")
    from bench.api import Runs, load
    from bench.render.plan import left_text
    from bench.running.finishing import finished
    from bench.running.job import renewed
    from bench.running.sharing import rank

    asked = jobs_of(given, dry_run, cut=card is not None and card.over > 1)
    if rank() == 0:
        print(asked.plans(window()), flush=True)
    if dry_run:
        text = asked.forecasts(window(), probe, card, partial(print, file=sys.stderr))
        if text and rank() == 0:
            print(text)
        return OK
    asked.require()
    done = [finished(renewed(job)) for job in asked.jobs]
    if rank():
        return OK
    results = [result for one in done for result in one.results]
    left = [cell for one in done for cell in one.left]
    first, cells = asked.jobs[0], len({c.hash for job in asked.jobs for c in job.cells})
    folder = first.folder
    if results or not left:
        runs = load(folder)  # what earlier calls left there, too
        show_boards(runs, write=True)
        write_page(runs, folder / PAGE, first.plan.spec.data.source)
    if left:
        stopped = sum(one.stopped for one in done)
        print(left_text(left, cells, stopped, window()), file=sys.stderr)
        return TIME_UP
    lacking = asked.lacking or Runs(tuple(results), folder).failed
    return FAILED_CELLS if lacking else OK


def list_names(words: Sequence[str]) -> int:
    """Print the methods, tasks, models or presets that there are."""
    parser = Parser("list")
    kinds = ("methods", "tasks", "models", "presets")
    parser.add_argument("what", choices=kinds, metavar="|".join(kinds))
    what = _read(parser, words)["what"]
    from bench.render import cards

    if what == "presets":
        from bench.planning import presets
        from bench.render.presets import preset_list

        print(preset_list([presets.load(name) for name in presets.names()], window()))
        return OK
    text = {"methods": cards.methods, "tasks": cards.tasks, "models": cards.models}[what]
    print(text(METHODS, TASKS, window()))
    return OK


def show(words: Sequence[str]) -> int:
    """Print the card of a method or a task, or a cell."""
    parser = Parser("show")
    about = "a method (also METHOD:VARIANT), a task, or the JSON of a cell in a run's cells folder"
    parser.add_argument("name", metavar="NAME", help=about)
    reading.add_cell_options(parser)
    given = _read(parser, words)
    whole = given["name"]
    if whole.endswith(".json"):
        return reading.show_cell(**{**given, "name": Path(whole)})
    if odd := [f"--{name}" for name in ("rows", "page", "diff") if name in given]:
        raise BenchError(f"{odd[0]} is of a cell: name its JSON in a run's cells folder.")
    from bench.planning.method_names import find
    from bench.render import cards

    names = [*METHODS.names(), *TASKS.names()]
    name = whole.partition(":")[0]
    if name not in names:
        raise unknown_name("method or task", whole, names)
    if name in METHODS.names():
        print(cards.method(find(whole)[0], window()))
    else:
        print(cards.task(TASKS.get(whole), window()))
    return OK


def selfcheck(words: Sequence[str]) -> int:
    """Check a method and print the report; 1 where a check failed or none could be made."""
    about = "Every check that a method must pass, on tiny models made on the spot. One of your own "
    about += "imports from bench alone: from bench import Card, Method, register_method, setting"
    parser = Parser("selfcheck", description=about)
    parser.add_argument("method", metavar="METHOD", help="a method, a variant or a stack")
    add_options(parser, "settings")
    given = _read(parser, words)
    from bench.selfcheck.command import report

    passed = report(given["method"], given.get("settings", []), given.get("plugin", []))
    return OK if passed else FAILED_CELLS


def _read(parser: Parser, words: Sequence[str]) -> dict[str, Any]:
    """What the words say, after a plug-in or a task file that they name is loaded."""
    add_options(parser, "plugin", "task_file")
    given = parser.read(words)
    load_all(map(Path, given.get("plugin", ())), map(Path, given.get("task_file", ())))
    return given


def env(words: Sequence[str]) -> int:
    """Print versions, hardware and which extras are installed."""
    Parser("env").read(words)
    from bench.core.provenance import environment

    lines = environment()
    width = max(map(len, lines))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in lines.items()))
    return OK


def submission(words: Sequence[str]) -> int:
    """Write the zip file for GLUE's server."""
    parser = Parser("submission")
    parser.add_argument("folder", metavar="DIR", type=Path, help="of a run with --submission")
    parser.add_argument("--method", required=True, metavar="M", help="as the boards name it")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="(0)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="(submission.zip in DIR)")
    given = parser.read(words)
    from bench.scoring.glue_server import write_zip

    out = given.get("out", given["folder"] / "submission.zip")
    there, missing = write_zip(given["folder"], given["method"], given["seed"], out)
    print(f"written: {out} with {', '.join(there)}")
    if missing:
        print(f"the server wants these too: {', '.join(missing)}")
    return OK


def export(words: Sequence[str]) -> int:
    """Write a finished cell's model as a Hugging Face folder."""
    parser = Parser("export")
    about = "the JSON of a finished cell, in a run's cells folder"
    parser.add_argument("cell", metavar="CELL", type=Path, help=about)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new or empty folder")
    given = parser.read(words)
    from bench.running.export import export

    cell = export(given["cell"], given["folder"])
    print(f"written: {given['folder']} with {cell}")
    return OK


_MOST_NAMED = 20  # cells that a mistake lists


def explain(words: Sequence[str]) -> int:
    """Print of the cells of a run whose name has a text in it whether, and why, they would run."""
    about = "a part of a cell's name, such as 'lwf x cola x seed 0', or of its hash"
    parser = run_parser("explain CELL ")
    parser.add_argument("cell", metavar="CELL", help=about)
    given = parser.read(words)
    name = given.pop("cell")
    for name_of_run in ("dry_run", "probe", "card"):
        given.pop(name_of_run, None)
    jobs = jobs_of(given).jobs
    whole = {cell.hash: cell for job in jobs for cell in job.cells}
    why: dict[str, str] = {}
    for job in jobs:
        why |= {cell.hash: text for text, cells in job.reasons().items() for cell in cells}
        for error, cells in job.failed.items():
            text = f"failed before: {error} (--retry failed runs it again)"
            why |= dict.fromkeys((cell.hash for cell in cells), text)
    found = [cell for cell in whole.values() if name in str(cell) or cell.hash.startswith(name)]
    if not found:
        names = [str(cell) for cell in whole.values()]
        many = (
            f"There are {len(names)}, such as {names[0]!r}." if len(names) > _MOST_NAMED else None
        )
        raise unknown_name("cell", name, names, many)
    for cell in found:
        print(f"{cell} ({cell.hash[:12]}): {why.get(cell.hash, 'done')}")
    return OK


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "list": list_names,
    "show": show,
    "table": reading.table,
    "report": reading.report,
    "status": reading.status,
    "compare": reading.compare,
    "verify": reading.verify,
    "pack": reading.pack,
    "reproduce": reproduce,
    "merge": reading.merge,
    "submission": submission,
    "export": export,
    "explain": explain,
    "selfcheck": selfcheck,
    "env": env,
}
