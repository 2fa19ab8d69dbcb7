"""Every classic layout, broken in every way that files are: an error with file and line, or what
the layout has always done about it.

The reader is bench.rows.files.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.source import load_rows
from bench.rows.task import TASKS, Classic, Row, Task

load_builtin()
ALL = [task for name in TASKS.names() if (task := TASKS.get(name)).classic]
Record = dict[str, Any]


def shape(task: Task) -> Classic:
    assert task.classic is not None
    return task.classic


def some(*formats: str, header: bool | None = None) -> list[Task]:
    """The tasks whose files are of these formats, with a header or without."""
    found = [task for task in ALL if shape(task).format in formats]
    return [task for task in found if header in (None, shape(task).header)]


def every(tasks: list[Task]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("task", tasks, ids=[task.name for task in tasks])


LABELLED = [task for task in ALL if "label" in shape(task).columns]
TABLES, JSON = some("tsv", "csv", "sst"), some("json", "jsonl")


def record(task: Task, label: int, text: str = "text") -> Record:
    """Our column -> value: a text that names the column, and the label as the file spells it."""
    texts: Record = {name: f"{text} {name}" for name in shape(task).columns if name != "label"}
    if "label" not in shape(task).columns:
        return texts
    spellings = shape(task).label_spellings or [texts.get(choice) for choice in task.labels]
    return {**texts, "label": "2.5" if task.kind == "regression" else spellings[label]}


def lists(value: Any) -> Any:
    """Objects whose keys are positions, as lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: lists(one) for key, one in value.items()}
    return list(inner.values()) if all(key.isdigit() for key in inner) else inner


def json_object(task: Task, row: Record) -> str:
    made: Record = dict(shape(task).only)
    for ours, theirs in shape(task).columns.items():
        *parents, last = str(theirs).split(".")
        inner = made
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = row[ours]
    return json.dumps(lists(made), ensure_ascii=False)


def table_line(task: Task, row: Record) -> str:
    columns = shape(task).columns
    if shape(task).header:
        fields = ["7", *(row[ours] for ours in columns)]
    else:
        fields = ["x"] * (max(int(at) for at in columns.values()) + 1)
        for ours, at in columns.items():
            fields[int(at)] = row[ours]
    if shape(task).format == "csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="").writerow(fields)
        return stream.getvalue()
    return (" " if shape(task).format == "sst" else "\t").join(fields)


def lines_of(task: Task, rows: list[Record]) -> list[str]:
    """The file that holds these rows, a list of its lines."""
    if shape(task).format == "jsonl":
        return [json_object(task, row) for row in rows]
    if shape(task).format == "json":
        objects = [json_object(task, row) for row in rows]
        return ["[", *(f"{one}," for one in objects[:-1]), objects[-1], "]"]
    head = ["\t".join(["id", *map(str, shape(task).columns.values())])]
    return (head if shape(task).header else []) + [table_line(task, row) for row in rows]


class Place:
    """A task's folder; `line(n)` is how an error names its n-th row."""

    def __init__(self, task: Task, root: Path) -> None:
        self.task, self.root = task, root
        self.path = root / shape(task).folder / shape(task).layouts[0]["dev"]
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def load(self, raw: bytes) -> list[Row]:
        self.path.write_bytes(raw)
        return load_rows(self.task, str(self.root), "dev")

    def error(self, raw: bytes) -> str:
        with pytest.raises(BenchError) as caught:
            self.load(raw)
        message = str(caught.value)
        assert "\n" not in message and len(message) < 600
        return message.replace(str(self.path), "FILE")

    def line(self, number: int) -> str:
        if shape(self.task).format == "json":
            return f"FILE, object {number}: "
        return f"FILE:{number + shape(self.task).header}: "


def raw(lines: list[str], end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def expected(task: Task, rows: list[Record], labels: list[int]) -> list[Row]:
    scores = [2.5 if task.kind == "regression" else label for label in labels]
    return [
        {**{k: v for k, v in row.items() if k != "label"}, "label": score}
        for row, score in zip(rows, scores, strict=True)
    ]


def without_ids(rows: list[Row]) -> list[Row]:
    assert len({row["id"] for row in rows}) == len(rows)
    return [{k: v for k, v in row.items() if k != "id"} for row in rows]


# --- what comes through


@every(ALL)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_quotes_line_ends_and_byte_order_marks(
    task: Task, end: str, mark: bytes, tmp_path: Path
) -> None:
    texts = ["a", 'He said "no', '"All" of it', "it's", "café\u2028\x85"]
    labels = [i % 2 if task.labels else 0 for i in range(len(texts))]
    rows = [record(task, label, text) for label, text in zip(labels, texts, strict=True)]
    found = Place(task, tmp_path).load(mark + raw([*lines_of(task, rows), "", ""], end))
    assert without_ids(found) == expected(task, rows, labels)


@every(some("json", "jsonl", "csv", "sst", "lines"))
def test_a_tab_in_a_text_is_text(task: Task, tmp_path: Path) -> None:
    rows = [record(task, 0, "a\tb")]
    assert without_ids(Place(task, tmp_path).load(raw(lines_of(task, rows)))) == expected(
        task, rows, [0]
    )


@every(ALL)
def test_rows_that_stand_twice_are_two_rows(task: Task, tmp_path: Path) -> None:
    """The files' own ids are not read; rows are known by their line."""
    rows = [record(task, 0)] * 2
    assert without_ids(Place(task, tmp_path).load(raw(lines_of(task, rows)))) == expected(
        task, rows, [0, 0]
    )


# --- what does not


@every(some("tsv"))
def test_a_tab_in_a_text_is_a_column_too_many(task: Task, tmp_path: Path) -> None:
    place = Place(task, tmp_path)
    good, bad = record(task, 0), record(task, 0, "a\tb")
    width, more = (table_line(task, row).count("\t") + 1 for row in (good, bad))
    assert place.error(raw(lines_of(task, [good, bad]))) == (
        f"{place.line(2)}{more} columns, where the first line has {width}."
    )


@every(TABLES + JSON)
def test_a_file_that_ends_in_a_row(task: Task, tmp_path: Path) -> None:
    place, lines = Place(task, tmp_path), lines_of(task, [record(task, 0), record(task, 0)])
    cut = raw(lines[:-1]) + lines[-1][:1].encode()
    if shape(task).skip_short:  # QQP: as rows that a line break cut in two
        assert len(place.load(cut)) == 1
    elif shape(task).format == "json":
        assert place.error(raw(lines[:-1])).startswith("FILE:3: not JSON (")
    else:
        assert place.error(cut).startswith(place.line(2))


@every(some("csv"))
def test_a_file_that_ends_in_a_quoted_text(task: Task, tmp_path: Path) -> None:
    message = Place(task, tmp_path).error(b'"a question, and no more\n')
    assert message == "FILE:1: unexpected end of data."


@every(ALL)
@pytest.mark.parametrize("before", [0, 1])
def test_an_empty_line(task: Task, before: int, tmp_path: Path) -> None:
    place, rows = Place(task, tmp_path), [record(task, 0), record(task, 0)]
    lines = lines_of(task, rows)
    at = before + shape(task).header
    content = raw([*lines[:at], "", *lines[at:]])
    if shape(task).format not in ("tsv", "sst") or shape(task).skip_short:
        assert len(place.load(content)) == 2
    else:
        assert place.error(content).startswith(place.line(before + 1))


@every([task for task in TABLES if shape(task).header])
def test_a_header_with_another_name(task: Task, tmp_path: Path) -> None:
    lines = lines_of(task, [record(task, 0)])
    for name in map(str, shape(task).columns.values()):
        head = "\t".join("other" if one == name else one for one in lines[0].split("\t"))
        message = Place(task, tmp_path).error(raw([head, *lines[1:]]))
        assert message.startswith(f"FILE:1: no column {name!r}; found: 'id', ")
    assert "no column" in Place(task, tmp_path).error(raw(lines[1:]))  # no header at all


@every([task for task in LABELLED if task in TABLES and not shape(task).header])
def test_a_header_where_there_is_none(task: Task, tmp_path: Path) -> None:
    place, row = Place(task, tmp_path), record(task, 0)
    head = table_line(task, {**row, "label": "label"})
    assert place.error(raw([head, table_line(task, row)])).startswith(
        "FILE:1: unknown label 'label'; known: '"
    )


@every([task for task in TABLES if not shape(task).header])
def test_too_few_columns_in_the_first_line(task: Task, tmp_path: Path) -> None:
    message = Place(task, tmp_path).error(b"x\n")
    places = shape(task).columns.items()
    assert message in [
        f"FILE:1: 1 columns; {ours!r} is column {int(at) + 1}." for ours, at in places
    ]


@every(LABELLED)
@pytest.mark.parametrize("label", ["maybe", ""])
def test_an_unknown_label(task: Task, label: str, tmp_path: Path) -> None:
    place, good = Place(task, tmp_path), record(task, 0)
    message = place.error(raw(lines_of(task, [good, {**good, "label": label}])))
    what = "score" if task.kind == "regression" else "unknown label"
    assert message.startswith(f"{place.line(2)}{what} {label!r}")


@every(JSON)
def test_an_object_without_a_column_or_without_text_in_it(task: Task, tmp_path: Path) -> None:
    place, good = Place(task, tmp_path), json.loads(json_object(task, record(task, 0)))
    name = str(shape(task).columns[(task.columns)[0]])
    as_list = shape(task).format == "json"
    for bad, message in (
        ({k: v for k, v in good.items() if k != name}, f"no {name!r} in "),
        ({**good, name: None}, f"{task.columns[0]!r} is no text but None."),
        ({**good, name: 5}, f"{task.columns[0]!r} is no text but 5."),
        ([], "no '"),
        (7, "no '"),
    ):
        both = [good, bad]
        content = json.dumps(both) if as_list else "\n".join(map(json.dumps, both))
        assert place.error(content.encode()).startswith(f"{place.line(2)}{message}")


@every(some("json"))
@pytest.mark.parametrize("content", [b"5", b'{"query": "a"}', b"null"])
def test_json_that_is_no_list(task: Task, content: bytes, tmp_path: Path) -> None:
    assert Place(task, tmp_path).error(content).startswith("FILE:1: no list of objects but ")


@every(ALL)
def test_bytes_that_are_no_text(task: Task, tmp_path: Path) -> None:
    for mark in (b"", codecs.BOM_UTF8):
        assert (
            Place(task, tmp_path).error(mark + b"\ncaf\xe9\n") == "FILE:2: not UTF-8 (byte 0xe9)."
        )


@every(ALL)
def test_a_file_without_rows(task: Task, tmp_path: Path) -> None:
    heads = lines_of(task, [record(task, 0)])[:1] if shape(task).header else []
    for content in (b"", b"\n\r\n", raw(heads)):
        assert Place(task, tmp_path).error(content) == "FILE has no rows."
