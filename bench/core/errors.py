"""What a user did wrong, said in one line, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bench.core.text import printable


class BenchError(Exception):
    """A mistake in what was asked for. The command line prints it and exits with code 2.

    What it says is one line that can be printed, whatever names of strangers are in it.
    """

    def __str__(self) -> str:
        return printable(" ".join(super().__str__().splitlines()))


class RefusedError(BenchError):
    """Nothing that was asked for fits the models and tasks; `reasons` says why not."""

    def __init__(self, message: str, reasons: Iterable[str]) -> None:
        super().__init__(message)
        self.reasons = tuple(dict.fromkeys(reasons))


class TerminatedError(SystemExit):
    """The process was told to end (SIGTERM); `code` is its exit code."""

    code: int


class TakenOverError(Exception):
    """Another process runs this one's cell, for this one was stopped too long."""


class TimeUpError(Exception):
    """The run's time limit is reached, and what runs must stop."""


class CellError(Exception):
    """One cell cannot be finished (a loss that is not a number, say); the grid goes on."""


class UnfitCheckpointError(Exception):
    """A checkpoint that was damaged, or that other code has written; it is gone by now."""


def unknown_name(
    kind: str, name: str, known: Iterable[str], listing: str | None = None
) -> BenchError:
    """The error for a name that nothing answers to: the nearest match and the full list, or where
    that is too long, `listing`, which says where to find it."""
    names = sorted(known)
    listing = listing or f"Known: {', '.join(names) if names else 'none'}."
    return BenchError(f"unknown {kind} {name!r}.{meant(name, names)} {listing}")


def meant(name: str, known: Iterable[str]) -> str:
    """ " Did you mean 'X'?" with the nearest of the known names, "" where none is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
