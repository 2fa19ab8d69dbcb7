"""Every check on anybody's method, and a report to read: `run_bench.py selfcheck METHOD`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.planning.method_names import parts_of
from bench.planning.plugins import place_of
from bench.render.layout import window, wrap
from bench.running import sharing

if TYPE_CHECKING:
    from bench.selfcheck.checks import Subject
    from bench.selfcheck.world import World


@dataclass(frozen=True)
class Outcome:
    """How a check of a method ended."""

    check: str
    status: str  # "passed", "FAILED" or "n/a"
    why: str  # of what did not pass


def report(method: str, settings: Sequence[str], plugins: Sequence[str]) -> bool:
    """Check a registered method, with words of --set, and print how each check ends; whether some
    passed and none failed. The files of `plugins` are loaded in other processes, too.

    Raises:
        BenchError: an unknown method or setting, or a launcher, for it starts processes itself.
    """
    parts_of(method)
    if sharing.processes() > 1:
        raise BenchError(
            "selfcheck starts two processes by itself, also sharded: leave the launcher out."
        )
    start = time.monotonic()
    print(f"{method}, on tiny models made on the spot:\n", flush=True)
    statuses = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome in outcomes(method, settings, plugins, Path(folder)):
            statuses.append(outcome.status)
            for line in (f"  {outcome.status:<7} {outcome.check}", f"{'':10}{outcome.why}"):
                if line.strip():
                    print(wrap(line, window(), " " * 10), flush=True)
    counts = ", ".join(f"{statuses.count(each)} {each}" for each in ("passed", "FAILED", "n/a"))
    print(f"\n{counts}, in {time.monotonic() - start:.0f} s")
    return "passed" in statuses and "FAILED" not in statuses


def outcomes(
    method: str, words: Sequence[str], plugins: Sequence[str], folder: Path
) -> Iterator[Outcome]:
    """Run the checks one after the other, on the kinds of model that each is for.

    Raises:
        BenchError: an unknown setting, or one out of its range.
    """
    from bench.selfcheck import behaviour, identity, processes
    from bench.selfcheck.checks import NotApplicableError, Subject
    from bench.selfcheck.world import only_cell, write_world
    from bench.training.stack import build

    world = write_world(folder / "world")
    causal, encoder = (Subject(method, kind, tuple(words)) for kind in ("causal", "encoder"))
    unfit = {s: reason for s in (causal, encoder) if (reason := _misfit(s, world))}
    fitting = [subject for subject in (causal, encoder) if subject not in unfit]
    yield _joined("It fits a model", [(s.kind, ("n/a", unfit[s])) for s in unfit], bool(fitting))

    def two_are_one(subject: Subject, world: World, place: Path) -> None:
        (both,) = processes.on_two_processes([subject], world, place / "two", plugins)
        processes.two_are_one(subject, world, place, both)

    def shards_are_one(subject: Subject, world: World, place: Path) -> None:
        """So do two that cut its weights over them while they train (`--use_fsdp`)."""
        if reason := build(only_cell(subject.plan(world)).method).whole:
            raise NotApplicableError(f"it is refused there: {reason}")
        (both,) = processes.on_two_processes([subject], world, place / "two", plugins, sharded=True)
        processes.two_are_one(subject, world, place, both)

    two_are_one.__doc__ = processes.two_are_one.__doc__
    checks: list[tuple[Callable[..., None], list[Subject]]] = [
        *((check, fitting[:1]) for check in identity.ON_CLASSES),
        *((check, fitting) for check in identity.ON_MODELS),
        *((check, fitting[:1]) for check in (behaviour.means_it, two_are_one, shards_are_one)),
    ]
    for number, (check, subjects) in enumerate(checks):
        found = []
        for subject in subjects:
            place = folder / f"{number}-{subject.kind}"
            place.mkdir()
            found.append((subject.kind, _ended(check, subject, world, place)))
        if found:
            yield _joined(_sentence(check), found, any(s == "passed" for _, (s, _) in found))


def _misfit(subject: Subject, world: World) -> str:
    """Why the method does not fit that kind of model, '' where it does."""
    from bench.selfcheck.checks import NotApplicableError

    try:
        subject.plan(world)
    except NotApplicableError as reason:
        return str(reason)
    return ""


def _sentence(check: Callable[..., None]) -> str:
    """What a check demands: the first sentence of its docstring."""
    text = check.__doc__ or check.__name__
    return " ".join(text.partition(".\n")[0].rstrip(".").split())


def _ended(check: Callable[..., None], *given: Any) -> tuple[str, str]:
    """(status, why) of one check."""
    from bench.selfcheck.checks import FailedError, NotApplicableError

    try:
        check(*given)
    except NotApplicableError as reason:
        return "n/a", str(reason)
    except FailedError as reason:
        return "FAILED", str(reason)
    except Exception as error:
        text = str(error).partition("\n")[0]
        return "FAILED", f"{type(error).__name__}: {text}{place_of(error)}"
    return "passed", ""


def _joined(name: str, found: Sequence[tuple[str, tuple[str, str]]], passed: bool) -> Outcome:
    """One line from what was found on each kind of model: the worst that happened, and why."""
    failed = [f"{kind}: {why}" for kind, (status, why) in found if status == "FAILED"]
    skipped = [f"not on {kind}: {why}" for kind, (status, why) in found if status == "n/a"]
    if failed:
        return Outcome(name, "FAILED", "; ".join(failed))
    if not passed and len(reasons := {why for _, (_, why) in found}) == 1:
        return Outcome(name, "n/a", reasons.pop())
    return Outcome(name, "passed" if passed else "n/a", "; ".join(skipped))
