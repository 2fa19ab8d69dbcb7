"""Files as other programs leave them: read like their tidy twins."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.core.errors import BenchError
from bench.rows.source import load_rows
from bench.rows.task import Row
from bench.rows.task_file import read_task

HEAD = """\
name = "own"
kind = "classification"
columns = ["text"]
prompt = "{text}"
metrics = ["accuracy"]
labels = ["0", "1"]
"""
QUIZ = """\
name = "own"
kind = "multiple_choice"
columns = { q = "q", a = "choices.0", b = "choices.1", label = "label" }
choices = ["a", "b"]
labels = ["0", "1"]
prompt = "{q}"
metrics = ["accuracy"]
"""


def read(path: Path, head: str = HEAD) -> list[Row]:
    toml = path.with_suffix(".toml")
    toml.write_text(f'{head}files = {{train = "{path.name}", dev = "{path.name}"}}\n')
    return load_rows(read_task(toml), "micro", "dev")


def texts(rows: list[Row]) -> list[tuple[str, int]]:
    return [(row["text"], row["label"]) for row in rows]


def test_a_cell_longer_than_the_csv_module_allows(tmp_path: Path) -> None:
    long, usual = "a" * 200_000, csv.field_size_limit()
    (tmp_path / "r.csv").write_text(f"text,label\n{long},1\n")
    assert texts(read(tmp_path / "r.csv")) == [(long, 1)]
    assert csv.field_size_limit() == usual


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_whole_numbers_that_a_missing_one_has_made_fractions(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [0, None, 1]}).dropna()
    path = tmp_path / f"r.{suffix}"
    write(frame, path)
    if suffix in ("csv", "jsonl"):
        assert "1.0" in path.read_text()
    assert texts(read(path)) == [("a", 0), ("c", 1)]
    write(pd.DataFrame({"text": ["a"], "label": [1.5]}), path)
    with pytest.raises(BenchError, match=r"unknown label '1\.5'; known: '0', '1'"):
        read(path)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("labels", ['["0", "1"]', '["false", "true"]', '["False", "True"]'])
def test_true_and_false_as_each_program_writes_them(
    tmp_path: Path, suffix: str, labels: str
) -> None:
    path = tmp_path / f"r.{suffix}"
    write(pd.DataFrame({"text": ["a", "b"], "label": [True, False]}), path)
    assert texts(read(path, HEAD.replace('["0", "1"]', labels))) == [("a", 1), ("b", 0)]


def write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, double_precision=1)
        path.write_text(path.read_text().replace(":0}", ":0.0}").replace(":1}", ":1.0}"))
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("blank", ["\n", "  \n", "\r\n"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_blank_lines_are_passed_over(tmp_path: Path, suffix: str, blank: str) -> None:
    if suffix == "jsonl":
        lines = [json.dumps({"text": text, "label": "1"}) + "\n" for text in "ab"]
    else:
        mark = "," if suffix == "csv" else "\t"
        lines = [f"{text}{mark}{label}\n" for text, label in (("text", "label"), "a1", "b1")]
    path = tmp_path / f"r.{suffix}"
    path.write_text(blank.join(["", *lines, ""]), newline="")
    assert texts(read(path)) == [("a", 1), ("b", 1)]
    assert read(path)[1]["id"] == f"dev-{2 * len(lines)}"  # its line, blank ones counted


def test_an_empty_text_is_no_blank_line(tmp_path: Path) -> None:
    head = 'name = "own"\nkind = "text"\nmetrics = ["perplexity"]\ntarget = "text"\n'
    (tmp_path / "r.csv").write_text('text\na\n""\n\nb\n')
    assert [row["text"] for row in read(tmp_path / "r.csv", head)] == ["a", "", "b"]


def test_quotes_as_pandas_writes_them(tmp_path: Path) -> None:
    said = ['He said "hi"', '"All" of it', "two\nlines", "a tab\there", "none", 'one " left']
    rows = pd.DataFrame({"label": [1] * len(said), "text": said, "more": "x"})
    write(rows, tmp_path / "r.tsv")
    assert texts(read(tmp_path / "r.tsv")) == [(text, 1) for text in said]
    last = rows[["label", "text"]]
    write(last, tmp_path / "r.tsv")
    assert texts(read(tmp_path / "r.tsv")) == [(text, 1) for text in said]


@pytest.mark.parametrize("nested", [False, True])
def test_a_parquet_column_of_lists(tmp_path: Path, nested: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"q": "?", "choices": ["x", "y"], "label": 1},
        {"q": "!", "choices": ["z", "w"], "label": 0},
    ]
    head = QUIZ
    if nested:
        head = head.replace("choices.", "choices.text.")
        rows = [{**row, "choices": {"text": row["choices"]}} for row in rows]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write(pd.DataFrame(rows), tmp_path / "r.parquet")
    found = read(tmp_path / "r.parquet", head)
    assert found == read(tmp_path / "r.jsonl", head)
    assert [(row["a"], row["b"], row["label"]) for row in found] == [("x", "y", 1), ("z", "w", 0)]
    write(pd.DataFrame([{"q": "?", "choices": ["x"], "label": 1}]), tmp_path / "r.parquet")
    with pytest.raises(BenchError, match=r"r\.parquet, row 1: no 'choices"):
        read(tmp_path / "r.parquet", head)


def test_a_column_whose_name_has_a_dot(tmp_path: Path) -> None:
    head = HEAD.replace('["text"]', '{ text = "mail.body", label = "label" }')
    frame = pd.DataFrame({"mail.body": ["a"], "label": ["1"]})
    for suffix in ("csv", "parquet", "jsonl"):
        write(frame, tmp_path / f"r.{suffix}")
        assert texts(read(tmp_path / f"r.{suffix}", head)) == [("a", 1)]
