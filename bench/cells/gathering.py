"""The cells of several folders and archives as one, and one folder's cells taken into another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.cells.archive import opened
from bench.cells.measured import PARTS, by_dev_rows, held, merged
from bench.cells.reading import read_result
from bench.cells.result import CellResult, PartAnswers, Predictions
from bench.cells.store import Store, order
from bench.core.errors import BenchError
from bench.core.files import check_writable

T = TypeVar("T")


@dataclass
class Gathered:
    """Results, each cell once, and where each lies."""

    results: list[CellResult] = field(default_factory=list)  # by task, method, seed and hash
    places: dict[str, Path] = field(default_factory=dict)  # hash -> folder
    set_aside: list[str] = field(default_factory=list)
    """A line for each file that cannot be read, and each cell that is there in two ways."""

    def answers(self, result: CellResult) -> Predictions | None:
        """A cell's answers; None where they were not kept, or are damaged, which `set_aside` says
        from then on."""
        return whole_answers(Store(self.places[result["hash"]]), result, self.set_aside)

    def part_answers(self, result: CellResult) -> list[PartAnswers]:
        """The answers behind a cell's parts, of which old cells, and damaged files, have none."""
        store = Store(self.places[result["hash"]])
        return _whole(lambda: store.part_answers(result), self.set_aside) or []


def whole_answers(store: Store, result: CellResult, said: list[str]) -> Predictions | None:
    """A cell's answers; None where they were not kept, or are damaged: a line in `said`, once."""
    return _whole(lambda: store.predictions(result), said)


def _whole(read: Callable[[], T], said: list[str]) -> T | None:
    try:
        return read()
    except BenchError as error:
        if (line := f"set aside: {error}") not in said:
            said.append(line)
        return None


def gathered(places: Sequence[Path]) -> Gathered:
    """What lies in folders of runs and in archives. A cell that is in several is taken once: a
    finished one before a failed one, one with answers before one without, else the first. One
    that contradicts what was taken is named.

    Raises:
        BenchError: a place is neither, or holds no results.
    """
    found: dict[str, tuple[CellResult, Store]] = {}
    said: list[str] = []
    for place in places:
        store = Store(opened(place))
        results = store.all()
        said += store.set_aside
        if not results:
            raise BenchError(
                f"{place} holds no results{''.join(f'; {s}' for s in store.set_aside[:1])}."
            )
        for result in results:
            first, its = found.setdefault(result["hash"], (result, store))
            if store is its:
                continue
            if problem := contradiction(first, result):
                said.append(f"set aside: {cell_name(result)} of {place}: {problem}.")
            elif _rank(result, store) > _rank(first, its):
                found[result["hash"]] = _with_all(result, first), store
            else:
                found[result["hash"]] = _with_all(first, result), its
    return Gathered(
        results=sorted((result for result, _ in found.values()), key=order),
        places={hash: store.folder for hash, (_, store) in found.items()},
        set_aside=said,
    )


def cell_at(path: Path, said: list[str]) -> tuple[CellResult, Predictions | None]:
    """The result in a file of a run's cells folder, and its answers as `whole_answers` has them.

    Raises:
        BenchError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise BenchError(f"{path} is no result of a cell: name a file in a run's cells folder.")
    result = read_result(path)
    return result, whole_answers(Store(path.parent.parent), result, said)


def _with_all(result: CellResult, other: CellResult) -> CellResult:
    """A cell with what was measured of it elsewhere, below what is at its top."""
    both = result["status"] == other["status"] == "done"
    return merged(merged(result, other), result) if both else result


def _rank(result: CellResult, store: Store) -> tuple[bool, bool]:
    """How much is known of a cell."""
    return result["status"] == "done", store.has_predictions(result)


def _has_more(result: CellResult, old: CellResult) -> bool:
    """Whether something was measured of a cell that was not, elsewhere."""
    return any(on not in held(old, part) for part in PARTS for on in held(result, part))


def cell_name(result: CellResult) -> str:
    """What a cell is called: "lwf x cola x seed 0 (0123456789ab)"."""
    cell = result["cell"]
    name = f"{result['labels']['method']} x {cell['task']} x seed {cell['seed']}"
    return f"{name} ({result['hash'][:12]})"


def contradiction(kept: CellResult, other: CellResult) -> str | None:
    """What keeps two results of one cell from being the same, where they were scored on the same
    rows; None where nothing does, or where one is not finished."""
    pairs = (
        (mine, its)
        for mine in by_dev_rows(kept)
        for its in by_dev_rows(other)
        if mine["measured"].get("scores") == its["measured"].get("scores")
    )
    return next(filter(None, (_contradiction(*pair) for pair in pairs)), None)


def _contradiction(kept: CellResult, other: CellResult) -> str | None:
    mine, its = kept["scores"], other["scores"]
    if kept["status"] != "done" or other["status"] != "done" or mine is None or its is None:
        return None
    for when, ours, theirs in (
        ("before", mine["before"], its["before"]),
        ("after", mine["after"], its["after"]),
    ):
        for metric in sorted(ours.keys() | theirs.keys()):
            if ours.get(metric) != theirs.get(metric):
                values = f"{theirs.get(metric)}, not {ours.get(metric)}"
                return f"its {metric} {when} is {values}"
    one, two = kept["chance"], other["chance"]
    if one and two and one["after"]["hash"] != two["after"]["hash"]:
        return "the scores are the same, the answers are not"
    return None if mine == its else "its notes are others"


@dataclass
class Merged:
    """What became of the cells that were to be merged, a line or a number for each kind."""

    added: int = 0
    finished: int = 0  # cells that had failed, or lacked answers or measurements
    there: int = 0  # the same cell was there
    conflicts: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


def merge(places: Sequence[Path], into: Path) -> Merged:
    """Take the cells of folders and archives, with their answers, into a folder. What is finished
    there stays as it is: a cell that contradicts it is a conflict, and is left out.

    Raises:
        BenchError: a place is neither a folder nor an archive, or holds no results; answers are
            damaged; `into` cannot be written.
    """
    sources = [(place, Store(opened(place))) for place in places]
    read = [(place, store, store.all()) for place, store in sources]
    for place, _, results in read:
        if not results:
            raise BenchError(f"{place} holds no results.")
    check_writable(into)
    target, report = Store(into), Merged()
    kept = {result["hash"]: (result, into) for result in target.all()}
    for place, store, results in read:
        report.set_aside += store.set_aside
        for result in results:
            old, where = kept.get(result["hash"], (None, into))
            if old is None:
                report.added += 1
            elif problem := contradiction(old, result):
                report.conflicts.append(
                    f"{cell_name(result)} of {place}: {problem}, as in {where}, whose is kept"
                )
                continue
            elif _rank(result, store) > _rank(old, target) or _has_more(result, old):
                report.finished += 1
            else:
                report.there += 1
                continue
            for scored in reversed(by_dev_rows(result)):
                target.write(scored, store.predictions(scored), store.part_answers(scored))
            kept[result["hash"]] = result, place
    return report
