"""A board from results: the rows of bench.board.measures, averages, what is missing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.board.leaderboard import Board, Table, boards
from bench.board.rows import Row
from bench.board.statistics import estimate, paired
from bench.cells.result import CellResult
from bench.core.errors import BenchError
from bench.render import terminal
from tests.helpers.made_up import result

SEEDS = (0, 1, 2)
# method -> task -> score by seed
SCORES = {
    "finetune": {"cola": (0.10, 0.12, 0.14), "rte": (0.50, 0.54, 0.58)},
    "ewc": {"cola": (0.12, 0.13, 0.17), "rte": (0.52, 0.55, 0.61)},
    "lwf": {"cola": (0.20, 0.18, 0.25), "rte": (0.51, 0.50, 0.57)},
}


def grid(**seconds: float) -> list[CellResult]:
    """All cells of SCORES; `seconds` by method, 10 where it is not given."""
    return [
        result(method, task, seed, score, seconds=seconds.get(method, 10.0))
        for method, tasks in SCORES.items()
        for task, scores in tasks.items()
        for seed, score in zip(SEEDS, scores, strict=True)
    ]


def without(results: list[CellResult], *gone: tuple[str, str, int]) -> list[CellResult]:
    """The results less the cells (method, task, seed)."""
    return [
        r
        for r in results
        if (r["cell"]["method"], r["cell"]["task"], r["cell"]["seed"]) not in gone
    ]


def the_board(results: list[CellResult]) -> Board:
    (board,) = boards(results)
    return board


def row(table: Table | None, method: str) -> Row:
    assert table is not None
    (found,) = [row for row in table.rows if row.method == method]
    return found


def test_a_task_table_holds_means_intervals_and_paired_gains() -> None:
    board = the_board(grid(ewc=15.0))
    assert (board.model, board.data, board.seeds, board.retention) == (
        "stories260K", "data", SEEDS, "sampled",
    )  # fmt: skip
    assert [(t.task, t.title, t.metric, t.forget) for t in board.tables] == [
        ("cola", "CoLA", "matthews_correlation", ("rte",)),
        ("rte", "RTE", "accuracy", ("cola",)),
    ]
    ewc = row(board.tables[0], "ewc")
    ours, theirs = SCORES["ewc"]["cola"], SCORES["finetune"]["cola"]
    assert ewc.values["after"] == estimate(ours)
    assert ewc.values["gain"] == paired(dict(enumerate(ours)), dict(enumerate(theirs)))
    assert (ewc.done, ewc.planned, ewc.mean("time_ratio")) == (3, 3, 1.5)
    mean = ewc.mean
    assert (mean("before"), mean("retention"), mean("forgotten")) == (0.25, 0.125, -0.25)
    assert (mean("drift"), mean("seconds"), mean("peak_mib")) == (0.03125, 15.0, 514.0)
    assert board.tables[0].notes == ()


def test_the_reference_comes_first_then_the_best() -> None:
    table = the_board(grid()).tables[0]
    assert [r.method for r in table.rows] == ["finetune", "lwf", "ewc"]
    assert [r.reference for r in table.rows] == [True, False, False]
    assert table.rows[0].values["gain"] is None


def test_a_method_without_a_score_stands_below_a_negative_one() -> None:
    cells = [result(), result("ewc", error="loss is nan"), result("lwf", after=-0.5)]
    assert [r.method for r in the_board(cells).tables[0].rows] == ["finetune", "lwf", "ewc"]


def test_the_average_is_over_tasks_within_a_seed_then_over_seeds() -> None:
    average = the_board(grid()).average
    by_seed = {
        method: [sum(scores) / 2 for scores in zip(tasks["cola"], tasks["rte"], strict=True)]
        for method, tasks in SCORES.items()
    }
    lwf = row(average, "lwf")
    assert lwf.values["after"] is not None and lwf.values["gain"] is not None
    expected = estimate(by_seed["lwf"])
    gain = paired(dict(enumerate(by_seed["lwf"])), dict(enumerate(by_seed["finetune"])))
    assert expected is not None and gain is not None
    assert (lwf.values["after"].mean, lwf.values["after"].half) == pytest.approx(
        (expected.mean, expected.half)
    )
    assert (lwf.values["gain"].mean, lwf.values["gain"].half) == pytest.approx(
        (gain.mean, gain.half)
    )
    assert average is not None and average.title == "Average of 2 tasks"


def test_one_task_has_no_average_and_one_seed_no_interval() -> None:
    board = the_board([result("finetune", after=0.5), result("ewc", after=0.75)])
    assert board.average is None
    ewc = row(board.tables[0], "ewc")
    assert ewc.values["after"] == estimate([0.75]) and ewc.values["gain"] == estimate([0.25])
    assert ewc.values["after"] is not None and ewc.values["after"].half is None


def test_a_failed_and_a_missing_cell_are_shown() -> None:
    cells = without(grid(), ("ewc", "cola", 1), ("lwf", "cola", 2))
    cells.append(result("ewc", "cola", 1, error="loss is nan"))
    table = the_board(cells).tables[0]
    assert table.notes == ("ewc seed 1 failed: loss is nan", "lwf: not run for seed 2")
    assert [(r.method, r.done, r.planned) for r in table.rows] == [
        ("finetune", 3, 3), ("lwf", 2, 3), ("ewc", 2, 3),
    ]  # fmt: skip
    assert row(table, "ewc").values["after"] == estimate([0.12, 0.17])
    gain = row(table, "ewc").values["gain"]  # seeds 0 and 2, not the first two of each
    assert gain is not None and gain.mean == pytest.approx(0.025)


def test_a_missing_cell_takes_its_seed_from_all_averages() -> None:
    average = the_board(without(grid(), ("ewc", "cola", 2))).average
    assert average is not None
    for method, tasks in SCORES.items():
        found = row(average, method)
        assert found.values["after"] is not None and (found.done, found.planned) == (2, 3)
        assert found.values["after"].mean == pytest.approx(
            sum(tasks["cola"][:2] + tasks["rte"][:2]) / 4
        )
    assert average.notes == (
        "averaged over seed 0, 1 only: those that every averaged method finished everywhere",
    )


def test_a_method_that_lacks_a_task_has_no_average_and_spoils_none() -> None:
    gone = [("lwf", "rte", seed) for seed in SEEDS]
    board = the_board(without(grid(), *gone))
    assert row(board.average, "lwf").values["after"] is None
    assert row(board.average, "ewc").done == 3
    assert board.average is not None
    assert board.average.notes == ("lwf: no average, 1 of 2 tasks",)
    assert board.average.rows[-1].method == "lwf"
    assert row(board.tables[1], "lwf").done == 0
    assert board.tables[1].notes == ("lwf: not run for seed 0, 1, 2",)


def test_no_common_seed_no_average() -> None:
    average = the_board(
        [result("finetune", "cola", 0), result("finetune", "rte", 1), result("ewc", "cola", 0)]
    ).average
    assert average is not None
    assert [r.values["after"] for r in average.rows] == [None, None]
    assert any("no seed" in note for note in average.notes)


def test_without_a_reference_there_are_no_gains() -> None:
    table = the_board([result("ewc"), result("lwf")]).tables[0]
    assert all(
        r.values["gain"] is None and r.mean("time_ratio") is None and not r.reference
        for r in table.rows
    )


def test_only_failures_make_a_board_too() -> None:
    board = the_board([result("finetune", error="out of memory")])
    assert board.tables[0].metric is None
    assert board.tables[0].notes == ("finetune seed 0 failed: out of memory",)
    assert board.tables[0].rows[0].mean("seconds") is None


def test_a_figure_that_one_cell_lacks_is_missing_not_a_mean_of_the_others() -> None:
    first, second = result(seed=0), result(seed=1)
    second["retention"] = None
    mean = the_board([first, second]).tables[0].rows[0].mean
    assert mean("retention") is None and mean("drift") == 0.03125


def test_settings_are_rows_of_their_own_even_under_one_label() -> None:
    cells = [
        result("lwf", settings={"k": 0.1, "n": 1}),
        result("lwf", settings={"k": 0.2, "n": 1}),
        result("lwf", settings={"k": 0.3, "n": 1}, label="lwf[k=0.3]"),
    ]
    names = [r.method for r in the_board(cells).tables[0].rows]
    assert names == ["lwf k=0.1", "lwf k=0.2", "lwf[k=0.3]"]


def test_settings_in_another_order_are_the_same() -> None:
    one = result("lwf", seed=0, settings={"k": 0.1, "n": 1})
    other = result("lwf", seed=1, settings={"n": 1, "k": 0.1})
    assert row(the_board([one, other]).tables[0], "lwf").done == 2


def test_two_scores_for_one_cell_raise_and_a_failure_gives_way() -> None:
    with pytest.raises(BenchError, match="two results with different scores"):
        boards([result(after=0.5), result(after=0.75)])
    board = the_board([result(error="out of memory"), result(after=0.5), result(after=0.5)])
    assert row(board.tables[0], "finetune").done == 1


def test_order_of_results_does_not_matter() -> None:
    cells = grid()
    expected = boards(cells)
    for seed in range(5):
        random.Random(seed).shuffle(cells)
        assert boards(cells) == expected


def test_no_results_no_boards() -> None:
    assert boards([]) == []


def test_same_bytes_under_two_hash_seeds_and_no_heavy_imports() -> None:
    """Order from a set would differ; torch or pandas would make `table` slow."""
    root = Path(__file__).parents[3]
    script = f"""
import sys
sys.path[:0] = {[str(root)]!r}
from tests.helpers.made_up import result
from tests.bench.board.test_leaderboard import SCORES, grid
from bench.board.leaderboard import boards
from bench.render import markdown, terminal, tidy
forget = {{"tasks": ["rte"], "hash": "x"}}
made = boards(grid() + [result(m, t, forget=forget) for m in SCORES for t in ("cola", "rte")])
print(ascii([made, terminal.render(made), markdown.render(made), tidy.to_json(made)]))
heavy = {{"torch", "transformers", "datasets", "pandas", "sklearn", "scipy.stats"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_a_score_that_stands_in_for_an_undefined_one_has_a_note() -> None:
    cells = [result(seed=seed) for seed in range(3)]
    for cell, notes in zip(cells, (["MCC is 0: why"], [], ["MCC is 0: why"]), strict=True):
        assert cell["scores"] is not None
        cell["scores"]["notes"] = notes
    (board,) = boards(cells)
    assert board.tables[0].notes == ("finetune seed 0, 2: MCC is 0: why",)


def sequence(method: str, seed: int, matrix: list[list[float]]) -> CellResult:
    """A finished cell of cola>rte with these scores."""
    stages = {"stages": ["cola", "rte"], "forget": {"tasks": [], "hash": "none"}}
    means = [sum(row) / 2 for row in (matrix[0], matrix[-1])]
    cell = result(method, "cola>rte", seed, means[1], before=means[0], **stages)
    cell["forgotten"] = None
    cell["sequence"] = {
        "tasks": ["cola", "rte"],
        "metrics": ["matthews_correlation", "accuracy"],
        "matrix": matrix,
    }
    return cell


def test_a_sequence_has_its_own_table_and_is_in_no_average() -> None:
    cells = [
        sequence("finetune", seed, [[0.1, 0.5], [0.6, 0.5], [0.2 + shift, 0.7]])
        for seed, shift in enumerate((0.0, 0.2))
    ]
    cells += [sequence("ewc", 0, [[0.1, 0.5], [0.5, 0.6], [0.6, 0.6]])]
    cells += [result(task="cola", forget=cells[0]["cell"]["forget"])]
    (board,) = boards(cells)
    assert board.average is None
    single, table = board.tables
    assert (single.stages, table.stages) == ((), ("cola", "rte"))
    reference, ewc = table.rows
    assert reference.mean("backward") == pytest.approx(-0.3)
    assert reference.mean("forgetting") == pytest.approx(0.3)
    assert reference.mean("forward") == pytest.approx(0.0)
    assert ewc.mean("forgetting") == pytest.approx(-0.1)  # it improved
    assert ewc.mean("forward") == pytest.approx(0.1)
    assert ewc.values["gain"] is not None and ewc.values["gain"].mean == pytest.approx(0.6 - 0.45)
    assert single.rows[0].mean("backward") is None


def test_of_perplexities_the_least_stands_first_and_none_is_averaged_with_shares() -> None:
    forget = {"tasks": [], "hash": "none"}
    made = []
    for method, value in (("finetune", 20.0), ("ewc", 30.0), ("lwf", 10.0)):
        text, cola = (result(method, task, forget=forget) for task in ("text", "cola"))
        scores = {"perplexity": value}
        text["scores"] = {"primary": "perplexity", "before": scores, "after": scores}
        made += [text, cola]
    board = the_board(made)
    table = next(table for table in board.tables if table.task == "text")
    assert [row.method for row in table.rows] == ["finetune", "lwf", "ewc"]
    assert table.rows[1].values["gain"] is not None and table.rows[1].values["gain"].mean == -10
    assert board.average is None
    shown = terminal.render([board])
    assert "text: perplexity, less is better" in shown
    assert "10.00" in shown and "1000.00" not in shown


GLUE_SCORES = {
    "cola": {"matthews_correlation": 0.5},
    "sst2": {"accuracy": 0.9},
    "mrpc": {"accuracy": 0.8, "f1": 0.9},
    "stsb": {"pearson": 0.7, "spearman": 0.6},
    "qqp": {"accuracy": 0.8, "f1": 0.7},
    "mnli": {"accuracy": 0.7, "mismatched_accuracy": 0.6},
    "qnli": {"accuracy": 0.8},
    "rte": {"accuracy": 0.6},
    "wnli": {"accuracy": 0.5},
}


def glue_cells(tasks: Sequence[str], **options: Any) -> list[CellResult]:
    made = [result(task=task, forget={"tasks": []}, **options) for task in tasks]
    for cell, task in zip(made, tasks, strict=True):
        scores = GLUE_SCORES.get(task, {"accuracy": 0.0})
        cell["scores"] = {"primary": next(iter(scores)), "before": scores, "after": scores}
    return made


def test_the_average_of_glue_is_over_tasks_of_the_mean_of_their_metrics() -> None:
    tasks = [*GLUE_SCORES, "ax", "sst5"]
    whole = the_board(glue_cells(tasks)).glue
    assert whole is not None and whole.title == "GLUE average, wnli included"
    assert whole.rows[0].values["after"] is not None
    want = (0.5 + 0.9 + 0.85 + 0.65 + 0.75 + 0.65 + 0.8 + 0.6 + 0.5) / 9
    assert whole.rows[0].values["after"].mean == pytest.approx(want)
    usual = the_board(glue_cells([task for task in tasks if task != "wnli"])).glue
    assert usual is not None and usual.title == "GLUE average, without wnli"
    assert usual.rows[0].values["after"] is not None
    assert usual.rows[0].values["after"].mean == pytest.approx((want * 9 - 0.5) / 8)
    assert "GLUE average, without wnli ×100" in terminal.render(boards(glue_cells(tasks[:-3])))
    assert the_board(glue_cells(tasks[1:])).glue is None
    assert the_board(glue_cells(tasks, generated=True)).glue is None
    assert the_board(glue_cells(tasks, data_name="generated, not GLUE")).glue is not None
