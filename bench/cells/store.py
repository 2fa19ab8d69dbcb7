"""Cell results on disk: a file is whole or absent, and finished scores are never replaced."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cells.cell import Identity
from bench.cells.measured import at, fields_of, merged
from bench.cells.reading import (
    DamagedError,
    read_part_answers,
    read_predictions,
    read_result,
)
from bench.cells.result import (
    SCHEMA_VERSION,
    CellResult,
    FurtherAnswers,
    PartAnswers,
    Predictions,
)
from bench.core.errors import BenchError
from bench.core.files import atomic_write_text
from bench.core.hashing import text_digest
from bench.core.lease import Lease

_SAY_SECONDS = 5.0
_END = b"}\n"  # of every file that was written whole


class Store:
    """The results under `folder/cells/`, one `NAME.json` per cell with `NAME.rows.json` beside it.

    Reading takes no lock and writes nothing, so a board can be shown while cells are being run.
    `set_aside` has a line for each file that the last `all` could not read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        self.set_aside: list[str] = []

    def write(
        self,
        result: CellResult,
        predictions: Predictions | None,
        behind: Sequence[PartAnswers] = (),
    ) -> None:
        """Keep a result; its predictions reach the disk first, so that no result is without them,
        and with them the answers `behind` its other parts.

        A failed or refused result is replaced by any later one. A finished one stays: what was
        measured since is added to it, and writing the same scores again, or a failure of the same
        cell, changes nothing, but that answers which were lost are kept again. A damaged file is
        kept beside, as `NAME.json.damaged`. A result knows the digests of its answers.

        Raises:
            BenchError: the cell is there with other scores, or the folder cannot be written.
            ValueError: a number in the result is NaN or infinite (missing is None).
        """
        path = self.cells / f"{file_name(result)}.json"
        to_json(result)  # what cannot be written is seen before anything is
        rows = None if predictions is None else to_json(predictions)
        with self._locked():
            old = _finished(path)
            kept = result if old is None else _renewed(path, old, result)
            written: dict[str, str] = {}
            if rows is not None and not (old and self.has_predictions(result)):
                atomic_write_text(self._rows(result), rows)
                written[answers_name(result)] = text_digest(rows)
            new = [each for each in behind if _is_kept(each, result, kept)]
            written |= self._add(result, new, fresh=old is None)
            known = {**kept.get("answers", {}), **written}
            if known:  # what is lost for good is not asked for at every call
                there = {name: sha for name, sha in known.items() if _is_whole(self.cells / name)}
                kept = {**kept, "answers": there}
            if kept != old:
                atomic_write_text(path, to_json(kept))

    def read(self, identity: Identity, hash: str) -> CellResult | None:
        """The result of a cell, None where there is none that can be read.

        Raises:
            BenchError: a newer version of this program wrote it.
        """
        path = self.cells / f"{name_of(identity, hash)}.json"
        try:
            result = read_result(path) if path.is_file() else None
        except DamagedError:
            return None
        return result if result is not None and result["hash"] == hash else None

    def all(self) -> list[CellResult]:
        """Every result that can be read, by task, method, seed and hash. That answers are lost is
        said with what was set aside; it hides no result."""
        found: list[tuple[Path, CellResult]] = []
        self.set_aside = []
        for path in self.cells.glob("*.json"):
            if not path.name.endswith(".rows.json"):
                try:
                    found.append((path, read_result(path)))
                except BenchError as error:
                    self.set_aside.append(f"set aside: {error}")
        kept = sorted(self._without_copies(found), key=order)
        self.set_aside.sort()
        self.set_aside += self._lost_answers(kept)
        return kept

    def _without_copies(self, found: list[tuple[Path, CellResult]]) -> list[CellResult]:
        """The results; of a cell that is there twice with other scores, that in its own file."""
        own = {r["hash"]: r for path, r in found if path.stem == file_name(r)}
        kept = []
        for path, result in found:
            first = own.get(result["hash"], result)
            try:
                if first is not result and result["status"] == first["status"] == "done":
                    merged(first, result)
                kept.append(result)
            except BenchError:
                name = f"{file_name(first)}.json"
                self.set_aside.append(f"set aside: {path} holds other scores than {name}.")
        return kept

    def _lost_answers(self, results: Iterable[CellResult]) -> list[str]:
        """A line on the cells whose answers were kept, and are not there; none where all are."""
        names = [
            name
            for result in results
            for name in (answers_name(result), part_answers_name(result))
            if name in result.get("answers", {}) and not _is_whole(self.cells / name)
        ]
        if not names:
            return []
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return [
            f"answers lost: {self.cells / names[0]}{more}, missing or cut off; the command "
            "that made the cells makes them again."
        ]

    def predictions(self, result: CellResult) -> Predictions | None:
        """The answers of a finished cell, row by row; None where they were not kept, or are lost.

        Raises:
            BenchError: the file is damaged.
        """
        path = self._rows(result)
        wanted = result.get("answers", {}).get(path.name)
        return read_predictions(path, wanted) if path.is_file() else None

    def part_answers(self, result: CellResult) -> list[PartAnswers]:
        """The answers behind the parts of a finished cell; none where they were not kept.

        Raises:
            BenchError: the file is damaged.
        """
        path = self.cells / part_answers_name(result)
        wanted = result.get("answers", {}).get(path.name)
        return read_part_answers(path, wanted)["parts"] if path.is_file() else []

    def _add(
        self, result: CellResult, behind: Sequence[PartAnswers], fresh: bool
    ) -> dict[str, str]:
        """Keep more answers behind parts of a cell beside those that are there; in place of what
        cannot be read, and of what a killed writer of a `fresh` result left. The digest of the file
        that was written, by its name."""
        path, there = self.cells / part_answers_name(result), list[PartAnswers]()
        with contextlib.suppress(DamagedError):
            there = read_part_answers(path)["parts"] if path.is_file() and not fresh else []
        known = [(each["part"], each["on"]) for each in there]
        new = [each for each in behind if (each["part"], each["on"]) not in known]
        if not new:
            return {}
        text = part_answers_text(result, [*there, *new])
        atomic_write_text(path, text)
        return {path.name: text_digest(text)}

    def has_predictions(self, result: CellResult) -> bool:
        """Whether the answers of a cell are there and were not cut off; quick."""
        return _is_whole(self._rows(result))

    def has_answers(self, result: CellResult) -> bool:
        """Whether those behind its other parts are, too, as far as it had any; quick."""
        return self.has_predictions(result) and all(
            _is_whole(self.cells / name) for name in result.get("answers", {})
        )

    def _rows(self, result: CellResult) -> Path:
        return self.cells / answers_name(result)

    def log(self, result: CellResult) -> Path:
        """Where the traceback of a failed cell is kept."""
        return self.folder / "logs" / f"{file_name(result)}.txt"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock: one writer at a time, over all processes and machines."""
        lease, start, said = Lease(self.cells / ".lock"), time.monotonic(), False
        while not lease.take():
            if time.monotonic() - start > _SAY_SECONDS and not said:
                print(f"waiting to write into {self.cells}: {lease.holder()}", file=sys.stderr)
                said = True
            time.sleep(0.02)
        try:
            yield
        finally:
            lease.drop()


def _is_whole(path: Path) -> bool:
    """Whether a file is there, and was not cut off."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_END), os.SEEK_END)
            return file.read() == _END
    except OSError:
        return False


def to_json(value: Mapping[str, Any]) -> str:
    """The text of a file; raises ValueError for a number that is NaN or infinite."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def _safe(text: str) -> str:
    """`text` as a part of a file name: no separators, nothing hidden, not too long."""
    return re.sub(r"[^a-z0-9_.-]+", "_", text.lower())[:60]


def file_name(result: CellResult) -> str:
    """What a cell's files are called, in front of `.json` and `.rows.json`."""
    return name_of(result["cell"], result["hash"])


def answers_name(result: CellResult) -> str:
    """The file of a cell's answers: one for each number of dev rows that were scored."""
    on = result["measured"].get("scores", {})
    which = (str(on[key]) for key in ("score", "rows") if on.get(key) is not None)
    return ".".join([file_name(result), *which, "rows.json"])


def part_answers_name(result: CellResult) -> str:
    """The file of the answers behind the parts of a cell."""
    return f"{file_name(result)}.parts.rows.json"


def part_answers_text(result: CellResult, parts: list[PartAnswers]) -> str:
    """The text of that file; raises ValueError as `to_json`."""
    found: FurtherAnswers = {
        "schema_version": SCHEMA_VERSION,
        "hash": result["hash"],
        "parts": parts,
    }
    return json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"


def name_of(cell: Identity, hash: str) -> str:
    """What a cell's files are called, without what they end in."""
    parts = (cell["method"], cell["task"], f"seed{cell['seed']}", hash[:12])
    return "-".join(_safe(part) for part in parts).lstrip(".")


def order(result: CellResult) -> tuple[str, str, int, str]:
    """The place of a result among others: by task, method, seed and hash."""
    cell = result["cell"]
    return cell["task"], cell["method"], cell["seed"], result["hash"]


def _finished(path: Path) -> CellResult | None:
    """The finished result at `path`; a damaged file is set aside."""
    if not path.exists():
        return None
    try:
        old = read_result(path)
    except DamagedError as error:
        path.replace(path.with_name(f"{path.name}.damaged"))
        print(f"{error} It is kept as {path.name}.damaged.", file=sys.stderr)
        return None
    return old if old["status"] == "done" else None


def _is_kept(behind: PartAnswers, result: CellResult, kept: CellResult) -> bool:
    """Whether what answers give in a result is what is kept of it, too: nothing measured is ever
    replaced."""
    part, on = behind["part"], behind["on"]
    mine, its = at(result, part, on), at(kept, part, on)
    if mine is None or its is None:
        return False
    return fields_of(mine, part) == fields_of(its, part)


def _renewed(path: Path, old: CellResult, new: CellResult) -> CellResult:
    """The finished result at `path` with what was measured since; raises BenchError where `new`
    contradicts it."""
    if new["status"] != "done":
        return old
    try:
        if old["hash"] != new["hash"]:
            raise BenchError(f"another hash: {old['hash']}, now {new['hash']}")
        return merged(old, new)
    except BenchError as error:
        raise BenchError(
            f"{path} holds this cell with {error}. "
            "Nothing was overwritten. Move the file away to keep the new result."
        ) from None
