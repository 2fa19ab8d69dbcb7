"""Cell results on disk: a file is whole or absent, and finished scores are never replaced."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from bench.cells.cell import Identity
from bench.cells.result import ADDED, SCHEMA_VERSION, CellResult, Predictions
from bench.core.errors import BenchError
from bench.core.files import atomic_write_text
from bench.core.lease import Lease

_SAY_SECONDS = 5.0


class Store:
    """The results under `folder/cells/`, one `NAME.json` per cell with `NAME.rows.json` beside it.

    Reading takes no lock and writes nothing, so a board can be shown while cells are being run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"

    def write(self, result: CellResult, predictions: Predictions | None) -> None:
        """Keep a result; its predictions reach the disk first, so that no result is without them.

        A failed or refused result is replaced by any later one. A finished one stays: writing the
        same scores again, or a failure of the same cell, changes nothing.

        Raises:
            BenchError: the cell is there with other scores, or the folder cannot be written.
            ValueError: a number in the result is NaN or infinite (missing is None).
        """
        name = _file_name(result)
        path = self.cells / f"{name}.json"
        text = _to_json(result)
        rows = None if predictions is None else _to_json(predictions)
        with self._locked():
            if _keeps(path, result):
                return
            if rows is not None:
                atomic_write_text(self.cells / f"{name}.rows.json", rows)
            atomic_write_text(path, text)

    def read(self, hash: str) -> CellResult | None:
        """The result of the cell with this hash, None where there is none.

        Raises:
            BenchError: its file is damaged, or of another schema version.
        """
        for path in sorted(self.cells.glob(f"*-{_safe(hash[:12])}.json")):
            result = _load(path)
            if result["hash"] == hash:
                return result
        return None

    def all(self) -> list[CellResult]:
        """Every result, by task, method, seed and hash.

        Raises:
            BenchError: a file is damaged, or of another schema version; the message names it.
        """
        paths = (p for p in self.cells.glob("*.json") if not p.name.endswith(".rows.json"))
        return sorted((_load(path) for path in paths), key=_order)

    def predictions(self, result: CellResult) -> Predictions | None:
        """The answers of a finished cell, row by row; None where they were not kept.

        Raises:
            BenchError: the file is damaged.
        """
        path = self.cells / f"{_file_name(result)}.rows.json"
        return cast(Predictions, _parsed(path)) if path.is_file() else None

    def log(self, result: CellResult) -> Path:
        """Where the traceback of a failed cell is kept."""
        return self.folder / "logs" / f"{_file_name(result)}.txt"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock: one writer at a time, over all processes and machines."""
        lease, start, said = Lease(self.cells / ".lock"), time.monotonic(), False
        while not lease.take():
            if time.monotonic() - start > _SAY_SECONDS and not said:
                print(f"waiting to write into {self.cells}: {lease.holder()}", file=sys.stderr)
                said = True
            time.sleep(0.02)
        try:
            # Writers hold the lock, so what is still temporary was left by one that was killed.
            for left in self.cells.glob(".*.tmp"):
                left.unlink(missing_ok=True)
            yield
        finally:
            lease.drop()


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def _safe(text: str) -> str:
    """`text` as a part of a file name: no separators, nothing hidden, not too long."""
    return re.sub(r"[^a-z0-9_.-]+", "_", text.lower())[:60]


def _file_name(result: CellResult) -> str:
    cell = result["cell"]
    parts = (cell["method"], cell["task"], f"seed{cell['seed']}", result["hash"][:12])
    return "-".join(_safe(part) for part in parts).lstrip(".")


def _order(result: CellResult) -> tuple[str, str, int, str]:
    cell = result["cell"]
    return cell["task"], cell["method"], cell["seed"], result["hash"]


def _keeps(path: Path, new: CellResult) -> bool:
    """Whether the finished result at `path` stays; raises BenchError where `new` contradicts it."""
    if not path.exists():
        return False
    old = _load(path)
    if old["status"] != "done":
        return False
    if new["status"] == "done" and (old["hash"], old["scores"]) != (new["hash"], new["scores"]):
        raise BenchError(
            f"{path} holds this cell with other scores: {old['scores']}, now {new['scores']}. "
            "Nothing was overwritten. Move the file away to keep the new result."
        )
    return True


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError) as error:
        raise BenchError(
            f"{path} is no readable result ({error}). Move it away, and its cell is run again."
        ) from error


def _load(path: Path) -> CellResult:
    value = _parsed(path)
    _upgrade(value)
    if problem := _problem(value):
        raise BenchError(f"{path} {problem}")
    return cast(CellResult, value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _upgrade(value: Any) -> None:
    """Give the result of an older version what came since: None, and whether its rows are made up,
    which the label of its data said."""
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and 0 < version < SCHEMA_VERSION:
        value.update({part: None for part, since in ADDED.items() if version < since})
        if version < ADDED["generated"]:
            value["generated"] = "generated, not GLUE" in str(value.get("labels"))
        value["schema_version"] = SCHEMA_VERSION


def _problem(value: Any) -> str | None:
    """What keeps a parsed file from being a CellResult of this version, None where nothing does."""
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version is None:
        return "is no result: it has no schema_version."
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = " A newer version of this program wrote it: update." if newer else ""
        return f"has schema_version {version!r}, this program reads {SCHEMA_VERSION}.{advice}"
    missing = CellResult.__required_keys__ - value.keys()
    if not missing:
        missing = Identity.__required_keys__ - value["cell"].keys()
    if not missing and value["status"] == "done":
        missing = {name for name in ("scores", "costs") if value[name] is None}
    return f"lacks {', '.join(sorted(missing))}." if missing else None
