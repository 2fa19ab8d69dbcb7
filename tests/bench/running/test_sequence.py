"""Tasks learned one after the other: R against single cells, resume, heads, and mistakes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import transformers as hf

from bench.cells.cell import TaskSequence
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.cli.main import main
from bench.core.errors import BenchError
from bench.planning.plan import Plan
from bench.running.executor import run_in_process
from bench.running.sequence import run_sequence
from bench.running.workspace import Workspace
from bench.selfcheck.world import plan_for, trained, workspace_for
from bench.training.context import TrainingContext
from methods.finetune import Finetune
from tests.helpers.worlds import results

WORDS = ("train.steps=6", "train.lr=5e-3")


def run(plan: Plan, folder: Path) -> CellResult:
    """The result of the plan's only sequence."""
    (sequence,) = plan.spec.cells()
    assert isinstance(sequence, TaskSequence)
    return run_sequence(sequence, workspace_for(plan, folder), False)[0]


def matrix(result: CellResult) -> list[list[float]]:
    return result["sequence"]["matrix"]


@pytest.mark.parametrize("method", ["finetune", "recadam"])
def test_each_stage_is_the_cell_that_starts_where_the_one_before_ended(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, method: str
) -> None:
    found = run(plan_for([method], ["cola>rte"], tiny_causal, tiny_data, *WORDS), tmp_path / "run")
    table = matrix(found)
    alone = plan_for([method], ["cola", "rte"], tiny_causal, tiny_data, *WORDS)
    cola, rte = results(alone, tmp_path / "alone")
    assert cola["scores"] and rte["scores"] and found["scores"]
    assert table[0] == [r["scores"]["before"][r["scores"]["primary"]] for r in (cola, rte)]
    assert table[1][0] == cola["scores"]["after"]["matthews_correlation"]

    one = plan_for([method], ["cola"], tiny_causal, tiny_data, *WORDS, forget=["rte"])
    stage = trained(one, tmp_path / "one")
    middle = tmp_path / "middle"
    stage.run.net.save_pretrained(middle)
    hf.AutoTokenizer.from_pretrained(tiny_causal).save_pretrained(middle)
    then = plan_for([method], ["rte"], middle, tiny_data, *WORDS, forget=["cola"])
    (second,) = results(then, tmp_path / "then")
    assert second["scores"]
    assert table[1][1] == second["scores"]["before"]["accuracy"]
    assert table[2][1] == second["scores"]["after"]["accuracy"]
    assert found["costs"] and found["costs"]["steps"] == 12
    assert [point["step"] for point in found["curve"]] == [*range(1, 13)]
    assert found["scores"]["after"] == {"average": sum(table[2]) / 2}
    assert found["drift"] is not None and second["drift"] is not None
    assert found["retention"] is not None
    assert found["retention"]["before"] == cola["retention"]["before"]  # the base model's own text


def test_what_a_method_says_of_its_stages_is_among_the_notes(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(_: Finetune, run: TrainingContext) -> None:
        run.notes.append(f"{run.steps} steps of {run.cell.task.name}")

    monkeypatch.setattr(Finetune, "finish", finish)
    few = "train.steps=1"
    found = run(plan_for(["finetune"], ["cola>rte"], tiny_causal, tiny_data, few), tmp_path / "a")
    assert found["scores"]
    assert found["scores"]["notes"][-2:] == ["cola: 1 steps of cola", "rte: 1 steps of rte"]
    (cell,) = results(plan_for(["finetune"], ["rte"], tiny_causal, tiny_data, few), tmp_path / "b")
    assert cell["scores"] and cell["scores"]["notes"][-1] == "1 steps of rte"


def test_a_sequence_that_is_stopped_goes_on_exactly(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["ewc"], ["cola>rte"], tiny_causal, tiny_data, *WORDS)
    whole = run(plan, tmp_path / "whole")
    (sequence,) = plan.spec.cells()
    trained_steps = []

    def stop_in_the_second_stage(what: str, done: int, of: int, loss: float | None) -> None:
        if what == "train":
            trained_steps.append(done)
            if len(trained_steps) == 6 + 2:
                os.kill(os.getpid(), signal.SIGINT)

    workspace = Workspace(tmp_path / "run", stop_in_the_second_stage, plan.material)
    with pytest.raises(KeyboardInterrupt):
        run_sequence(sequence, workspace, False)
    result, rows, _ = run_sequence(sequence, workspace, False)
    assert trained_steps == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]  # nothing twice
    assert matrix(result) == matrix(whole)
    assert result["drift"] == whole["drift"]
    assert result["curve"] == whole["curve"]
    assert result["provenance"]["resumes"] == 1
    assert result["costs"] and result["costs"]["score_after"] > 0  # though training was before
    assert [name.split("-")[0] for name in rows["id"]] == ["cola"] * 24 + ["rte"] * 24
    json.dumps([result, rows], allow_nan=False)


def test_an_encoder_has_a_head_for_each_task(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["finetune"], ["cola>rte"], tiny_encoder, tiny_data, *WORDS)
    (sequence,) = plan.spec.cells()
    workspace = workspace_for(plan, tmp_path)
    table = matrix(run_sequence(sequence, workspace, False)[0])
    (cola,) = results(plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data, *WORDS), tmp_path)
    assert cola["scores"]
    assert table[0][0] == cola["scores"]["before"]["matthews_correlation"]
    assert table[1][0] == cola["scores"]["after"]["matthews_correlation"]

    from safetensors.torch import load_file

    folder = workspace.checkpoint(sequence)
    first, second = (load_file(folder / f"stage-{i}.safetensors") for i in (1, 2))
    heads = [{name for name in stored if "classifier" in name} for stored in (first, second)]
    assert len(heads[0]) == 2 and len(heads[1]) == 4
    assert all((first[name] == second[name]).all() for name in heads[0])  # not trained again
    assert any((first[name] != second[name]).any() for name in first if "@" not in name)


def test_order_seed_and_settings_make_another_sequence(tiny_causal: Path, tiny_data: Path) -> None:
    def names(tasks: str, *words: str, **options: object) -> str:
        plan = plan_for(["recadam"], [tasks], tiny_causal, tiny_data, *words, **options)
        (cell,) = plan.spec.cells()
        return cell.hash

    hashes = [
        names("cola>rte"),
        names("rte>cola"),
        names("cola"),
        names("cola>rte", "recadam.k=0.2"),
        names("cola>rte", first_seed=1),
    ]
    assert len(set(hashes)) == len(hashes)
    assert names("cola > rte") == hashes[0]


def test_mistakes_in_a_sequence(tiny_causal: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError, match=r"unknown task 'colla'\. Did you mean 'cola'\?"):
        plan_for(["finetune"], ["rte>colla"], tiny_causal, tiny_data)
    with pytest.raises(BenchError, match="'cola>cola': a task may stand in a sequence only once"):
        plan_for(["finetune"], ["cola>cola"], tiny_causal, tiny_data)
    with pytest.raises(
        BenchError, match="'cola>text': text is scored by perplexity, which is no share"
    ):
        plan_for(["finetune"], ["cola>text"], tiny_causal, tiny_data)
    with pytest.raises(BenchError, match="'cola>': a name is missing beside the >"):
        plan_for(["finetune"], ["cola>"], tiny_causal, tiny_data)


def test_a_failed_stage_is_a_failed_sequence(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = ("train.steps=1", "train.lr=1e38", "train.warmup=0")
    plan = plan_for(["finetune"], ["cola>rte"], tiny_causal, tiny_data, *words)
    store = Store(tmp_path)
    run_in_process(plan, list(plan.spec.cells()), store, tmp_path)
    (result,) = store.all()
    assert result["status"] == "failed"
    assert result["cell"]["task"] == "cola>rte"


def test_from_the_command_line(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--methods", "recadam", "--tasks", "cola>rte", "--seeds", "1", "--steps", "2"]
    words += ["--model", tiny_causal, "--data", tiny_data, "--out", tmp_path / "run"]
    words += ["--set", "train.retention_tokens=128", "train.forget_rows=8"]
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert "2 methods x 1 task x 1 model x 1 seed = 2 cells, 0 done, 2 to run" in out
    assert "sequence   cola>rte" in out
    assert "recadam x cola>rte x seed 0: average x100" in err
    assert "cola>rte: mean over tasks" in out and "max R[k][i]" in out
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert "2 done, 0 to run" in out and not err
    assert not any((tmp_path / "run" / "checkpoints").iterdir())
