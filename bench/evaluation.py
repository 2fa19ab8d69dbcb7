"""What a model can do: scores on a task, loss on texts, distance from where it started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from bench.data import Encoded
from bench.likelihood import TaskModel, label_scores
from bench.models import Loaded
from bench.results import Flips

if TYPE_CHECKING:
    from accelerate import Accelerator

_BATCH_ROWS = 128
_BATCH_TOKENS = 16384


@torch.inference_mode()
def score_rows(
    model: TaskModel, rows: Encoded, pad: int, accelerator: Accelerator
) -> list[list[float]]:
    """Score of every label for every row, in row order; see `likelihood.label_scores`.

    The rows are shared out over accelerate's processes, each scored exactly once.
    """
    from accelerate.utils import gather_object

    training = model.training
    model.eval()
    batches = _length_batches(rows)
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    found = [
        (i, row)
        for indices in mine
        for i, row in zip(
            indices,
            label_scores(model, rows, indices, pad, accelerator.device).tolist(),
            strict=True,
        )
    ]
    if accelerator.num_processes > 1:
        found = gather_object(found)
    model.train(training)
    by_index = dict(found)
    assert len(found) == len(by_index) == len(rows), "every row is scored exactly once"
    return [by_index[i] for i in range(len(rows))]


def _length_batches(rows: Encoded) -> list[list[int]]:
    """All rows, longest first, in batches bounded by rows and by padded tokens."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows.prompts[i]))
    batches: list[list[int]] = []
    for i in order:
        longest = len(rows.prompts[batches[-1][0]]) if batches else 0
        if not batches or len(batches[-1]) >= min(_BATCH_ROWS, max(1, _BATCH_TOKENS // longest)):
            batches.append([])
        batches[-1].append(i)
    return batches


def answers(scores: Sequence[Sequence[float]]) -> list[int]:
    """The label with the highest score of each row; the first of equals."""
    return [max(range(len(row)), key=row.__getitem__) for row in scores]


def accuracy_and_loss(rows: Encoded, scores: Sequence[Sequence[float]]) -> tuple[float, float]:
    """(share of rows answered right, mean loss of the gold answer in nats per token)."""
    right = [got == gold for got, gold in zip(answers(scores), rows.gold, strict=True)]
    losses = [-row[gold] for row, gold in zip(scores, rows.gold, strict=True)]
    return sum(right) / len(right), sum(losses) / len(losses)


def flips(gold: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Flips:
    """Shares of the rows that were right and are wrong now (lost), and the reverse (gained)."""
    triples = list(zip(gold, before, after, strict=True))
    lost = sum(b == g != a for g, b, a in triples)
    gained = sum(b != g == a for g, b, a in triples)
    return {"lost": lost / len(triples), "gained": gained / len(triples)}


@torch.no_grad()
def drift(loaded: Loaded) -> float:
    """Squared distance of the pretrained parameters from their base values, ‖θ−θ0‖²."""
    total = 0.0
    for name, parameter in loaded.pretrained():
        moved = parameter.detach() - loaded.base[name].to(parameter.device)
        total += float(moved.double().square().sum())
    return total


def backbone_into(net: Any, loaded: Loaded) -> None:
    """Copy the tuned pretrained parameters into another network with the same names."""
    target = dict(net.named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.pretrained():
            if name in target:
                target[name].copy_(parameter)
