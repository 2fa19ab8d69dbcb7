"""Learning task by forgetting task, against a computation by hand."""

from __future__ import annotations

import csv
import io

import pytest

from bench.board.forgetting_matrix import matrices
from bench.board.grouping import method_names
from bench.board.leaderboard import boards
from bench.cells.result import CellResult
from bench.render import html, latex, markdown, terminal, tidy
from tests.helpers.made_up import result

NOTHING = {"tasks": [], "hash": ""}


def cell(method: str, task: str, seed: int, score: float, *forget: str) -> CellResult:
    reads = {"tasks": list(forget), "hash": "-".join(forget)} if forget else NOTHING
    return result(method, task, seed, score, forget=reads)


RESULTS = [
    *(cell("finetune", "rte", seed, score) for seed, score in enumerate((0.5, 0.7))),
    *(cell("finetune", "cola", seed, score) for seed, score in enumerate((0.2, 0.4))),
    *(cell("lwf", "rte", seed, score, "cola") for seed, score in enumerate((0.6, 0.9))),
    *(cell("lwf", "rte", seed, score, "cola", "sst2") for seed, score in enumerate((0.5, 0.4))),
    *(cell("lwf", "cola", seed, score, "rte") for seed, score in enumerate((0.2, 0.1))),
    *(cell("lwf", "cola", seed, score, "rte", "sst2") for seed, score in enumerate((0.4, 0.4))),
]


def test_the_change_is_relative_to_finetunes_mean_on_the_same_seeds() -> None:
    """rte forgetting cola: 0.75 / 0.6; its differences are 0.1 and 0.2, their interval
    12.706 · 0.0707 / sqrt 2."""
    (found,) = matrices(RESULTS, method_names(RESULTS))
    assert found.learned == ("cola", "rte") and found.forgotten == ("cola", "rte", "mixed")
    means = {place: change.mean for place, change in found.changes.items()}
    assert means == pytest.approx({
        ("rte", "cola"): 0.75 / 0.6 - 1, ("rte", "mixed"): 0.45 / 0.6 - 1,
        ("cola", "rte"): 0.15 / 0.3 - 1, ("cola", "mixed"): 0.4 / 0.3 - 1,
    })  # fmt: skip
    assert found.changes["rte", "cola"].half == pytest.approx(12.7062 * 0.05 / 0.6, rel=1e-4)


def test_of_seeds_that_only_one_has_nothing_is_taken() -> None:
    more = [*RESULTS, cell("lwf", "rte", 2, 0.0, "cola"), cell("finetune", "cola", 2, 0.9)]
    (found,) = matrices(more, method_names(more))
    assert found.changes["rte", "cola"].mean == pytest.approx(0.25)
    assert found.changes["rte", "cola"].n == found.changes["cola", "rte"].n == 2


def test_what_has_no_relative_change_is_missing() -> None:
    none = [cell("finetune", "rte", 0, 0.0), *(cell("lwf", "rte", 0, 0.5, f) for f in ("a", "b"))]
    assert matrices(none, method_names(none)) == ()
    failed = result("lwf", "rte", 0, error="oom", forget={"tasks": ["cola"], "hash": ""})
    assert matrices([*none, failed], method_names([*none, failed])) == ()


def test_two_sets_of_forgetting_tasks_have_their_names() -> None:
    more = [*RESULTS, cell("lwf", "rte", 0, 0.5, "cola", "qnli")]
    (found,) = matrices(more, method_names(more))
    assert found.forgotten == ("cola", "cola+qnli", "cola+sst2", "rte", "mixed")


def test_one_forgetting_task_each_is_no_matrix() -> None:
    one = [r for r in RESULTS if r["cell"]["forget"]["tasks"] in ([], ["cola"], ["rte"])]
    assert len(one) == 8 and all(board.matrices == () for board in boards(one))


def test_every_renderer_shows_it_once() -> None:
    found = boards(RESULTS)
    assert len(found) > 1 and sum(bool(board.matrices) for board in found) == 1
    text = terminal.render(found, width=80)
    assert max(map(len, text.splitlines())) <= 80
    row = next(line for line in text.splitlines() if line.split()[:3] == ["rte", "+25.0", "-"])
    assert row.split() == ["rte", "+25.0", "-", "-25.0"]
    assert "| rte | +25.0 | - | -25.0 |\n|  | ±105.9 |  | ±" in markdown.render(found)
    assert "+25.0" in html.render(found) and "+25.0" in latex.render(found)
    records = [r for r in tidy.records(found) if "relative change" in str(r["metric"])]
    (one,) = [r for r in records if r["task"] == "rte" and r["metric"].endswith("cola")]
    assert one["relative_change"] == pytest.approx(0.25) and one["seeds_done"] == 2
    rows = list(csv.DictReader(io.StringIO(tidy.to_csv(tidy.records(found)))))
    assert len(rows) == len(tidy.records(found)) and "relative_change" in rows[0]
