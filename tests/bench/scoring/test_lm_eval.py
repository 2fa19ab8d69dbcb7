"""Tasks of lm-evaluation-harness, with a stand-in for it: the package is an extra.

Their table is made by bench.board.lm_eval_table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from bench.board.leaderboard import boards
from bench.board.statistics import estimate
from bench.cells.cell import TaskSequence
from bench.cli.main import main
from bench.core.errors import BenchError
from bench.render import markdown, terminal, tidy
from bench.running.sequence import run_sequence
from bench.running.single import run_cell
from bench.scoring import lm_eval
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from tests.helpers.made_up import result


class FakeHarness:
    """Scores a model by the sum of its weights, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def evaluate(self, *, model: Any, tasks: list[str], limit: int | None, **rest: Any) -> Any:
        torch.manual_seed(1234)
        model.net.eval()
        self.asked.append({"tasks": tasks, "limit": limit, **rest})
        total = float(sum(p.detach().double().abs().sum() for p in model.net.parameters()))
        values = {"alias": "x", "acc,none": total, "acc_stderr,none": 0.1, "ppl,none": float("inf")}
        return {"results": {task: dict(values) for task in tasks}}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeHarness:
    """`lm_eval` as far as the bench uses it."""
    made = FakeHarness()
    modules = {name: ModuleType(name) for name in ("lm_eval", "lm_eval.tasks", "lm_eval.models")}
    modules["lm_eval.models.huggingface"] = huggingface = ModuleType("lm_eval.models.huggingface")
    vars(modules["lm_eval"])["simple_evaluate"] = made.evaluate
    vars(modules["lm_eval.tasks"])["TaskManager"] = lambda: SimpleNamespace(
        all_tasks=["arc_easy", "hellaswag", "wikitext"]
    )
    vars(huggingface)["HFLM"] = lambda pretrained, tokenizer, batch_size: SimpleNamespace(
        net=pretrained
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(lm_eval, "installed", lambda: "0")
    lm_eval._manager.cache_clear()
    monkeypatch.setattr(lm_eval, "_manager", lm_eval._manager.__wrapped__)
    return made


def test_before_and_after_and_the_base_once(
    fake: FakeHarness, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(
        ["finetune", "freeze"], ["cola"], tiny_causal, tiny_data, "train.max_eval=5",
        lm_eval=["arc_easy", "wikitext"],
    )  # fmt: skip
    workspace = workspace_for(plan, tmp_path)
    tuned, frozen = (run_cell(cell, workspace, False)[0]["lm_eval"] for cell in plan.spec.cells())
    assert tuned is not None and frozen is not None
    assert tuned["before"] == frozen["before"]
    assert tuned["before"]["arc_easy"].keys() == {"acc,none"}  # no alias, error, or infinity
    assert (
        len({json.dumps(found) for found in (tuned["before"], tuned["after"], frozen["after"])})
        == 3
    )
    assert len(fake.asked) == 3  # the base, and two tuned models
    assert fake.asked[0]["tasks"] == ["arc_easy", "wikitext"] and fake.asked[0]["limit"] == 5


def test_it_changes_nothing_but_what_is_scored(
    fake: FakeHarness, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = plan_for(["mixout"], ["cola"], tiny_causal, tiny_data)
    scored = plan_for(["mixout"], ["cola"], tiny_causal, tiny_data, lm_eval=["arc_easy"])
    assert only_cell(plain).hash == only_cell(scored).hash
    assert "lm_eval" not in only_cell(plain).identity()  # results without it keep their names
    first, second = (
        run_cell(only_cell(plan), workspace_for(plan, tmp_path / name), False)
        for name, plan in {"plain": plain, "scored": scored}.items()
    )
    assert first[1]["scores_after"] == second[1]["scores_after"]
    assert first[0]["drift"] == second[0]["drift"]
    assert first[0]["lm_eval"] is None


def test_after_a_sequence(
    fake: FakeHarness, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["finetune"], ["cola>rte"], tiny_causal, tiny_data, lm_eval=["arc_easy"])
    (sequence,) = plan.spec.cells()
    assert isinstance(sequence, TaskSequence)
    found = run_sequence(sequence, workspace_for(plan, tmp_path), False)[0]["lm_eval"]
    assert found is not None and found["before"] != found["after"]


def test_what_cannot_be_asked(
    fake: FakeHarness,
    tiny_causal: Path,
    tiny_encoder: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--methods", "finetune", "--tasks", "cola", "--data", str(tiny_data), "--dry-run"]
    for model, tasks, message in (
        (tiny_causal, "arc_esy", "unknown lm-eval task 'arc_esy'. Did you mean 'arc_easy'?"),
        (tiny_encoder, "arc_easy", "an encoder, and lm-evaluation-harness asks a causal LM"),
    ):
        assert main([*words, "--model", str(model), "--lm-eval", tasks]) == 2
        assert message in capsys.readouterr().err
    assert main([*words, "--model", str(tiny_causal), "--lm-eval", "arc_easy,wikitext"]) == 0
    assert "  lm-eval    arc_easy, wikitext\n" in capsys.readouterr().out
    both = f"{tiny_causal},{tiny_encoder}"
    assert main([*words, "--model", both, "--lm-eval", "arc_easy"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "= 6 cells, 3 refused, 0 done, 3 to run" in out, "the causal model's"
    assert "refused finetune on tiny-encoder (cola): --lm-eval arc_easy: tiny-encoder is" in out
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BenchError, match="in one process"):
        lm_eval.check(["arc_easy"])
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)  # as if it were not installed
    assert main([*words, "--model", str(tiny_causal), "--lm-eval", "arc_easy"]) == 2
    error = capsys.readouterr().err
    assert "pip install '.[lm-eval]'" in error and error.count("\n") == 1


def test_the_board_by_hand() -> None:
    cells = [result(), result("lwf"), result("lwf", seed=1)]
    for cell, after in zip(cells, (0.25, 0.5, 0.75), strict=True):
        cell["lm_eval"] = {
            "version": "0",
            "before": {"arc_easy": {"acc,none": 0.375}},
            "after": {"arc_easy": {"acc,none": after}},
        }
        cell["measured"]["lm_eval"] = {"tasks": ["arc_easy"], "rows": None}
    (board,) = boards(cells)
    tuned, lwf = board.outsides
    assert (tuned.method, tuned.after.mean) == ("finetune", 0.25)
    assert lwf.after == estimate([0.5, 0.75]) and lwf.before == estimate([0.375, 0.375])
    line = ["arc_easy", "acc,none", "CoLA", "lwf", "2", "0.375", "0.625"]
    assert line in [shown.split()[:7] for shown in terminal.render([board]).splitlines()]
    assert "| " + " | ".join(line) in markdown.render([board])
    *own, first, last = tidy.records([board])
    assert len(own) == 2 and list(first) == list(own[0])
    assert (first["task"], first["metric"]) == ("cola", "lm-eval arc_easy acc,none")
    assert (last["method"], last["before"], last["after"]) == ("lwf", 0.375, 0.625)
    assert tidy.to_csv(tidy.records([board])).count("\n") == 5
    assert boards([result()])[0].outsides == ()
