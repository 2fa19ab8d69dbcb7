"""Any parallel file to translate, and any text to predict."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.core.errors import BenchError
from bench.rows.source import load_rows
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from tasks.texts import TEXTS

TRANSLATION, TEXT = TEXTS
LINES = ["the cat saw a dog.", "", "a bird heard the king in the garden.", "the boy liked a cat."]


def write(folder: Path, name: str, ending: str, lines: list[str]) -> None:
    for split in ("train", "dev"):
        path = folder / "generative" / name / f"{split}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")


def test_a_text_is_scored_by_its_perplexity(tiny_causal: Path, tmp_path: Path) -> None:
    write(tmp_path, "text", "txt", LINES)
    assert [row["id"] for row in load_rows(TEXT, str(tmp_path), "dev")] == [
        "dev-1", "dev-3", "dev-4",
    ]  # fmt: skip
    write(tmp_path, "translation", "tsv", ["a cat\tthe dog"] * 3)
    plan = plan_for(
        ["finetune"], ["text"], tiny_causal, tmp_path, "train.steps=20", "train.lr=3e-3",
        forget=["translation"],
    )  # fmt: skip
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path / "out"), False)
    net = AutoModelForCausalLM.from_pretrained(tiny_causal).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal)
    nats, tokens = 0.0, 0
    for line in filter(None, LINES):
        ids = torch.tensor([tokenizer(line)["input_ids"]])
        with torch.no_grad():
            nats += float(net(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    assert result["scores"] is not None
    before, after = (result["scores"][when]["perplexity"] for when in ("before", "after"))
    assert before == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert after < before
    assert sum(rows["gold"]) == tokens
    assert result["flips"] is None


def test_a_translation_is_written_and_compared(tiny_causal: Path, tmp_path: Path) -> None:
    write(tmp_path, "translation", "tsv", ["a cat saw\tthe dog liked a bird"] * 8)
    write(tmp_path, "text", "txt", LINES)
    plan = plan_for(
        ["finetune"], ["translation"], tiny_causal, tmp_path, "train.steps=60", "train.lr=5e-3",
        forget=["text"],
    )  # fmt: skip
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path / "out"), False)
    assert result["scores"] is not None
    assert rows["gold"] == rows["after"] == ["the dog liked a bird"] * 8
    assert result["scores"]["after"] == {"bleu": pytest.approx(1.0)}
    assert result["scores"]["before"]["bleu"] < 0.5
    assert result["forgotten"] is not None and result["forgotten"]["accuracy_after"] is None


def test_a_parallel_file_with_a_line_of_one_column(tmp_path: Path) -> None:
    write(tmp_path, "translation", "tsv", ["a cat\tthe dog", "a cat"])
    with pytest.raises(BenchError, match=r"dev.tsv:2: 1 columns, where the first line has 2"):
        load_rows(TRANSLATION, str(tmp_path), "dev")
