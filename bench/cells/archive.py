"""A run's cells in one file, for anybody: packed to the same bytes each time, opened with distrust.

An archive is a zip of `cells/NAME.json`, `NAME.rows.json` and `NAME.parts.rows.json`, as a folder
has them, and of `pack.json`, which has the digest of each. There are no weights in it.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from bench.cells.measured import by_dev_rows
from bench.cells.result import CellResult
from bench.cells.store import (
    Store,
    answers_name,
    file_name,
    part_answers_name,
    part_answers_text,
    to_json,
)
from bench.core.errors import BenchError
from bench.core.files import atomic_write_bytes
from bench.core.hashing import text_digest
from bench.core.shapes import check_of
from bench.core.text import printable
from bench.core.version import SUITE_VERSION

MANIFEST = "pack.json"
FORMAT = 1
MOST_FILES = 200_000
MOST_FILE_BYTES = 256 * 2**20
MOST_BYTES = 2 * 2**30
"""Of all files together, unpacked: what is more is no archive of cells but a trap."""
_NAME = re.compile(r"cells/[a-z0-9_][a-z0-9_.-]{0,250}\.json")
_DATE = (1980, 1, 1, 0, 0, 0)  # of every file, so that equal cells make equal bytes
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,  # it is encrypted
)


class Manifest(TypedDict):
    """`pack.json`."""

    format: int
    suite_version: str  # that packed it
    files: dict[str, str]  # name -> sha256


class Packed(NamedTuple):
    """What went into an archive."""

    cells: int
    answers: int  # files of answers that are in it
    left_out: tuple[str, ...]  # a line for each file that cannot be read


def pack(folder: Path, out: Path) -> Packed:
    """Write the cells of a run's folder and their answers as one archive.

    Raises:
        BenchError: there are none, an answer's file is damaged, or `out` is there or cannot be
            written.
    """
    store = Store(folder)
    results = store.all()
    if not results:
        raise BenchError(f"{folder} holds no results to pack.")
    if out.exists():
        raise BenchError(f"{out} is there already: nothing was written. Name another with --out.")
    buffer, digests = BytesIO(), dict[str, str]()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _files(store, results):
            digests[name] = hashlib.sha256(content).hexdigest()
            _add(archive, name, content)
        manifest = Manifest(format=FORMAT, suite_version=SUITE_VERSION, files=digests)
        _add(archive, MANIFEST, to_json(manifest).encode())
    atomic_write_bytes(out, buffer.getvalue())
    return Packed(len(results), len(digests) - len(results), tuple(store.set_aside))


def _files(store: Store, results: Iterable[CellResult]) -> Iterator[tuple[str, bytes]]:
    """The cells' files as the store would write them, by name, in the order of cells."""
    for result in results:
        texts = {
            answers_name(scored): to_json(answers)
            for scored in by_dev_rows(result)
            if (answers := store.predictions(scored))
        }
        if parts := store.part_answers(result):
            texts[part_answers_name(result)] = part_answers_text(result, parts)
        if texts:  # what is no printable character is not packed
            known = {name: text_digest(text) for name, text in texts.items()}
            result = {**result, "answers": {**result.get("answers", {}), **known}}
        yield f"cells/{file_name(result)}.json", to_json(result).encode()
        for name, text in texts.items():
            yield f"cells/{name}", text.encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """One more file, of the same bytes for the same content."""
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)


def opened(place: Path) -> Path:
    """The folder of a run; of an archive a temporary one with what is in it, until this process
    ends. Names, kinds and sizes are checked before anything is unpacked, digests while it is.

    Raises:
        BenchError: it is neither; the archive is damaged, too large, or holds what `pack` would
            not have put there.
    """
    if place.is_dir():
        return place
    if not place.is_file():
        raise BenchError(f"{place} is not a folder.")
    if not zipfile.is_zipfile(place):
        raise BenchError(f"{place} is neither the folder of a run nor an archive of `pack`.")
    folder = Path(tempfile.mkdtemp(prefix="forgetting-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(place) as archive:
            _unpack(archive, folder)
    except _BROKEN as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise BenchError(f"{place} is damaged ({printable(reason)}).") from error
    except _UnfitError as error:
        raise BenchError(f"{place} is no archive of `pack`: {error}.") from None
    return folder


class _UnfitError(Exception):
    """Something in an archive that `pack` would not have put there."""


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write every file but the manifest, which each is held against, into an empty folder."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    _check(archive.infolist())
    if MANIFEST not in entries:
        raise _UnfitError(f"it has no {MANIFEST}")
    digests = _manifest(_read(archive, entries.pop(MANIFEST)))["files"]
    if odd := digests.keys() ^ entries.keys():
        raise _UnfitError(f"{printable(min(odd))} is in one of it and {MANIFEST} only")
    (folder / "cells").mkdir()
    for name, entry in entries.items():
        content = _read(archive, entry)
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise _UnfitError(f"{name} is not as it was packed")
        (folder / name).write_bytes(content)


def _check(entries: list[zipfile.ZipInfo]) -> None:
    """Raises `_UnfitError` for names, kinds and sizes that no archive of cells has; by what is
    said of the files, before anything is unpacked."""
    if len(entries) > MOST_FILES:
        raise _UnfitError(f"it has {len(entries)} files, more than {MOST_FILES}")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise _UnfitError("it has a name twice")
    for entry in entries:
        name, mode = entry.filename, entry.external_attr >> 16
        if name != MANIFEST and not _NAME.fullmatch(name):
            raise _UnfitError(f"it has a file called {printable(name[:80])!r}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or entry.compress_type not in _KINDS:
            raise _UnfitError(f"{name} is no plain file")
        if entry.file_size > MOST_FILE_BYTES:
            raise _UnfitError(f"{name} has {entry.file_size} bytes, more than {MOST_FILE_BYTES}")
    if (total := sum(entry.file_size for entry in entries)) > MOST_BYTES:
        raise _UnfitError(f"it has {total} bytes unpacked, more than {MOST_BYTES}")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """A file, of which no more is unpacked than its size as it was said."""
    with archive.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise _UnfitError(f"{entry.filename} is not of the size that it is said to have")
    return content


def _manifest(content: bytes) -> Manifest:
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _UnfitError(f"{MANIFEST} cannot be read") from error
    if problem := check_of(Manifest)(value):
        raise _UnfitError(f"{MANIFEST}{printable(problem)}")
    if value["format"] != FORMAT:
        raise _UnfitError(f"its format is {value['format']}, this program reads {FORMAT}")
    manifest: Manifest = value
    return manifest
