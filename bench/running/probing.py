"""Scores in the midst of training, on so few rows that the training is hardly longer for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cells.measured import On
from bench.cells.result import Answered, PartAnswers, Probe
from bench.network import running_text
from bench.network.batches import IGNORE, Batch, Encoded
from bench.rows.task import Task
from bench.running.measuring import Measuring
from bench.running.part_answers import shortened
from bench.scoring import evaluation as ev
from bench.scoring.predictions import Outputs, gold_loss, gold_losses, predict, task_scores
from bench.training.context import Look, TrainingContext

SHARE = 0.05  # of the training's time, about
_PASSES = 3  # a step reads its rows once forward, and backward at about twice the price
FEWEST_ROWS = 8


@dataclass(frozen=True)
class Probing:
    """What is scored: dev rows and, on a causal LM, retention text in batches."""

    task: Task
    rows: Encoded
    text: list[Batch]

    def __call__(self, run: TrainingContext) -> Look:
        """The scores of the model as it is. (It knows no session, as `finetuned`.)"""
        rows, task, pad = self.rows, self.task, run.tokenizer.pad_token_id
        found = Outputs(ev.score_rows(run.task_model, rows, pad, run.accelerator))
        written = task.kind == "generation"
        text = running_text.text_loss(run.task_model, self.text) if self.text else None
        return {
            "point": {
                "step": run.step,
                "score": None if written else task_scores(task, rows, found)[0][task.primary],
                "loss": gold_loss(rows, found) if rows.answers else None,
                "retention": text.loss if text else None,
            },
            "answers": [] if written else predict(task, rows, found),
            "losses": shortened(gold_losses(rows, found)) if rows.answers else [],
            "nats": shortened(text.nats) if text else [],
        }

    def result(self, looks: Sequence[Look]) -> Probe:
        """The learning curve, as a part of the result."""
        points = [look["point"] for look in looks]
        return {"rows": len(self.rows), "tokens": sum(self._tokens), "points": points}

    def answers(self, looks: Sequence[Look], on: On) -> PartAnswers:
        """What it is computed from."""
        rows, by_step = self.rows, {str(look["point"]["step"]): look for look in looks}
        found: Answered = {
            "id": rows.ids,
            "gold": rows.references,
            "answers": {step: look["answers"] for step, look in by_step.items()},
            "losses": {step: look["losses"] for step, look in by_step.items()},
        }
        nats = {step: look["nats"] for step, look in by_step.items()}
        return {
            "part": "probe",
            "on": dict(on),
            "rows": {self.task.name: found},
            "text": {"tokens": self._tokens, "nats": nats} if self.text else None,
        }

    @property
    def _tokens(self) -> list[int]:
        """Of each block that are predicted."""
        return [n for batch in self.text for n in (batch.targets != IGNORE).sum(1).tolist()]


def probing(measuring: Measuring, split: str, dev: Encoded) -> Probing:
    """What is scored every `eval_every` steps: half of the tokens that `SHARE` allows in rows of a
    split, of which `dev` are all, half in retention text. The model is the untouched one."""
    run, cell = measuring.run, measuring.cell
    learned = [run.train_rows.length(i) for i in range(len(run.train_rows))]
    steps = (cell.training.eval_every or 0) * cell.training.batch_size
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
