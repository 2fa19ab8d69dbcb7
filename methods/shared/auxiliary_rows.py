"""Rows beside those of the task: where they come from, and their losses."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import softplus

from bench.network import running_text
from bench.network.batches import IGNORE, Batch
from bench.network.likelihood import example_losses
from methods.shared.answers import AnswerSet

if TYPE_CHECKING:
    from bench.training.context import TrainingContext

_BATCH = 32


def forget_rows(run: TrainingContext, count: int) -> AnswerSet:
    """About `count` training rows of the forgetting tasks, drawn evenly, with their right
    answers."""
    found = AnswerSet.empty()
    share = math.ceil(count / len(run.forget_rows))
    for name, rows in run.forget_rows.items():
        rng = random.Random(run.seed(f"side {name}"))
        encoded = run.encode_forget(rng.sample(rows, min(share, len(rows))), name, 0)
        found.prompts += encoded.prompts
        found.answers += [a[gold] for a, gold in zip(encoded.answers, encoded.gold, strict=True)]
    return found


def text_rows(run: TrainingContext, sampled: bool, count: int) -> AnswerSet:
    """Blocks of text that the base model writes, or of the retention file's part that is never
    scored; each is predicted from its first token on."""
    info, length = run.cell.model, running_text.block_length(run.net)

    def compute() -> running_text.Blocks:
        return running_text.sampled_blocks(run.net, run.tokenizer, info, count, "replay")

    if sampled:
        blocks = run.cache.json("replay-text", [run.cell.base_hash, count], compute)
    else:
        given = run.retention
        assert given is not None, "the plan has checked that there is a text"
        wanted = count * length
        blocks = running_text.cut_blocks(
            given, run.tokenizer, wanted, scored=False, kind=info.kind, length=length
        )
    return AnswerSet([block[:1] for block in blocks], [block[1:] for block in blocks])


def token_mean(losses: Tensor, batch: Batch) -> Tensor:
    """Losses [n] of examples as the mean over their tokens."""
    return losses.sum() / (batch.targets != IGNORE).sum()


def tokens_of(batch: Batch) -> Tensor:
    """How many tokens of each example are predicted, [n], on the device of the losses."""
    return (batch.targets != IGNORE).sum(1)


def reference_losses(run: TrainingContext, rows: AnswerSet) -> Tensor:
    """−log π0 of every row, [N], asked for before training; computed once for the same rows."""
    key = [run.cell.base_hash, rows.prompts, rows.answers]
    found = run.cache.tensors("reference", key, lambda: {"losses": losses_now(run, rows)})
    return found["losses"].to(run.device)


def preference(losses: Tensor, base: Tensor, beta: float) -> Tensor:
    """−(2/β) log σ(−β log(π/π0)), averaged over examples, from −log π and −log π0, both [n]."""
    return (2 / beta) * softplus(beta * (base - losses)).mean()


@torch.no_grad()
def losses_now(run: TrainingContext, rows: AnswerSet) -> Tensor:
    """−log π of every row, [N], with the weights as they are and without dropout."""
    training, pad = run.net.training, run.tokenizer.pad_token_id
    run.net.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows.prompts[i]) + len(rows.answers[i]))
    found = torch.empty(len(rows), device=run.device)
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        found[part] = example_losses(run.task_model, rows.batch(part, pad).to(run.device))
    run.net.train(training)
    return found
