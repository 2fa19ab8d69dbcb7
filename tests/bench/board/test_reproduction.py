"""Verdicts on published figures, computed by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.board.published import Published, Row
from bench.board.reproduction import Reproduced, reproductions
from bench.cells.result import CellResult
from tests.helpers.made_up import result

PLAIN = Row(
    name="vanilla", method="finetune", model="bert-base", statistic="mean", runs=3, split="dev",
    selection="last", lab="a lab", source="a paper", known="seen",
)  # fmt: skip


def row(**changes: Any) -> Row:
    return dataclasses.replace(PLAIN, **changes)


def cells(
    *after: float, method: str = "finetune", task: str = "rte", **parts: Any
) -> list[CellResult]:
    given = {"model_name": "google-bert/bert-base-uncased", **parts}
    return [result(method, task, seed, score, **given) for seed, score in enumerate(after)]


def judged(of: Row, results: list[CellResult], recipes: Any = None, **more: Any) -> Reproduced:
    averages = {"all": ("cola", "rte")}
    published = (
        Published("", (of,), metrics={}, averages=averages)
        if not more
        else Published("", (of,), metrics=more["metrics"], averages=averages)
    )
    (found,) = reproductions(published, results, recipes or {})
    return found


def test_the_difference_is_in_standard_errors_where_both_have_a_spread() -> None:
    """70 ± 2 of three runs, and 72, 74, 76 here: 4 / sqrt(4/3 + 4/3)."""
    of = row(values={"rte": 70.0}, spread={"rte": 2.0}, spread_is="sd")
    found = judged(of, cells(0.72, 0.74, 0.76))
    assert found.value == pytest.approx(74) and found.difference == pytest.approx(4)
    assert found.errors == pytest.approx(4 / (8 / 3) ** 0.5) and found.verdict == "outside"
    near = judged(dataclasses.replace(of, values={"rte": 71.5}), cells(0.72, 0.74, 0.76))
    assert near.errors == pytest.approx(2.5 / (8 / 3) ** 0.5) and near.verdict == "within"
    unsaid = judged(dataclasses.replace(of, spread_is=""), cells(0.72, 0.74, 0.76))
    assert unsaid.errors is None


@pytest.mark.parametrize(
    ("published", "verdict"),
    [(71.0, "outside"), (72.0, "within"), (75.9, "within"), (77.0, "outside")],
)
def test_without_their_spread_our_seeds_are_to_reach_round_it(
    published: float, verdict: str
) -> None:
    found = judged(row(values={"rte": published}), cells(0.72, 0.74, 0.76))
    assert found.errors is None and found.verdict == verdict and found.reasons == ()


@pytest.mark.parametrize(("statistic", "value"), [("median", 73.0), ("mean", 74.0), ("max", 80.0)])
def test_the_statistic_is_the_sources(statistic: str, value: float) -> None:
    found = judged(row(values={"rte": 70.0}, statistic=statistic), cells(0.69, 0.73, 0.80))
    assert found.value == pytest.approx(value)
    highest = ("other statistic: a highest value has no spread",)
    assert found.reasons == (highest if statistic == "max" else ())


@pytest.mark.parametrize(
    ("changes", "parts", "said"),
    [
        ({"runs": 5}, {}, "fewer seeds: 3, not 5"),
        ({"model": "bert-large"}, {}, "other model: google-bert/bert-base-uncased, not bert-large"),
        ({"model": ""}, {}, "the source's model is not known"),
        ({"selection": "best-on-dev"}, {}, "other selection: last here, best-on-dev there"),
        ({"split": "test"}, {}, "other split: dev here"),
        ({"caveat": "another definition"}, {}, "another definition"),
        ({}, {"generated": True}, "the rows here are generated"),
        ({}, {"training": {"steps": 20}}, "other recipe: train.steps 20, not 100"),
        ({}, {"training": {"steps": 100, "max_eval": 50}}, "fewer rows: train.max_eval 50"),
        ({"best_of": ("k", "t0")}, {}, "one setting here, the best of several k, t0 there"),
    ],
)
def test_what_cannot_be_compared_says_why(
    changes: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    of = row(values={"rte": 74.0}, **changes)
    found = judged(of, cells(0.72, 0.74, 0.76, **parts), {"rte": {"steps": 100}})
    assert found.verdict == "not comparable" and found.reasons[0].startswith(said)
    assert found.difference == pytest.approx(0), "it is shown all the same"


def test_a_metric_that_is_not_known_is_a_reason_and_a_known_one_is_taken() -> None:
    of, run = row(values={"rte": 74.0}), cells(0.72, 0.74, 0.76)
    for cell in run:
        assert cell["scores"] is not None
        cell["scores"]["after"]["f1"] = 0.5
    found = judged(of, run, metrics={"rte": ""})
    assert found.reasons == ("which metric of rte the source reports is not known",)
    assert judged(of, run, metrics={"rte": "f1"}).value == pytest.approx(50)


def test_of_a_published_best_the_best_is_taken_and_of_others_that_is_a_reason() -> None:
    weak = cells(0.70, 0.71, 0.72, method="recadam", settings={"gamma": 5.0, "k": 0.1})
    best = cells(0.72, 0.74, 0.76, method="recadam", settings={"gamma": 5.0, "k": 0.2})
    other = cells(0.92, 0.94, 0.96, method="recadam", settings={"gamma": 7.0, "k": 0.2})
    of = row(values={"rte": 74.0}, method="recadam", settings={"gamma": 5.0}, best_of=("k",))
    found = judged(of, [*weak, *best, *other])
    assert found.value == pytest.approx(74) and found.verdict == "within"
    unsaid = judged(dataclasses.replace(of, best_of=()), [*weak, *best, *other])
    assert unsaid.reasons == ("the best of 2 settings here, one setting there",)


def test_a_shorter_try_in_the_folder_is_not_taken_for_the_run() -> None:
    tried = cells(0.82, 0.84, 0.86, training={"steps": 20})
    whole = cells(0.72, 0.74, 0.76, training={"steps": 100})
    found = judged(row(values={"rte": 74.0}), [*tried, *whole], {"rte": {"steps": 100}})
    assert found.value == pytest.approx(74) and found.verdict == "within"


def test_averages_are_means_of_statistics_and_need_every_task() -> None:
    of = row(averages={"all": 60.0}, statistic="median")
    cola, rte = cells(0.4, 0.5, 0.9, task="cola"), cells(0.7, 0.6, 0.1)
    found = judged(of, [*cola, *rte])
    assert found.task == "all" and found.value == pytest.approx((50 + 60) / 2)
    assert found.measured is not None
    assert dict(found.measured.scores) == pytest.approx({0: 55, 1: 55, 2: 50})
    assert judged(of, rte).verdict == "not measured"


def test_gains_are_paired_and_relative_ones_by_finetunes() -> None:
    """(0.6 - 0.5) and (0.8 - 0.6) by seed; 20 % and 33.3 %."""
    run = [*cells(0.5, 0.6), *cells(0.6, 0.8, method="lwf", forget={"tasks": ["cola"], "hash": ""})]
    of = row(values={"rte": 15.0}, method="lwf", measure="gain", runs=2, forget="cola")
    assert judged(of, run).value == pytest.approx(15)
    relative = dataclasses.replace(of, measure="relative gain", values={"rte": (20.0, 27.0)})
    found = judged(relative, run)
    assert found.value == pytest.approx(100 * (0.2 + 1 / 3) / 2) and found.verdict == "within"
    assert judged(dataclasses.replace(of, forget="mixed"), run).verdict == "not measured"


def test_what_is_missing_is_said() -> None:
    assert judged(row(values={"rte": 70.0}), []).verdict == "not measured"
    assert judged(row(values={"rte": None}), cells(0.7)).verdict == "not read"
    failed = [result("finetune", "rte", 0, error="out of memory")]
    assert judged(row(values={"rte": 70.0}), failed).verdict == "not measured"


def test_forgetting_of_a_sequence_is_that_of_its_matrix() -> None:
    """R = (base), (0.8, 0.5), (0.6, 0.9): task 1 fell from 0.8 to 0.6."""
    run = cells(0.7, task="cola>rte")
    run[0]["sequence"] = {"tasks": ["cola", "rte"], "metrics": ["m", "m"],
                          "matrix": [[0.5, 0.5], [0.8, 0.5], [0.6, 0.9]]}  # fmt: skip
    of = row(values={"cola>rte": 0.16}, measure="forgetting", runs=1)
    found = judged(of, run)
    assert found.value == pytest.approx(0.2) and found.reasons == ("one seed has no spread",)
