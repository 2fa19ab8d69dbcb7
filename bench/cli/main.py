"""The command line: runs one command, and turns mistakes into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bench.cli.commands import COMMANDS, OK, USAGE, run
from bench.cli.parser import PROGRAM
from bench.core.errors import BenchError, TerminatedError, unknown_name

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets a ? for them
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return _command(words)
    except BenchError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("stopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (`head`, say) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _command(words: list[str]) -> int:
    """Run what the first word names, or a run where it is an option."""
    if not words or words[0].startswith("-"):
        return run(words)
    if words[0] not in COMMANDS:
        raise unknown_name("command", words[0], COMMANDS)
    return COMMANDS[words[0]](words[1:])


def _terminate(number: int, frame: Any) -> None:
    raise TerminatedError(128 + number)
