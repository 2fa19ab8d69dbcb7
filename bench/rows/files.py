"""Files of rows in the layouts that people have; where one is malformed, its line is named."""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.rows.task import Classic, Row, Task

_LONGEST = 2**31 - 1  # characters of a cell, the most that fits the module's C long everywhere
_TRUTH = {"false": "0", "true": "1"}
Record = tuple[int, dict[str, Any]]
"""A line's number, and what stands in it: our column -> value, `label` as the file spells it."""


def read_bytes(path: Path) -> bytes:
    """The file's content; raises BenchError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}.") from error


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The table of a TOML file; `what` it is stands before its name in a mistake.

    Raises:
        BenchError: it is missing, or no TOML.
    """
    try:
        return tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"{what} {path}: {error}.") from None
    except RecursionError:
        raise BenchError(f"{what} {path}: not TOML that can be read (too deep).") from None


def classic_rows(task: Task, classic: Classic, path: Path, split: str) -> list[Row]:
    """The rows of a file of this form, in order.

    Raises:
        BenchError: it cannot be read, or a line is malformed.
    """
    rows = []
    for number, found in records(classic, path):
        try:
            row = labelled(task, found, classic.label_spellings)
        except ValueError as error:
            raise BenchError(f"{_place(classic, path, number)}: {error}.") from None
        rows.append({"id": f"{split}-{number}", **row})
    return rows


def records(classic: Classic, path: Path) -> Iterator[Record]:
    """The file's lines or objects, unlabelled; raises BenchError as `classic_rows` does."""
    return _json(classic, path) if "json" in classic.format else _table(classic, path)


def labelled(task: Task, found: dict[str, Any], spellings: Sequence[str | int]) -> dict[str, Any]:
    """The columns with the label as the suite has it; `spellings` are those of the source, if
    they are not 0, 1, 2 and so on.

    Raises:
        ValueError: a label that is none of the task's; a column that holds no text.
    """
    for ours, value in found.items():
        if ours != "label" and not isinstance(value, str):
            raise ValueError(f"{ours!r} is no text but {brief([value])}")
        if ours != "label" and not _is_unicode(value):
            raise ValueError(f"{ours!r} holds half a character: {brief([value])}")
    if task.target:
        return {**found, "label": 0}
    given = found["label"]
    if task.kind == "regression":
        low, high = float(task.labels[0]), float(task.labels[-1])
        try:
            score = float(given)
        except (TypeError, ValueError):
            score = math.nan
        if not low <= score <= high:
            raise ValueError(f"score {given!r} is no number from {low:g} to {high:g}")
        return {**found, "label": score}
    if task.kind == "multiple_choice" and isinstance(given, str) and not spellings:
        spellings = [found[choice] for choice in task.labels]
    known = list(spellings or range(len(task.labels)))
    if given in known:
        return {**found, "label": known.index(given)}
    plain, named = [_plain(label) for label in known], _plain(given)
    if set(plain) == set(_TRUTH.values()):
        named = _TRUTH.get(named, named)
    if named not in plain:
        raise ValueError(f"unknown label {brief([given])}; known: {brief(known)}")
    return {**found, "label": plain.index(named)}


def _plain(label: Any) -> str:
    """A label without what a table's program adds to it: blanks around it, to a whole number
    `.0` (pandas, where another row has none), and to true or false a capital."""
    plain = re.sub(r"(?<=\d)\.0+$", "", str(label).strip())
    return plain.lower() if plain.lower() in _TRUTH else plain


def _is_unicode(text: str) -> bool:
    """Whether it has no lone surrogates, which JSON can spell."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _table(classic: Classic, path: Path) -> Iterator[Record]:
    """The lines of a file with columns."""
    lines = iter(_fields(classic, path))
    number, first = next(lines, (0, None))
    if first is None:
        return
    positions = _positions(classic, first, path)
    if not classic.header:
        yield number, {ours: first[at] for ours, at in positions.items()}
    for number, fields in lines:
        if len(fields) != len(first):
            if classic.skip_short and len(fields) < len(first):
                continue
            raise BenchError(
                f"{path}:{number}: {len(fields)} columns, where the first line has {len(first)}."
            )
        yield number, {ours: fields[at] for ours, at in positions.items()}


def _fields(classic: Classic, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and columns. In GLUE's files quotes are text: CoLA and MRPC have unpaired
    ones."""
    lines = _lines(path)
    if classic.format in ("csv", "csv_tabs"):
        yield from _quoted(lines, "," if classic.format == "csv" else "\t", path)
        return
    for number, line in enumerate(lines, start=1):
        if classic.format == "lines":
            yield from [(number, [line])] if line.strip() else []
        else:
            yield number, line.split(" ", 1) if classic.format == "sst" else line.split("\t")


def _quoted(lines: list[str], delimiter: str, path: Path) -> list[tuple[int, list[str]]]:
    """The number of each row's last line, and its columns, whose quotes are those of CSV."""
    advice = "; a quote in a text is written twice, in quotes" if delimiter == "\t" else ""
    reader = csv.reader((f"{line}\n" for line in lines), strict=True, delimiter=delimiter)
    usual = csv.field_size_limit(_LONGEST)  # the module's own, of all its readers
    tabs = {line.count("\t") for line in lines[:1]}
    found, last = [], 0
    try:
        for fields in reader:
            read, last = lines[last : reader.line_num], reader.line_num
            # a quote that is not closed, down to the next one: none of the lines looks cut
            if advice and len(read) > 1 and {line.count("\t") for line in read} == tabs:
                raise csv.Error(f"a quote goes over {len(read)} whole lines")
            if any(map(str.strip, fields)) or any('"' in line for line in read):
                found.append((last, fields))
    except csv.Error as error:
        raise BenchError(f"{path}:{reader.line_num}: {error}{advice}.") from error
    finally:
        csv.field_size_limit(usual)
    return found


def _json(classic: Classic, path: Path) -> Iterator[Record]:
    """The objects of a file, numbered from 1."""
    for number, record in _objects(classic, path):
        try:
            if any(pick(record, column) != value for column, value in classic.only.items()):
                continue
            found = {ours: pick(record, str(to)) for ours, to in classic.columns.items()}
        except LookupError as error:
            place = _place(classic, path, number)
            raise BenchError(f"{place}: no {error.args[0]!r} in {brief([record])}.") from None
        yield number, found


def _place(classic: Classic, path: Path, number: int) -> str:
    """Where a record stands."""
    return f"{path}, object {number}" if classic.format == "json" else f"{path}:{number}"


def _objects(classic: Classic, path: Path) -> Iterator[tuple[int, Any]]:
    lines = _lines(path)
    if classic.format == "jsonl":
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _parsed(line, path, number)
    elif lines:
        found = _parsed("\n".join(lines), path, 1)
        if not isinstance(found, list):
            raise BenchError(f"{path}:1: no list of objects but {brief([found])}.")
        yield from enumerate(found, start=1)


def _parsed(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise BenchError(f"{path}:{line}: not JSON ({error.msg}).") from error
    except RecursionError:
        raise BenchError(f"{path}:{first_line}: not JSON that can be read (too deep).") from None


def pick(record: Any, column: str) -> Any:
    """What stands in an object under this name, or at a path such as `choices.0.text`.

    Raises:
        LookupError: (column) nothing does.
    """
    if isinstance(record, dict) and column in record:
        return record[column]
    value = record
    for part in column.split("."):
        try:
            value = value[int(part) if isinstance(value, list) else part]
        except (LookupError, TypeError, ValueError):
            raise LookupError(column) from None
    return value


def _lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, whose byte order mark, CRs and empty last lines are dropped.

    Only a line feed ends a line: the texts contain other characters that `splitlines` splits at.
    """
    raw = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BenchError(f"{path}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}).") from error
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def _positions(classic: Classic, first: list[str], path: Path) -> dict[str, int]:
    """Our column name -> its place in a line, given the fields of the first line."""
    positions: dict[str, int] = {}
    for ours, theirs in classic.columns.items():
        if isinstance(theirs, int):
            if theirs >= len(first):
                raise BenchError(
                    f"{path}:1: {len(first)} columns; {ours!r} is column {theirs + 1}."
                )
            positions[ours] = theirs
        else:
            if theirs not in first:
                raise BenchError(f"{path}:1: no column {theirs!r}; found: {brief(first)}.")
            if first.count(theirs) > 1:
                raise BenchError(f"{path}:1: the column {theirs!r} stands there twice.")
            positions[ours] = first.index(theirs)
    return positions


def brief(names: Iterable[Any]) -> str:
    """The names, quoted, in one line of bearable length (a 'header' can be a whole text)."""
    return textwrap.shorten(", ".join(map(repr, names)), 200, placeholder=" ...")
