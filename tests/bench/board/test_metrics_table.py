"""Metrics that are not a task's primary one."""

from __future__ import annotations

import pytest

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.render import markdown, terminal, tidy
from tests.helpers.made_up import result


def test_f1_stands_beside_accuracy_in_every_form() -> None:
    cells = [result(m, "rte", seed) for m in ("finetune", "ewc") for seed in (0, 1)]
    for cell in cells:
        f1 = 0.25 + cell["cell"]["seed"] / 2
        cell["scores"] = {
            "primary": "accuracy",
            "before": {"accuracy": 0.5, "f1": 0.125},
            "after": {"accuracy": 0.5, "f1": f1},
        }
    (board,) = boards([*cells, result("lwf", "rte", error="loss is nan")])
    assert [(one.metric, one.method) for one in board.metrics] == [
        ("f1", "ewc"), ("f1", "finetune"),
    ]  # fmt: skip
    assert board.metrics[0].after == estimate([0.25, 0.75])
    for text in (terminal.render([board]), markdown.render([board])):
        line = next(line for line in text.splitlines() if "f1" in line)
        assert "12.50" in line and "50.00" in line and "±" in line
    (row, _) = (one for one in tidy.records([board]) if one["metric"] == "f1")
    assert (row["method"], row["before"], row["after"]) == ("ewc", 0.125, pytest.approx(0.5))
    assert row["train.lr"] == 0.0005 and row["gain"] is None


def test_a_task_with_one_metric_has_none() -> None:
    (board,) = boards([result()])
    assert board.metrics == () and "Other metrics" not in terminal.render([board])
