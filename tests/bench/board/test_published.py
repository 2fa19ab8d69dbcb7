"""The published figures: those that were read and no others, with averages that are theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.board.published import FOLDER, Published, Value, read_published
from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin

load_builtin()
FILES = sorted(FOLDER.glob("*.toml"))
NOTES = FOLDER.parents[2] / "shared" / "methods.md"
ROW = """
[[row]]
name = "RecAdam"
method = "recadam"
model = "bert-base"
statistic = "median"
runs = 5
split = "dev"
selection = "best-on-dev"
lab = "a lab"
source = "a paper"
known = "secondary"
"""


def read(path: Path, text: str) -> Published:
    path.write_text(text, encoding="utf-8")
    return read_published(path)


def figures(value: Value) -> list[float]:
    return [] if value is None else list(value) if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_average_is_that_of_its_cells(path: Path) -> None:
    found = read_published(path)
    for row in found.rows:
        for name, average in row.averages.items():
            cells = [row.values.get(task) for task in found.averages[name]]
            if isinstance(average, float) and all(isinstance(cell, float) for cell in cells):
                mean = sum(figure for cell in cells for figure in figures(cell)) / len(cells)
                digits = max(len(repr(x).partition(".")[2]) for c in cells for x in figures(c))
                # half a digit of the rounded average and the cells' own rounding
                assert mean == pytest.approx(average, abs=1.01 * 10**-digits), (row.name, name)


def test_averages_are_recomputed_of_as_many_rows_as_have_cells() -> None:
    whole = [row for path in FILES for row in read_published(path).rows]
    sure = [row for row in whole if row.averages and row.values and None not in row.values.values()]
    assert len(sure) == 8 and {row.lab for row in sure} >= {"Chen et al. 2020", "HyPe"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_figure_stands_here_that_was_not_read(path: Path) -> None:
    if not NOTES.is_file():
        pytest.skip("needs ../shared/methods.md, which is not here")
    notes = re.sub(r"[−–]", "-", NOTES.read_text(encoding="utf-8"))
    known = {float(number) for number in re.findall(r"(?<![\d.])-?\d*\.?\d+", notes)}
    for row in read_published(path).rows:
        for table in (row.values, row.averages, row.spread):
            for task, value in table.items():
                assert set(figures(value)) <= known, f"{row.name}, {task}: {value}"


def test_only_what_was_read_in_its_source_is_seen() -> None:
    seen = {path.stem for path in FILES for row in read_published(path).rows if row.known == "seen"}
    assert seen == {"sequence-bert"}


def test_copied_rows_keep_the_lab_that_ran_them() -> None:
    rows = read_published(FOLDER / "small-glue-bert-large.toml").rows
    assert {row.lab for row in rows if row.name == "RecAdam"} == {"Xu et al. 2021", "Match-Tuning"}
    assert [row.name for row in rows if row.lab == "HyPe"] == ["vanilla"]


def test_an_empty_cell_is_none_and_a_range_two_figures(tmp_path: Path) -> None:
    found = read(tmp_path / "a.toml", ROW + 'values = { cola = "", rte = [2, 7.5], sst2 = 93 }')
    assert found.rows[0].values == {"cola": None, "rte": (2.0, 7.5), "sst2": 93.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[row", "published figures .*: Expected"),
        ('titel = "x"', "unknown key of .* 'titel'"),
        (ROW + "value = { cola = 1 }", r"row 1 \(RecAdam\) 'value'. Did you mean 'values'"),
        (ROW.replace("recadam", "recadem"), "unknown method 'recadem'. Did you mean 'recadam'"),
        (ROW.replace("median", "middle"), "statistic = 'middle' is out of range: it must be one"),
        (ROW.replace("secondary", "heard"), "known = 'heard' .* one of seen, secondary, derived"),
        (ROW.replace('lab = "a lab"', ""), 'has no lab; what is not known is empty: lab = ""'),
        (ROW.replace("a paper", ""), "a figure needs its lab and its source"),
        (ROW + "values = { colla = 1 }", "unknown task in .*'colla'. Did you mean 'cola'"),
        (ROW + 'values = { cola = "60.6" }', "cola = '60.6' is no number, no range"),
        (ROW + "values = { cola = [7, 2] }", r"cola = \[7, 2\] is no number, no range"),
        (ROW + "values = { cola = nan }", "cola = nan is no number"),
        (ROW + "averages = { all = 1 }", "unknown average of .* 'all'"),
        (ROW + "settings = { gama = 1 }", "unknown setting of recadam in .* 'gama'"),
        (ROW + 'best_of = "k"', "best_of is a list of names, not 'k'"),
        ("[averages]\nall = 3", "the average 'all' is a list of names, not 3"),
        ("[averages]\nall = [['cola']]", "the average 'all' is a list of names"),
        ('[metrics]\nmrpc = ["f1"]', "unknown metric of mrpc"),
        (ROW + "values = 3", "values is a table, not 3"),
        ('row = "x"', r"begin with \[\[row\]\]"),
        ('[averages]\nall = ["cola", "rt"]', "the average 'all', 'rt'"),
        ('[metrics]\nmrpc = "f2"', "unknown metric of mrpc in .* 'f2'. Did you mean 'f1'"),
    ],
)
def test_mistakes_are_one_line_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BenchError, match=said) as error:
        read(tmp_path / "a.toml", text)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="none"):
        read_published(tmp_path / "none.toml")
