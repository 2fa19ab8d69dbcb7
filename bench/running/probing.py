"""Scores in the midst of training, on so few rows that the training is hardly longer for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cells.result import Probe, ProbePoint
from bench.network import running_text
from bench.network.batches import IGNORE, Batch, Encoded
from bench.rows.task import Task
from bench.running.measuring import Measuring
from bench.scoring import evaluation as ev
from bench.scoring.predictions import Outputs, gold_loss, task_scores
from bench.training.context import TrainingContext

SHARE = 0.05  # of the training's time, about
_PASSES = 3  # a step reads its rows once forward, and backward at about twice the price
FEWEST_ROWS = 8


@dataclass(frozen=True)
class Probing:
    """What is scored: dev rows and, on a causal LM, retention text in batches."""

    task: Task
    rows: Encoded
    text: list[Batch]

    def __call__(self, run: TrainingContext) -> ProbePoint:
        """The scores of the model as it is. (It knows no session, as `finetuned`.)"""
        rows, task, pad = self.rows, self.task, run.tokenizer.pad_token_id
        found = Outputs(ev.score_rows(run.task_model, rows, pad, run.accelerator))
        written = task.kind == "generation"
        return {
            "step": run.step,
            "score": None if written else task_scores(task, rows, found)[0][task.primary],
            "loss": gold_loss(rows, found) if rows.answers else None,
            "retention": running_text.mean_loss(run.task_model, self.text)[0]
            if self.text
            else None,
        }

    def result(self, points: list[ProbePoint]) -> Probe:
        """The learning curve, as a part of the result."""
        tokens = sum(int((batch.targets != IGNORE).sum()) for batch in self.text)
        return {"rows": len(self.rows), "tokens": tokens, "points": points}


def probing(measuring: Measuring, split: str, dev: Encoded) -> Probing:
    """What is scored every `eval_every` steps: half of the tokens that `SHARE` allows in rows of a
    split, of which `dev` are all, half in retention text. The model is the untouched one."""
    run, cell = measuring.run, measuring.cell
    learned = [run.train_rows.length(i) for i in range(len(run.train_rows))]
    steps = (cell.besides.eval_every or 0) * cell.training.batch_size
    tokens = SHARE * _PASSES * steps * sum(learned) / len(learned) / 2
    per_row = sum(_read(dev, i) for i in range(len(dev))) / len(dev)
    count = min(len(dev), max(FEWEST_ROWS, int(tokens / per_row)))
    rows = measuring.workspace.encoded_rows(cell, measuring.task, split, count, run.max_length)
    causal = cell.model.kind == "causal"
    blocks = (measuring.retention_blocks() if causal else None) or []
    chosen = _within(blocks, tokens)
    text = running_text.text_batches(chosen, run.tokenizer, "causal") if chosen else []
    return Probing(measuring.task, rows, text)


def _read(rows: Encoded, i: int) -> int:
    """Tokens that are read to score a row, at most: its prompt before each of its answers."""
    answers = rows.answers[i] if rows.answers else []
    return max(1, len(answers)) * rows.prompt_length(i) + sum(map(len, answers))


def _within(blocks: Sequence[list[int]], tokens: float) -> list[list[int]]:
    """The first blocks of no more tokens than these, and one at least."""
    chosen, left = list(blocks[:1]), tokens - sum(map(len, blocks[:1]))
    for block in blocks[1:]:
        left -= len(block)
        if left < 0:
            break
        chosen.append(block)
    return chosen
