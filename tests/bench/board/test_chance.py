"""Chance on a board: the majority, answers that are all the same, methods that do nothing."""

from __future__ import annotations

from bench.board.leaderboard import boards
from bench.cells.result import CellResult
from bench.render import terminal, tidy
from tests.helpers.made_up import result


def cell(
    method: str = "finetune",
    task: str = "rte",
    seed: int = 0,
    after: float = 0.75,
    *,
    alike: tuple[float, float] = (0.5, 0.5),
    answers: str | None = None,
    majority: float | None = 0.5,
) -> CellResult:
    """A finished cell that knows its chance; `alike` are the shares before and after."""
    made = result(method, task, seed, after)
    made["chance"] = {
        "majority": majority,
        "before": {"share": alike[0], "hash": "before"},
        "after": {"share": alike[1], "hash": answers or f"{method} {seed}"},
    }
    return made


def test_the_majority_stands_in_the_title_and_in_every_record() -> None:
    found = boards([cell(), cell("ewc")])
    assert found[0].tables[0].majority == 0.5
    assert "RTE: accuracy ×100, majority 50.00 (to be forgotten: cola)" in terminal.render(found)
    assert [row["majority"] for row in tidy.records(found)] == [0.5, 0.5]
    assert "majority" not in terminal.render(boards([result()]))


def test_answers_that_are_all_the_same_have_a_note_also_before() -> None:
    alike = [cell(seed=seed, alike=(1.0, 0.96 if seed else 0.5)) for seed in range(3)]
    (board,) = boards([*alike, cell("ewc", seed=0, alike=(0.94, 0.94))])
    assert board.tables[0].notes[-2:] == (
        "before, seed 0, 1, 2: 95 % or more of the answers are the same",
        "finetune, seed 1, 2: 95 % or more of the answers are the same",
    )


def test_two_methods_with_the_same_answers_raise_an_alarm() -> None:
    one = [cell(seed=seed, answers=f"x{seed}") for seed in (0, 1)]
    other = [cell("lwf", seed=0, answers="x0"), cell("lwf", seed=1, answers="x0")]
    again = [cell(method, seed=2, answers="x2") for method in ("lwf", "finetune")]
    (board,) = boards([*one, *other, cell("ewc", seed=1), *again])
    assert [note for note in board.tables[0].notes if "gave" in note] == [
        "finetune and lwf gave the same answers to all 50 rows, seed 0, 2"
    ]
    constant = [cell(m, answers="all 0", alike=(0.5, 1.0)) for m in ("finetune", "lwf")]
    assert not any("gave" in note for note in boards(constant)[0].tables[0].notes)
    elsewhere = [cell(answers="x"), cell("lwf", "cola", answers="x")]
    assert not any("gave" in note for t in boards(elsewhere)[0].tables for note in t.notes)


def test_a_task_that_nothing_beats_is_in_no_average() -> None:
    tasks = {"rte": 0.5, "wnli": 0.9, "cola": 0.5}
    cells = [
        cell(method, task, seed, majority=majority, after=0.6 + seed / 10)
        for method in ("finetune", "ewc")
        for task, majority in tasks.items()
        for seed in range(2)
    ]
    for made in cells:
        made["cell"]["forget"] = {"tasks": [], "rows": "none"}
        made["hash"] += "-"
    (board,) = boards(cells)
    assert board.average is not None and board.average.title == "Average of 2 tasks"
    noted = [t.task for t in board.tables if "nothing beats the majority" in " ".join(t.notes)]
    assert noted == ["wnli"]
    assert {one.scores for one in board.standings} == {4}
    untouched = boards([cell(after=0.4, majority=0.2)])[0].tables[0]
    assert untouched.notes == ()  # the untouched model is above it: 25 against 20
