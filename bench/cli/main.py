"""The command line: runs one command, and turns mistakes into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from bench.core.errors import BenchError, TerminatedError, unknown_name
from bench.core.stops import catch_stops, ignore_stops

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        catch_stops()
        code = _run(list(sys.argv[1:] if argv is None else argv))
    except (KeyboardInterrupt, TerminatedError) as stop:
        ignore_stops()
        print("stopped. The same command goes on from here.", file=sys.stderr)
        return stop.code if isinstance(stop, TerminatedError) else INTERRUPTED
    if argv is None:  # the process ends here
        ignore_stops()
    return code


def _run(words: list[str]) -> int:
    """Run what the first word names, or a run where it is an option; a mistake is one line."""
    from bench.cli.commands import COMMANDS, run  # after signals are caught
    from bench.cli.parser import OK, PROGRAM, USAGE

    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets a ? for them
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        if not words or words[0].startswith("-"):
            return run(words)
        if words[0] not in COMMANDS:
            raise unknown_name("command", words[0], COMMANDS)
        return COMMANDS[words[0]](words[1:])
    except BenchError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader (`head`, say) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:  # a place that may not be looked at, or whose name is too long
        if error.filename is None:
            raise
        print(f"{PROGRAM}: {BenchError(f'{error.filename}: {error.strerror}.')}", file=sys.stderr)
        return USAGE
