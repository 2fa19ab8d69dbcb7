"""The commands of `python -m bench.speed`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import bench.speed
from bench.core.errors import BenchError, CellError
from bench.speed import boards, grid, jobs, kernels, loop, methods, scaling, scoring, start
from bench.speed.options import positive

_COMMANDS = {
    "loop": loop,
    "scoring": scoring,
    "start": start,
    "grid": grid,
    "jobs": jobs,
    "methods": methods,
    "kernels": kernels,
    "boards": boards,
    "growth": scaling,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=bench.speed.__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        about = module.__doc__
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(measure=module.measure)
        _add_shared_options(command)
        module.add_options(command)
    return parser


def _add_shared_options(command: argparse.ArgumentParser) -> None:
    """What every command has; a command may have defaults of its own."""
    for name, default in (("rounds", 7), ("threads", 1)):
        about = f"{name} (%(default)s)"
        command.add_argument(f"--{name}", type=positive, default=default, metavar="N", help=about)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was found there, too"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for; returns the exit code."""
    given = _parser().parse_args(words)
    try:
        found = given.measure(given)
    except (BenchError, CellError) as error:
        print(f"python -m bench.speed: {error}", file=sys.stderr)
        return 2
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
