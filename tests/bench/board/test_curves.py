"""Means of what cells logged, against slow loops."""

from __future__ import annotations

import statistics

import pytest

from bench.board.curves import log_of, logged, loss, panels, paths, probe_rise, probe_score
from bench.board.grouping import method_names
from bench.cells.result import CellResult
from tests.helpers.made_up import result


def cell(method: str, seed: int, values: dict[int, float], task: str = "cola") -> CellResult:
    found = result(method, task, seed)
    found["curve"] = [{"step": s, "loss": v, "lr": 0.1, "pull": 2 * v} for s, v in values.items()]
    return found


def test_a_line_is_the_mean_over_seeds_where_all_have_a_value() -> None:
    cells = [
        cell("ewc", 0, {1: 1.0, 2: 3.0}),
        cell("ewc", 1, {1: 2.0, 3: 5.0}),
        cell("finetune", 0, {1: 7.0}),
    ]
    (panel,) = panels(cells, method_names(cells), log_of("pull"))
    assert [(line.method, line.reference, line.seeds) for line in panel.lines] == [
        ("finetune", True, 1), ("ewc", False, 2),
    ]  # fmt: skip
    (point,) = panel.lines[1].points
    assert point.at == 1 and point.y.mean == 3.0 and point.y.n == 2
    assert point.y.sd == pytest.approx(statistics.stdev([2.0, 4.0]))
    assert (panel.task, panel.title) == ("cola", "CoLA")


def test_what_methods_logged_by_name() -> None:
    assert logged([cell("ewc", 0, {1: 1.0})]) == ["pull"]
    failed = result("ewc", error="no")
    assert panels([failed], method_names([failed]), log_of("pull")) == ()


def test_a_loss_is_averaged_over_stretches_that_end_where_their_last_point_does() -> None:
    values = {step: float(step * step % 7) for step in range(1, 60)}
    found = loss(cell("ewc", 0, values))
    slow, steps = {}, sorted(values)
    for start in range(0, 59, 3):
        part = steps[start : start + 3]
        slow[part[-1]] = sum(values[s] for s in part) / len(part)
    assert found == slow and len(found) <= 24
    assert loss(cell("ewc", 0, {1: 2.0, 2: 4.0})) == {1: 2.0, 2: 4.0}


def test_a_path_is_drawn_by_its_measured_places() -> None:
    cells = [result("ewc", seed=seed) for seed in (0, 1)]
    for seed, one in enumerate(cells):
        one["path"] = [
            {"alpha": a, "score": a + seed, "retention": 2.0 + a * (1 + seed), "retain_tasks": {}}
            for a in (0.0, 0.5, 1.0)
        ]
    (panel,) = paths(cells, method_names(cells))
    points = panel.lines[0].points
    assert [(p.at, p.y.mean, p.x.mean if p.x else None) for p in points] == [
        (0.0, 0.5, 0.0), (0.5, 1.0, 0.75), (1.0, 1.5, 1.5),
    ]  # fmt: skip
    assert paths([result()], method_names([result()])) == ()


def test_a_probe_is_set_against_its_first_point() -> None:
    one = result("ewc")
    one["probe"] = {
        "rows": 20,
        "tokens": 512,
        "points": [
            {"step": 0, "score": 0.25, "loss": 1.0, "retention": 2.0},
            {"step": 8, "score": None, "loss": 1.0, "retention": 2.5},
            {"step": 16, "score": 0.5, "loss": 1.0, "retention": None},
        ],
    }
    assert probe_score(one) == {0: 0.25, 16: 0.5}
    assert probe_rise(one) == {0: 0.0, 8: 0.5}
    assert probe_score(result()) == probe_rise(result()) == {}
