"""Several folders as one: each cell once, what differs is said, and nothing is overwritten."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from bench.cells.archive import pack
from bench.cells.gathering import contradiction, gathered, merge
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.core.errors import BenchError
from tests.helpers.made_up import predictions, result


def folder(path: Path, *cells: CellResult, answers: bool = False) -> Path:
    for cell in cells:
        Store(path).write(cell, predictions(cell) if answers else None)
    return path


def files(path: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in path.rglob("*.json")}


def test_a_cell_of_two_folders_is_taken_once(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", result(seed=0), result(seed=1, error="no"), result(seed=2))
    b = folder(tmp_path / "b", result(seed=0), result(seed=1), result(seed=3), answers=True)
    found = gathered([a, b])
    assert [r["cell"]["seed"] for r in found.results] == [0, 1, 2, 3]
    assert [found.places[r["hash"]].name for r in found.results] == ["b", "b", "a", "b"]
    assert [r["status"] for r in found.results] == ["done"] * 4
    assert found.set_aside == []
    assert [found.answers(r) is not None for r in found.results] == [True, True, False, True]
    assert gathered([b, a]).places == found.places


def test_a_cell_that_differs_is_said_and_the_first_is_taken(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", result(after=0.5))
    b = folder(tmp_path / "b", result(after=0.75), result(seed=1), answers=True)
    found = gathered([a, b])
    kept = found.results[0]["scores"]
    assert kept is not None and kept["after"] == {"matthews_correlation": 0.5}
    (line,) = found.set_aside
    assert line.startswith("set aside: finetune x cola x seed 0 (")
    assert line.endswith("/b: its matthews_correlation after is 0.75, not 0.5.")
    assert found.answers(found.results[0]) is None  # those of the other are not its


def test_what_contradicts_what() -> None:
    one = result()
    other = copy.deepcopy(one)
    assert contradiction(one, other) is None
    chance = {"majority": 0.5, "before": {"share": 0.5, "hash": "x"}}
    one = {**one, "chance": {**chance, "after": {"share": 0.5, "hash": "x"}}}
    assert contradiction(one, other) is None  # an older schema has none
    other = {**other, "chance": {**chance, "after": {"share": 0.5, "hash": "y"}}}
    assert contradiction(one, other) == "the scores are the same, the answers are not"
    assert contradiction(one, result(error="no")) is None


def test_merging_adds_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", result(seed=0), result(seed=1, error="no"), result(seed=2))
    b = folder(
        tmp_path / "b", result(seed=0, after=0.9), result(seed=1), result(seed=2), answers=True
    )
    folder(b, result(seed=3), answers=True)
    before = files(b)
    report = merge([b], a)
    assert (report.added, report.finished, report.there) == (1, 2, 0)
    (conflict,) = report.conflicts
    assert "seed 0" in conflict and "0.9, not 0.5" in conflict and "whose is kept" in conflict
    assert files(b) == before
    merged = Store(a).all()
    assert [r["scores"] and r["scores"]["after"] for r in merged] == [
        {"matthews_correlation": 0.5}
    ] * 4
    assert [Store(a).has_predictions(r) for r in merged] == [False, True, True, True]
    again = merge([b], a)
    assert (again.added, again.finished, again.there, len(again.conflicts)) == (0, 0, 3, 1)


def test_two_are_merged_into_a_third_and_stay(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", result(seed=0), result(seed=1), answers=True)
    b = folder(tmp_path / "b", result(seed=1), result("ewc", seed=1), answers=True)
    before = files(a), files(b)
    pack(b, tmp_path / "b.zip")
    report = merge([a, tmp_path / "b.zip"], tmp_path / "c")
    assert (report.added, report.there, report.conflicts) == (3, 1, [])
    assert (files(a), files(b)) == before
    assert Store(tmp_path / "c").all() == gathered([a, b]).results
    assert all(Store(tmp_path / "c").predictions(r) for r in Store(tmp_path / "c").all())


def test_a_place_without_results_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", result())
    (tmp_path / "empty").mkdir()
    for call in (
        lambda: gathered([a, tmp_path / "empty"]),
        lambda: merge([a, tmp_path / "empty"], tmp_path / "c"),
    ):
        with pytest.raises(BenchError, match="empty holds no results"):
            call()
    assert not (tmp_path / "c").exists()
