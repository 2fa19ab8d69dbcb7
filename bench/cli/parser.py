"""Parsers made of the fields of `bench.planning.options.Options`."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.core.memory import Place
from bench.core.provenance import DISTRIBUTION
from bench.core.settings import kinds
from bench.core.version import SUITE_VERSION
from bench.planning.options import HOW, WHAT, WHERE, Options, flag, shortcuts

PROGRAM = "run_bench.py"
OK, FAILED_CELLS, USAGE, TIME_UP = 0, 1, 2, 124
"""Exit codes; the second is also that of a check that found something, the last timeout(1)'s."""

_ABOUT = """\
Does forgetting help or hurt fine-tuning? Compare methods over tasks and seeds.

  run_bench.py --methods lwf,recadam --tasks cola  run the grid, print the board
  run_bench.py list methods|tasks|models|presets   what there is, with settings
  run_bench.py show NAME                           a method's or a task's card
  run_bench.py show CELL.json [--rows] [--diff O]  a cell, its answers, another
  run_bench.py table DIR [DIR ...]                 print the boards of folders
  run_bench.py report DIR                          them as one page, with plots
  run_bench.py status DIR [--watch]                what is done, runs, or is not
  run_bench.py explain CELL --methods ...          why a cell would run again
  run_bench.py export CELL FOLDER                  a cell's tuned model
  run_bench.py compare A B                         two folders side by side
  run_bench.py verify DIR                          its scores, computed again
  run_bench.py pack DIR                            its cells as one file
  run_bench.py merge A B [--into C]                cells of two folders in one
  run_bench.py reproduce PRESET [DIR]              beside published figures
  run_bench.py submission DIR --method M --seed S  the zip for GLUE's server
  run_bench.py selfcheck METHOD [--plugin FILE]    every check on a method
  run_bench.py env                                 versions, what is installed
"""

_EXAMPLES = """\
examples:
  the embedded model and rows, no network needed:
    run_bench.py --methods lwf,recadam --tasks cola,rte
  your model and GLUE in its classic folders, five seeds:
    run_bench.py --methods ewc,lwf --tasks rte --seeds 5 --model ./m --data ./d
  a short try, to see that all works:
    run_bench.py --methods ewc --tasks cola --steps 20 --max-eval 200
  other settings, from the command line or a TOML file (keys as the options,
  one table per method, and [train]):
    run_bench.py --methods lwf --tasks cola --set lwf.interval=4 train.warmup=0
    run_bench.py --config run.toml

A second call with the same words runs what is not done; Ctrl-C stops safely.
exit codes: 0 all cells done, 1 some failed or were refused (what does not fit),
2 a mistake in what was asked, or nothing fits, 124 --time-limit left some, 130
stopped by Ctrl-C, 143 by SIGTERM.
"""


_DEVICE = ("--gpu", "--gpus", "--cuda", "--cpu")
_DEVICE_ADVICE = "A GPU is used where there is one; did you mean --device cuda:0, or --device cpu?"


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are BenchErrors; what is not given is not in its namespace."""

    def __init__(self, command: str = "", **given: Any) -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}".rstrip(),
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            **given,
        )

    def error(self, message: str) -> NoReturn:
        """Raises BenchError instead of printing the usage and leaving."""
        raise BenchError(f"{message}. See {self.prog} --help.")

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """What the words say, by name.

        Raises:
            BenchError: an option that there is not, one without its value, a word too many.
        """
        given, rest = self.parse_known_args(list(words))
        if not rest:
            return vars(given)
        wrong = next((word for word in rest if word.startswith("-")), rest[0])
        option, _, _ = wrong.partition("=")
        if not option.startswith("-"):
            self.error(f"{wrong!r} belongs to no option")
        if option in _DEVICE:
            raise BenchError(f"unknown option {option!r}. {_DEVICE_ADVICE}")
        known = [name.removeprefix("--") for name in self._option_string_actions]
        wanted = option.removeprefix("--")
        (meant,) = difflib.get_close_matches(wanted, known, n=1, cutoff=0.6) or ("",)
        advice = f"Did you mean '--{meant}'?" if meant else f"See {self.prog} --help."
        raise BenchError(f"unknown option {option!r}. {advice}")


def run_parser(before: str = "") -> Parser:
    """The parser of a run: an option for every field, in groups; `before` are a command's words in
    front of them."""
    parser = Parser(
        usage=f"{PROGRAM} {before}--methods A,B --tasks A,B [options]",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {SUITE_VERSION}")
    groups = {title: parser.add_argument_group(title) for title in (WHAT, HOW, WHERE)}
    for field in shortcuts():
        _add(groups[HOW], field, kinds(Training)[field.name])
    for field in dataclasses.fields(Options):
        _add(groups[field.metadata["group"]], field, kinds(Options)[field.name])
    about = "a TOML file with the options above"
    groups[HOW].add_argument("--config", type=Path, metavar="FILE", help=about)
    about = "a described run (list presets), or a TOML file of one; other options go before it"
    groups[WHAT].add_argument("--preset", metavar="NAME", help=about)
    groups[WHERE].add_argument(
        "--dry-run", action="store_true", help="print the plan and what it will take"
    )
    about = "with --dry-run: measure a few steps of what nothing is known of"
    groups[WHERE].add_argument("--probe", action="store_true", help=about)
    about = "with --dry-run: what it would take on a GPU of so many GiB, or cut over 8 (8x80)"
    groups[WHERE].add_argument("--card", type=_card, metavar="[Nx]GIB", help=about)
    return parser


def _card(word: str) -> Place:
    """A GPU of so many GiB, which may be anywhere, or several over which weights are cut."""
    count, times, size = word.rpartition("x")
    try:
        over, gib = int(count if times else 1), float(size)
    except ValueError:
        over, gib = 0, 0.0
    if over < 1 or not 0 < gib < float("inf"):
        text = f"{word!r} is no number of GiB above 0, nor of cards and their GiB (8x80)"
        raise argparse.ArgumentTypeError(text)
    name = f"a card of {gib:g} GiB" if over == 1 else f"each of {over} cards of {gib:g} GiB"
    return Place(name, True, int(gib * 2**30), over)


def add_options(parser: Parser, *names: str) -> None:
    """The options of a run that another command has too."""
    for field in dataclasses.fields(Options):
        if field.name in names:
            _add(parser, field, kinds(Options)[field.name])


def _add(group: argparse._ActionsContainer, field: dataclasses.Field[Any], kind: Any) -> None:
    """The option of one field; its text is read by `bench.planning.options.read`."""
    about = field.metadata["help"] + _default(field)
    given: dict[str, Any] = {"dest": field.name, "help": about.replace("%", "%%")}
    if kind is bool:
        group.add_argument(flag(field), action="store_true", **given)
        return
    if typing.get_origin(kind) is dict or kind == tuple[Path, ...]:
        given |= {"nargs": "+", "action": "extend"}
    group.add_argument(flag(field), metavar=_metavar(field, kind), **given)


def _default(field: dataclasses.Field[Any]) -> str:
    """ " (3)": the default, where there is one to tell."""
    value = field.default
    if value is dataclasses.MISSING or value is None or value == () or isinstance(value, bool):
        return ""
    return f" ({','.join(value) if isinstance(value, tuple) else value})"


def _metavar(field: dataclasses.Field[Any], kind: Any) -> str:
    """What stands for the value in the help text."""
    if field.metadata["metavar"]:
        return str(field.metadata["metavar"])
    if field.metadata["choices"]:
        return "|".join(field.metadata["choices"])
    words = {int: "N", float: "X", tuple[Path, ...]: "FILE"}
    return words.get(kind, "A,B" if typing.get_origin(kind) is tuple else "TEXT")
