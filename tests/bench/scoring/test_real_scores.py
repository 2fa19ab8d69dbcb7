"""stories260K untouched, on real rows: its answers against a loop of one row and one answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.network.encoding import encode
from bench.network.likelihood import TaskModel
from bench.planning.plugins import load_builtin
from bench.rows.source import load_rows
from bench.rows.task import TASKS, Row, Task
from bench.scoring.evaluation import score_rows
from bench.scoring.predictions import Outputs, predict, task_scores

SAMPLE = 12
NAMES = ("cola", "rte", "sst2", "sst5", "qasc", "psychol")
CASES = [
    *((name, SAMPLE) for name in NAMES),
    ("rte", None),  # all six were, once: the others take minutes
]
"""(task, how many of its dev rows; None: all that fit the model's context)"""


def slow_scores(net: Any, tokenizer: Any, task: Task, row: Row) -> list[tuple[float, int]]:
    """(summed log-likelihood, tokens) of each answer, from one forward pass over one text."""
    found = []
    prompt = tokenizer(task.prompt.format(**row))["input_ids"]
    answers = [row[c] for c in task.labels] if task.kind == "multiple_choice" else task.words
    for answer in answers:
        whole = tokenizer(task.prompt.format(**row) + " " + answer)["input_ids"]
        assert whole[: len(prompt)] == prompt
        with torch.no_grad():
            logits = net(input_ids=torch.tensor([whole])).logits[0]
        total = 0.0
        for i in range(len(prompt), len(whole)):
            total += float(logits[i - 1].double().log_softmax(-1)[whole[i]])
        found.append((total, len(whole) - len(prompt)))
    return found


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_scores_of_real_rows(
    shared_data: Path, shared_model: Path, name: str, sample: int | None
) -> None:
    from accelerate import Accelerator
    from transformers import AutoModelForCausalLM, AutoTokenizer

    load_builtin()
    task = TASKS.get(name)
    tokenizer = AutoTokenizer.from_pretrained(shared_model)
    net = AutoModelForCausalLM.from_pretrained(shared_model, dtype=torch.float32).eval()
    rows = load_rows(task, str(shared_data), "dev")
    fit = [row for row in rows if len(tokenizer(task.prompt.format(**row))["input_ids"]) < 450]
    rows = fit[:: max(1, len(rows) // sample) if sample else 1]
    encoded = encode(rows, task, tokenizer, "causal", 512)
    assert encoded.truncated == 0
    scores = score_rows(TaskModel(net), encoded, tokenizer.pad_token_id or 0, Accelerator())
    outputs = Outputs(scores)
    slow = [slow_scores(net, tokenizer, task, row) for row in rows]
    for got, want in zip(scores, slow, strict=True):
        assert got == pytest.approx([total for total, _ in want], abs=2e-3)

    def best(values: list[float]) -> int:
        return values.index(max(values))

    whole = task.kind == "multiple_choice"
    answers = [best([t if whole else t / n for t, n in row]) for row in slow]
    assert predict(task, encoded, outputs) == answers
    right = [a == row["label"] for a, row in zip(answers, rows, strict=True)]
    if "accuracy" in task.metrics:
        assert task_scores(task, encoded, outputs)[0]["accuracy"] == sum(right) / len(right)
    if whole:
        sizes = [[len(row[c].encode()) for c in task.labels] for row in rows]
        normed = [
            best([t / size for (t, _), size in zip(*pair, strict=True)])
            for pair in zip(slow, sizes, strict=True)
        ]
        by_byte = task_scores(task, replace(encoded, gold=normed), outputs)[0]
        assert by_byte["accuracy_norm"] == 1
