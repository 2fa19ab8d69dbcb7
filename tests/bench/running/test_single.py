"""A cell from end to end: what it records, what it shares, what it is known by.

What it records is put together by bench.running.blank and bench.running.result_building; what it
shares is bench.rows.material.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from bench.cells.store import Store
from bench.core.errors import CellError
from bench.network.running_text import BLOCK, cut_blocks
from bench.running.executor import run_in_process
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.running.workspace import Workspace
from bench.scoring.chance import given
from bench.scoring.metrics import score
from bench.scoring.predictions import flips
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from bench.training.context import TrainingContext
from bench.training.loop import train
from methods.finetune import Finetune
from tests.helpers.worlds import results


def test_a_cell_records_before_and_after(
    tiny_causal: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    plan = plan_for(
        ["finetune"], ["rte"], tiny_causal, tiny_data, "train.steps=30", "train.lr=5e-3",
        forget=["cola"], retention=str(tiny_text),
    )  # fmt: skip
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path), False)
    scores, costs = result["scores"], result["costs"]
    assert scores is not None and costs is not None
    assert scores["before"] == score(["accuracy"], rows["gold"], rows["before"])[0]
    assert scores["after"] == score(["accuracy"], rows["gold"], rows["after"])[0]
    assert len(rows["id"]) == len(set(rows["id"])) == 24
    triples = list(zip(rows["gold"], rows["before"], rows["after"], strict=True))
    right = [[g == answer for g, answer in zip(rows["gold"], rows[when], strict=True)]
             for when in ("before", "after")]  # fmt: skip
    assert result["flips"] == flips(*right, [0.5] * 24)
    assert result["flips"]["lost"] == sum(g == b != a for g, b, a in triples) / 24
    gold = max(rows["gold"].count(label) for label in rows["gold"]) / 24
    assert result["chance"] == {
        "majority": gold, "before": given(rows["before"]), "after": given(rows["after"]),
    }  # fmt: skip
    assert result["retention"] is not None and result["retention"]["text"] == "tiny.txt"
    assert result["retention"]["after"] > result["retention"]["before"] > 0
    assert result["forgotten"] is not None and result["forgotten"]["tasks"] == ["cola"]
    assert result["forgotten"]["rows"] == 16
    assert result["drift"] is not None and result["drift"] > 0
    assert result["curve"][-1]["step"] == 30
    assert result["curve"][-1]["loss"] < result["curve"][0]["loss"]
    assert costs["method"] == pytest.approx(costs["prepare"] + costs["train"] + costs["finish"])
    assert costs["total"] > costs["train"] > 0
    assert costs["steps"] == 30
    assert result["data"] == {"train_rows": 40, "dev_rows": 24, "truncated_rows": 0}
    assert result["provenance"]["packages"]["torch"]
    json.dumps([result, rows], allow_nan=False)


@pytest.mark.parametrize(("method", "words"), [("lwf", ["lwf.interval=5"]), ("lora", [])])
def test_a_stop_while_it_is_scored_costs_no_training(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, method: str, words: list[str]
) -> None:
    """Adapters that were merged, what a method found, and the note with which it finished."""
    plan = plan_for([method], ["cola"], tiny_causal, tiny_data, *words)
    expected, answers, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path / "whole"), False)
    said: list[str] = []

    def stop_at_the_first_score(what: str, done: int, of: int, loss: float | None) -> None:
        said.append(what)
        if what == "score cola" and said.count(what) == 1:
            raise KeyboardInterrupt

    workspace = Workspace(tmp_path / "run", stop_at_the_first_score, plan.material)
    with pytest.raises(KeyboardInterrupt):
        run_cell(only_cell(plan), workspace, False)
    folder = workspace.checkpoint(only_cell(plan))
    kept = json.loads((folder / "checkpoint.json").read_text())
    assert not load_file(folder / "optimizer.safetensors")  # it has nothing left to do
    said.append("stopped")
    result, rows, _ = run_cell(only_cell(plan), workspace, False)
    assert "train" not in said[said.index("stopped") :]
    assert rows == answers
    own = ("costs", "provenance")
    assert {k: v for k, v in result.items() if k not in own} == {
        k: v for k, v in expected.items() if k not in own
    }
    assert result["provenance"]["resumes"] == 1
    once = {part: kept["extra"][part] for part in ("prepare", "shared", "train")}
    assert result["costs"] is not None
    assert result["costs"]["prepare"] == once["prepare"] + once["shared"]
    assert result["costs"]["train"] == once["train"]


def test_a_stop_while_it_finishes_costs_no_training(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def prepare(_: Finetune, run: TrainingContext) -> None:
        calls.append("prepare")
        run.notes.append("prepared")

    def finish(_: Finetune, run: TrainingContext) -> None:
        calls.append("finish")
        run.notes.append("finished")
        if calls.count("finish") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Finetune, "prepare", prepare)
    monkeypatch.setattr(Finetune, "finish", finish)
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    workspace = workspace_for(plan, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_cell(only_cell(plan), workspace, False)
    result, *_ = run_cell(only_cell(plan), workspace, False)
    assert calls == ["prepare", "finish", "finish"]
    assert result["scores"] is not None
    assert result["scores"]["notes"][-2:] == ["prepared", "finished"]


def _other_step(folder: Path) -> None:
    document = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**document, "step": 1}))


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "another step": _other_step,
    "no tensors": lambda folder: save_file({}, folder / "optimizer.safetensors"),
    "another's weights": lambda folder: shutil.copy(
        folder.with_name("earlier") / "weights.safetensors", folder
    ),
    "another's text": lambda folder: shutil.copy(
        folder.with_name("earlier") / "checkpoint.json", folder
    ),
    "cut weights": lambda folder: os.truncate(folder / "weights.safetensors", 1000),
    "cut text": lambda folder: os.truncate(folder / "checkpoint.json", 100),
    "no optimizer": lambda folder: (folder / "optimizer.safetensors").unlink(),
    "an older record": lambda folder: (folder / "checkpoint.json").write_text(
        (folder / "checkpoint.json").read_text().replace('"finish"', '"end"')
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_cell_whose_checkpoint_is_damaged_starts_anew(
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    plan = plan_for(["ewc"], ["cola"], tiny_causal, tiny_data)
    expected, *_ = run_cell(only_cell(plan), workspace_for(plan, tmp_path / "whole"), False)
    workspace = workspace_for(plan, tmp_path)
    folder = workspace.checkpoint(only_cell(plan))
    for place, stop in ((folder.with_name("earlier"), 1), (folder, 2)):
        stage = CellSession(only_cell(plan), workspace)
        train(stage.run, stage.method, place, stop_at=stop)
    _DAMAGES[damage](folder)
    shutil.rmtree(folder.with_name("earlier"))
    run_in_process(plan, [only_cell(plan)], store := Store(tmp_path), tmp_path)
    (result,) = store.all()
    assert result["scores"] == expected["scores"] and result["drift"] == expected["drift"]
    assert result["provenance"]["resumes"] == 0
    assert f"[1/1] the checkpoint {folder} cannot be used (" in (err := capsys.readouterr().err)
    assert "): ewc[blocks=8] x cola x seed 0 starts anew\n" in err
    assert not any(folder.parent.iterdir())


def test_an_encoder_too(
    tiny_encoder: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    plan = plan_for(
        ["finetune", "recadam"], ["cola"], tiny_encoder, tiny_data, retention=str(tiny_text)
    )
    for result in results(plan, tmp_path):
        assert result["cell"]["model"]["kind"] == "encoder"
        assert result["forgotten"] is None  # the head answers one task only
        assert result["retention"] is not None
        assert result["retention"]["before"] > 0
    plan = plan_for(["finetune"], ["cola"], tiny_encoder, tiny_data)
    (result,) = results(plan, tmp_path)
    assert result["retention"] is None


def test_heads_and_orders_come_from_task_and_seed_not_from_the_method(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    methods = ["finetune", "recadam"]
    plan = plan_for(methods, ["cola"], tiny_encoder, tiny_data, "train.steps=0", seeds=2)
    first, again, second, _ = (
        run_cell(cell, workspace_for(plan, tmp_path), False)[1]["scores_after"]
        for cell in sorted(plan.spec.cells(), key=lambda c: (c.seed, c.method.name))
    )
    assert first == again != second


def test_the_base_is_scored_once(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_for(["finetune", "recadam"], ["cola"], tiny_causal, tiny_data, seeds=2)
    found = results(plan, tmp_path)
    assert len({json.dumps(r["scores"]["before"]) for r in found if r["scores"]}) == 1
    kinds = sorted(path.name.split("-")[0] for path in (tmp_path / "cache").glob("*.json"))
    assert kinds == ["outputs", "outputs", "retention", "retention"]  # rows of cola and of rte


def test_a_cell_is_what_it_is_wherever_it_lies(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(tiny_data, tmp_path / "elsewhere")
    model = shutil.copytree(tiny_causal, tmp_path / "model-elsewhere")
    here = only_cell(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data))
    there = only_cell(plan_for(["finetune"], ["cola"], model, moved))
    assert here.hash == there.hash
    text = json.dumps(here.identity())
    assert str(tiny_data) not in text and str(tiny_causal) not in text
    train = moved / "glue" / "CoLA" / "train.tsv"
    train.write_text(train.read_text() + "src\t1\t\tthe cat saw a dog\n")
    other = only_cell(plan_for(["finetune"], ["cola"], tiny_causal, moved))
    assert other.hash != here.hash


def test_each_setting_is_part_of_what_a_cell_is(tiny_causal: Path, tiny_data: Path) -> None:
    def cell_hash(*words: str, **options: object) -> str:
        plan = plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, *words, **options)
        return only_cell(plan).hash

    hashes = [
        cell_hash(),
        cell_hash("recadam.k=0.2"),
        cell_hash("train.lr=1e-3"),
        cell_hash("train.batching=random"),
        cell_hash(first_seed=1),
    ]
    assert len(set(hashes)) == len(hashes)
    assert cell_hash() == cell_hash("recadam.k=0.1")


def test_weights_that_are_not_finite_fail_the_cell(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The loss of the last step is computed before its update, and may still be a number."""
    words = ("train.steps=1", "train.lr=1e38", "train.warmup=0")
    cell = only_cell(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, *words))
    with pytest.raises(CellError, match="the weights are not finite after 1 steps"):
        run_cell(
            cell,
            workspace_for(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path),
            False,
        )


def test_what_methods_read_is_not_what_is_scored(tiny_causal: Path, tiny_text: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    text = tiny_text.read_text()
    scored = cut_blocks(text, tokenizer, 10**9, scored=True)
    read = cut_blocks(text, tokenizer, 10**9, scored=False)
    assert len(scored) + len(read) == len(tokenizer(text)["input_ids"]) // BLOCK
    whole = [token for pair in zip(scored, read, strict=False) for b in pair for token in b[1:]]
    assert whole == tokenizer(text, add_special_tokens=False)["input_ids"][: len(whole)]
    assert len(cut_blocks(text, tokenizer, 3 * BLOCK, scored=True)) == 3


def test_a_short_context_is_kept_to(tiny_data: Path, tiny_causal: Path, tmp_path: Path) -> None:
    """Absolute positions, and fewer of them than a block of text has tokens."""
    import transformers as hf

    model = tmp_path / "short"
    tokenizer = hf.AutoTokenizer.from_pretrained(tiny_causal)
    tokenizer.save_pretrained(model)
    config = hf.GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=48,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    hf.GPT2LMHeadModel(config).save_pretrained(model)
    plan = plan_for(
        ["finetune", "ewc", "lwf"], ["cola", "rte"], model, tiny_data, "lwf.max_new_tokens=12"
    )
    assert {result["status"] for result in results(plan, tmp_path)} == {"done"}
