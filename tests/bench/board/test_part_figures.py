"""Figures of parts from the answers behind them: of cells that were run here, one altered after the
other, and those of a slow count. bench.running.part_answers keeps these answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sklearn.metrics import accuracy_score

from bench.board.part_figures import figures
from bench.board.verification import verify
from bench.cells.result import CellResult, PartAnswers, Predictions
from bench.rows.lookup import Lookup
from bench.running.single import run_cell
from bench.selfcheck.world import World, only_cell, plan_for, workspace_for

Ran = tuple[CellResult, Predictions, list[PartAnswers]]
_WORDS = ("train.steps=3", "train.lr=8e-3", "train.eval_every=2", "train.forget_rows=8")


@pytest.fixture(scope="module")
def ran(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    plan = plan_for(
        ["finetune"], ["rte"], world.models["causal"], world.data, *_WORDS,
        forget=["cola"], retain_tasks=["cola"], path=2,
    )  # fmt: skip
    result, rows, behind = run_cell(
        only_cell(plan), workspace_for(plan, tmp_path_factory.mktemp("run")), False
    )
    assert rows is not None
    return result, rows, behind


def part(behind: list[PartAnswers], name: str) -> PartAnswers:
    (found,) = (each for each in behind if each["part"] == name)
    return found


def test_all_of_a_cell_but_drift_and_seconds_is_computed_again(ran: Ran, world: World) -> None:
    result, rows, behind = ran
    found = verify(result, rows, Lookup(str(world.data)), behind)
    assert found.differ == () and set(found.unchecked) == {"drift", "costs"}
    told = figures(result, behind)
    answers = part(behind, "retain_tasks")["rows"]["cola"]
    retained = (result["retain_tasks"] or {})["cola"]
    lost = sum(
        was == gold != now
        for gold, was, now in zip(
            answers["gold"], answers["answers"]["before"], answers["answers"]["after"], strict=True
        )
    )
    assert told["retain_tasks.cola.flips.lost"] == lost / len(answers["gold"])
    assert retained["flips"] and retained["flips"]["lost"] == lost / len(answers["gold"])
    middle = part(behind, "path")["rows"]["rte"]
    share = accuracy_score(middle["gold"], middle["answers"]["0.5"])
    assert told["path.0.5.score"] == share == (result["path"] or [])[1]["score"]
    assert {name for name in told if name.startswith("probe.2.")} == {
        "probe.2.score", "probe.2.loss", "probe.2.retention",
    }  # fmt: skip


PLACES = [
    ("retention", "after"), ("retention", "tokens"), ("forgotten", "loss_before"),
    ("forgotten", "accuracy_after"), ("retain_tasks", "cola", "after"),
    ("retain_tasks", "cola", "flips", "gained_adjusted"), ("path", 1, "score"),
    ("path", 1, "retention"), ("path", 2, "retain_tasks", "cola"), ("probe", "points", 1, "score"),
    ("probe", "points", 2, "loss"), ("probe", "points", 0, "retention"), ("probe", "rows"),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_figure_that_is_changed_is_named(ran: Ran, place: tuple[Any, ...]) -> None:
    result, rows, behind = copy.deepcopy(ran)
    of: Any = result
    for name in place[:-1]:
        of = of[name]
    value = of[place[-1]]
    of[place[-1]] = value + (1 if isinstance(value, int) else 1e-6)
    (line,) = verify(result, rows, Lookup("nowhere"), behind).differ
    stated, _, found = line.partition(f" is {of[place[-1]]}, and ")
    assert stated.startswith(str(place[0]))
    assert float(found.partition(" ")[0]) == pytest.approx(value, rel=1e-9)


def test_answers_to_something_else_say_nothing(ran: Ran) -> None:
    result, rows, behind = copy.deepcopy(ran)
    for each in behind:
        each["on"] = {**each["on"], "text": "another"}
    found = verify(result, rows, Lookup("nowhere"), behind)
    assert found.differ == ()
    assert set(found.unchecked) >= {"retention", "forgotten", "retain_tasks", "path", "probe"}
    assert verify(result, rows, Lookup("nowhere")).unchecked == found.unchecked


def test_right_answers_are_held_against_the_rows(ran: Ran, world: World) -> None:
    for name in ("retain_tasks", "path", "probe"):
        result, rows, behind = copy.deepcopy(ran)
        for task, answers in part(behind, name)["rows"].items():
            answers["gold"][0] = 1 - answers["gold"][0]
            lines = verify(result, rows, Lookup(str(world.data)), behind).differ
            start = f"gold of {name} {task} is not that of the rows in 1 of them, such as "
            assert any(line.startswith(start) for line in lines)


def test_what_strangers_write_is_a_line(ran: Ran) -> None:
    result, rows, behind = ran
    odd: list[Any] = [
        {"text": None}, {"rows": {}}, {"text": {"tokens": [0], "nats": {}}},
        {"rows": {"cola": {"id": ["a"], "gold": [{}], "answers": {"before": [1], "after": [[]]}}}},
    ]  # fmt: skip
    for each in behind:
        for change in odd:
            mine: Any = {**each, **change}
            checked = verify(result, rows, Lookup("nowhere"), [mine])
            assert all("\n" not in line for line in checked.differ)
