"""Choices by letter and prompts with answered rows in front, as tasks of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.prompting import by_letter, with_shots
from bench.rows.source import load_rows
from bench.rows.task import TASKS, extracted, task_hash
from bench.running.single import run_cell
from bench.scoring.predictions import is_right
from bench.selfcheck.world import only_cell, plan_for, stage_for, workspace_for

load_builtin()
COPA, COLA = TASKS.get("copa"), TASKS.get("cola")
ROW = {
    "id": "0", "premise": "It rained.", "question": "effect", "choice1": "A fire.",
    "choice2": "A flood.", "label": 1,
}  # fmt: skip
SMALL = ("train.steps=1", "train.max_eval=4", "train.forget_rows=4")


def test_a_prompt_lists_the_choices() -> None:
    task = by_letter(COPA)
    assert task.prompt.format(**ROW) == (
        "Question: It rained. What was the effect?\nA. A fire.\nB. A flood.\nAnswer:"
    )
    assert task.answers(ROW) == ["B"]
    assert task.gold(ROW) == 0
    assert [extracted(task, text) for text in (" B.", "It is (A)", "C", "Both")] == [
        "B", "A", "", "",
    ]  # fmt: skip
    assert is_right(task, ROW, " B") and not is_right(task, ROW, " A flood.")
    assert task_hash(task) != task_hash(COPA)


def test_shots_are_other_rows_and_the_same_for_all() -> None:
    rows = [{"id": str(i), "sentence": f"{{no {i}}}", "label": i % 2} for i in range(30)]
    task, rest = with_shots(COLA, rows, 3)
    assert with_shots(COLA, rows, 3) == (task, rest)
    shown = [row for row in rows if row not in rest]
    assert len(shown) == 3
    text = task.prompt.format(sentence="The end.")
    for row in shown:
        solved = f"{COLA.prompt.format(**row)} {COLA.words[row['label']]}\n\n"
        assert solved in text
    assert text.endswith("\n\n" + COLA.prompt.format(sentence="The end."))
    assert task_hash(task) != task_hash(COLA)


def test_a_run_by_letter_with_shots(tmp_path: Path) -> None:
    plan = plan_for(
        ["finetune"], ["psychol"], Path("micro"), Path("micro"), *SMALL, "train.shots=2",
        "train.choices=letter", forget=["dental"],
    )  # fmt: skip
    cell = only_cell(plan)
    assert len(plan.material.rows["psychol", "micro", "train"]) == 998
    assert len(plan.material.rows["psychol", "micro", "dev"]) == 400
    train = {row["question"] for row in load_rows(TASKS.get("psychol"), "micro", "train")}
    tasks = plan.material.tasks
    assert sum(text in tasks["psychol"].prompt for text in train) == 2
    assert tasks["psychol"].kind == tasks["dental"].kind == "generation"
    result, rows, _ = run_cell(cell, workspace_for(plan, tmp_path), False)
    assert result["scores"] is not None and set(result["scores"]["after"]) == {"accuracy"}
    assert set(rows["gold"]) <= set("ABCD")
    assert set(rows["after"]) <= {*"ABCD", ""}


def test_shots_that_cannot_be(
    tiny_data: Path, tiny_causal: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match=r"train.shots 40: cola has 40 training rows\."):
        plan_for(["finetune"], ["cola"], Path("micro"), tiny_data, "train.shots=40")
    with pytest.raises(BenchError, match=r"train.shots 1: tiny-encoder, an encoder, has no prom"):
        plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data, "train.shots=1")
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, "train.shots=30")
    with pytest.raises(
        BenchError,
        match=r"train.shots 30: task cola: the prompt around a row has \d+ tokens, and 191 is the "
        r"most beside an answer \(train.max_length, or the model's context\)",
    ):
        stage_for(plan, tmp_path)
