"""Which cells may share a board."""

from __future__ import annotations

from typing import Any

import pytest

from bench.board.leaderboard import boards
from tests.helpers.made_up import result


@pytest.mark.parametrize(
    "other",
    [
        {"model": {"kind": "causal", "hash": "ffff"}},
        {"model": {"kind": "encoder", "hash": "0123456789abcdef"}},
        {"suite_version": "0.2.0"},
        {"training": {"lr": 0.0005, "steps": 200, "max_train": None}},
        {"retention": {"hash": "ffff"}},
        {"data": {"hash": "ffff"}},
        {"task_hash": "ffff"},
        {"forget": {"tasks": ["rte"], "hash": "ffff"}},
        {"something new": 1},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_cannot_be_compared_never_shares_a_board(other: dict[str, Any]) -> None:
    made = boards([result("finetune"), result("ewc", after=0.9, **other)])
    assert sorted(row.method for b in made for t in b.tables for row in t.rows) == [
        "ewc", "finetune",
    ]  # fmt: skip
    assert len({board.key for board in made}) == len(made) == 2
    assert all(r.values["gain"] is None for b in made for t in b.tables for r in t.rows)


def test_one_forgetting_task_and_mixed_make_two_whole_boards() -> None:
    mixed = [result(task="cola"), result(task="rte")]
    both = [*mixed, result(task="rte", forget={"tasks": ["rte"], "hash": "x"})]
    made = boards(both)
    assert sorted([(t.task, t.forget) for t in b.tables] for b in made) == [
        [("cola", ("rte",)), ("rte", ("cola",))],
        [("cola", ("rte",)), ("rte", ("rte",))],
    ]


def test_mixed_and_forgetting_all_tasks_make_two_whole_boards() -> None:
    tasks = ["cola", "rte"]
    all_of_them = [result(task=t, forget={"tasks": tasks, "hash": "x"}) for t in tasks]
    made = boards([result(task="cola"), result(task="rte"), *all_of_them])
    assert [[t.task for t in b.tables] for b in made] == [tasks, tasks]


def test_two_data_sets_make_two_whole_boards_and_a_renamed_folder_makes_one() -> None:
    first = [result(task="cola"), result(task="rte")]
    renamed = [result("ewc", task, data_name="glue") for task in ("cola", "rte")]
    assert len(boards(first + renamed)) == 1
    micro = [
        result(task=task, data_name="micro", data={"hash": f"micro-{task}"})
        for task in ("cola", "rte")
    ]
    made = boards(first + micro)
    assert [(b.data, len(b.tables), b.average is not None) for b in made] == [
        ("data", 2, True), ("micro", 2, True),
    ]  # fmt: skip


def test_changed_rows_of_one_task_leave_the_others_together() -> None:
    third = {"cola", "rte", "sst2"}
    cells = [
        result(task=task, forget={"tasks": sorted(third - {task}), "hash": task}) for task in third
    ]
    new = result(task="rte", task_hash="new", forget={"tasks": ["cola", "sst2"], "hash": "rte"})
    made = boards([*cells, new])
    assert sorted([t.task for t in b.tables] for b in made) == [["cola", "sst2"], ["rte"], ["rte"]]
