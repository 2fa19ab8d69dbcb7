"""The command line: runs one command, and turns mistakes into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from bench.core.errors import BenchError, TerminatedError, unknown_name

INTERRUPTED = 130
_AGAIN_SECONDS = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _catch_stops()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except (KeyboardInterrupt, TerminatedError) as stop:
        print("stopped. The same command goes on from here.", file=sys.stderr)
        return stop.code if isinstance(stop, TerminatedError) else INTERRUPTED


def _run(words: list[str]) -> int:
    """Run what the first word names, or a run where it is an option; a mistake is one line."""
    from bench.cli.commands import COMMANDS, OK, USAGE, run  # after signals are caught
    from bench.cli.parser import PROGRAM

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


def _catch_stops() -> None:
    """Let SIGTERM and Ctrl-C end what runs, unless the shell has Ctrl-C ignored."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """End what runs, but no import: a package that is half imported (numpy) may swallow the error,
    and then fails every cell. The signal comes again until the import is over."""
    if _imports(frame):
        again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    raise KeyboardInterrupt if number == signal.SIGINT else TerminatedError(128 + number)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
