"""No board is wider than its window; what has no room is named, and headers stay whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.board.leaderboard import Board, boards
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.render import terminal
from bench.render.layout import table, window
from bench.render.section import Column
from bench.render.sections import page
from tests.bench.board.test_leaderboard import grid, sequence
from tests.conftest import Run
from tests.helpers.made_up import result

LONG = "ewc+lwf[interval=4,keep=0.5,learning_rate=0.125]"
ENCODER = {"kind": "encoder", "hash": "0123456789abcdef"}


def causal() -> list[Board]:
    """Scores, intervals, facts, compiling: every column of a task's table."""
    cells = [*grid(ewc=98765.4), *(result("lora", t, 0, -1, label=LONG) for t in ("cola", "rte"))]
    for cell in cells:
        cell["facts"] = {
            "settled": {"questions": 80, "before": 1.0, "after": 0.5},
            "disputed": {"questions": 80, "before": 0.25, "after": 0.75},
        }
        assert cell["costs"] is not None
        cell["costs"]["compile"] = 12.5
    return boards([*cells, result("lwf", "rte", 3, error="loss is nan " * 12)])


def encoder() -> list[Board]:
    return boards([result("lwf", seed=seed, model=ENCODER, label=LONG) for seed in range(3)])


def sequences() -> list[Board]:
    matrix = [[0.1, 0.5], [0.6, 0.5], [0.2, 0.7]]
    cells = [sequence(m, seed, matrix) for m in ("finetune", "recadam") for seed in range(2)]
    return boards(cells)


def transfers() -> list[Board]:
    from tests.bench.board.test_transfer import cells

    many = [
        {**cell, "cell": {**cell["cell"], "method": name}, "hash": f"{number}{cell['hash']}"}
        | {"labels": {**cell["labels"], "method": name}}
        for cell in cells()
        if cell["cell"]["method"] == "ewc"
        for number, name in enumerate(("lwf", "recadam", "mixout", "child_tuning"))
    ]
    found = boards([*cells(), *many])  # type: ignore[list-item]
    assert any(board.transfers for board in found)
    return found


def elicited() -> list[Board]:
    def told(seed: int) -> CellResult:
        cell = result("lwf", seed=seed, label=LONG)
        judged = {"answers": 256, "conflicting": 64 + seed, "true": 128}
        cell["elicited"] = {
            "all": judged, "kept": judged, "unlearned": judged, "auc": 0.5 + seed / 10,
            "auc_kept": None,
        }  # type: ignore[typeddict-item]  # fmt: skip
        return cell

    return boards([told(0), told(1)])


def harness() -> list[Board]:
    cell = result("lwf", label=LONG)
    scores = {"arc_challenge_with_a_long_name": {"acc_norm,strict-match-of-words": 0.123456}}
    cell["lm_eval"] = {"version": "0.4", "before": scores, "after": scores}
    return boards([cell])


def measured_besides() -> list[Board]:
    from tests.bench.board import test_path_table, test_retained_table

    return boards([*test_path_table.cells(), *test_retained_table.cells()])


EVERY = [causal, encoder, sequences, transfers, elicited, harness, measured_besides]


@pytest.mark.parametrize("made", EVERY)
def test_a_board_fits_a_window(made: Callable[[], list[Board]]) -> None:
    found = made()
    for width in (80, 90, 100, 120):
        assert max(map(len, terminal.render(found, "ascii", width).splitlines())) <= width
        lines = terminal.render(found, width=width).splitlines()
        assert max(map(len, lines)) <= width
        said = " ".join(lines)
        for section in (section for board in found for section in page(board).sections):
            heads, gone = table(section.columns, section.rows, width)
            assert all(name in said for name in gone)
            kept = [c for c in section.columns if " ".join(c.heading.split()) not in gone]
            parts = [part for column in kept for part in column.heading.split("\n")]
            assert [part for part in parts if part not in "\n".join(heads[:4])] == []


def test_the_least_important_goes_first_and_is_named() -> None:
    text = terminal.render(causal(), width=80)
    header = text[text.index("CoLA: ") :].splitlines()[1].split()
    assert header == [
        "method", "n", "before", "after", "±", "gain", "±", "retain",
    ]  # fmt: skip
    said = " ".join(text.split()).partition("No room in 80 columns for ")[2].partition(". ")[0]
    assert {"facts +% ↑", "drift", "time s ↓", "compile s ↓", "peak MiB ↓"} <= set(said.split(", "))


def test_what_it_says_shows_all_does(tmp_path: Path, run: Run) -> None:
    for cell in (result(), result("lwf", label=LONG)):
        Store(tmp_path).write(cell, None)
    assert "`table DIR --wide` shows all" in " ".join(run("table", tmp_path)[1].split())
    _, text, _ = run("table", tmp_path, "--wide")
    assert "No room" not in text
    (heads,) = (line for line in text.splitlines() if line.startswith("method "))
    assert heads.split()[-3:] == ["time", "time", "peak"]


def test_words_are_broken_at_their_joints_before_a_column_goes() -> None:
    columns = (Column("method", words=24, left=True), Column("a\nb"), Column("c", 1))
    rows = [("ewc+lwf[interval=4,keep=0.5]", "1", "22"), ("lora", "333", "")]
    assert table(columns, rows, 26) == (
        [
            "method               a   c",
            "                     b",
            "-----------------  ---  --",
            "ewc+lwf              1  22",
            "[interval=4,",
            "keep=0.5]",
            "lora               333",
        ],
        [],
    )
    lines, gone = table(columns, rows, 19)
    assert gone == ["c"]
    assert lines[:3] == ["method            a", "                  b", "--------------  ---"]


def test_a_word_is_broken_at_its_underscores_before_one_of_the_most_important_columns_goes() -> (
    None
):
    rows = [("lwf[learning_rate=0.125]", "1", "22")]
    columns = (Column("method", words=24, left=True), Column("a"), Column("c", 1))
    lines, gone = table(columns, rows, 30)
    assert gone == [] and lines[2:] == ["lwf                      1  22", "[learning_rate=0.125]"]
    lines, gone = table(columns, rows, 25)
    assert gone == ["c"] and lines[3:] == ["[learning_rate=0.125]"]
    lines, gone = table(columns, rows, 20)
    assert gone == ["c"] and lines[2:] == ["lwf[learning_      1", "rate=0.125]"]


def test_a_window_is_80_wide_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, width in (("40", 80), ("93", 93), ("200", 200)):
        monkeypatch.setenv("COLUMNS", told)
        assert window() == width
    monkeypatch.delenv("COLUMNS")
    assert window() >= 80
