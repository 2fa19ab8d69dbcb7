"""The path of weights: each point over seeds, and each method's best beside WiSE-FT's, by hand."""

from __future__ import annotations

from math import isclose

import pytest

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.cells.result import CellResult
from bench.render import markdown, terminal, tidy
from tests.helpers.made_up import result

PATHS = {
    "finetune": ([0.25, 0.6, 0.5], [0.25, 0.8, 0.5]),
    "ewc": ([0.25, 0.5, 0.8], [0.25, 0.5, 0.9]),
    "lwf": ([0.25, 0.25, 0.125], [0.25, 0.25, 0.125]),
}
LOSSES = ([1.5, 1.75, 2.5], [1.5, 2.25, 3.5])  # by seed and α, of every method


def cell(method: str, seed: int, task: str = "rte") -> CellResult:
    found = result(method, task, seed, PATHS[method][seed][-1])
    found["measured"] = {**found["measured"], "path": {"points": 2}}
    found["path"] = [
        {"alpha": alpha, "score": score, "retention": loss, "retain_tasks": {}}
        for alpha, score, loss in zip(
            (0.0, 0.5, 1.0), PATHS[method][seed], LOSSES[seed], strict=True
        )
    ]
    return found


def cells() -> list[CellResult]:
    return [cell(method, seed) for method in PATHS for seed in (0, 1)]


def test_points_and_best_points() -> None:
    (board,) = boards([*cells(), result("npo", "rte", error="loss is nan")])
    found = {path.method: path for path in board.paths}
    assert list(found) == ["finetune", "ewc", "lwf"]
    assert [p.alpha for p in found["ewc"].points] == [0.0, 0.5, 1.0]
    middle = found["finetune"].points[1]
    assert middle.score == estimate([0.6, 0.8]) and middle.retention == estimate([0.25, 0.75])
    best = {name: path.best.alpha for name, path in found.items()}
    assert best == {"finetune": 0.5, "ewc": 1.0, "lwf": 0.0}, "of equals that nearest to θ0"
    assert found["finetune"].versus is None
    versus = found["ewc"].versus  # 0.8 − 0.6 and 0.9 − 0.8
    assert versus is not None and versus.half is not None
    assert isclose(versus.mean, 0.15) and isclose(versus.half, 12.7062 * 0.05, rel_tol=1e-5)


def test_records_have_a_point_each_and_a_cell_all_of_its_own() -> None:
    found = [one for one in tidy.records(boards(cells())) if one["metric"].startswith("path ")]
    assert len(found) == 9 and len({(one["metric"], one["method"]) for one in found}) == 9
    ewc = {one["alpha"]: one for one in found if one["method"] == "ewc"}
    assert {at: one["best_point"] for at, one in ewc.items()} == {0.0: False, 0.5: False, 1.0: True}
    last, middle = ewc[1.0], ewc[0.5]
    assert (last["task"], last["metric"]) == ("rte", "path 1 accuracy")
    assert isclose(last["after"], 0.85) and isclose(last["retention"], 1.5)
    assert isclose(last["over_wise_ft"], 0.15) and middle["over_wise_ft"] is None
    one = next(c for c in tidy.cell_records(cells()) if (c["method"], c["seed"]) == ("lwf", 1))
    names = [f"path.{alpha}.{name}" for alpha in ("0", "0.5") for name in ("after", "retention")]
    assert [one[name] for name in names] == [0.25, 0.0, 0.25, 0.75]


def test_less_of_a_perplexity_is_better() -> None:
    found = [cell("ewc", seed) for seed in (0, 1)]
    for one in found:
        assert one["scores"] is not None
        one["scores"] |= {"primary": "perplexity"}
        one["scores"]["before"] = one["scores"]["after"] = {"perplexity": 2.0}
    (path,) = boards(found)[0].paths
    assert path.best.alpha == 0.0 and path.versus is None, "there is no finetune"
    assert "80.00" not in terminal.render(boards(found)).partition("The path")[2], "as it is"


@pytest.mark.parametrize("lacking", ["all", "one"])
def test_a_text_that_a_seed_lacks_has_no_mean(lacking: str) -> None:
    found = cells()
    for one in found if lacking == "all" else found[:1]:
        for point in one["path"] or []:
            point["retention"] = None
    path = boards(found)[0].paths[0]
    assert path.method == "finetune" and {point.retention for point in path.points} == {None}


def test_the_board_shows_both_tables() -> None:
    for render in (terminal.render, markdown.render):
        text = render(boards(cells()))
        points, _, best = text.partition("The path of weights")[2].partition("The best point")
        (line,) = (line for line in points.splitlines() if "finetune" in line and "0.5" in line)
        assert all(part in line for part in ("70.00", "±127.06", "+0.500", "±3.177"))
        (line,) = (line for line in best.splitlines() if "ewc" in line)
        assert all(part in line for part in ("85.00", "+15.00", "±63.53", "+1.500"))
    assert "The path of weights" not in terminal.render(boards([result()]))
