"""What a model can do: scores on a task, loss on texts, distance from where it started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bench.data import Encoded
from bench.likelihood import TaskModel, answer_scores
from bench.models import Loaded

if TYPE_CHECKING:
    from accelerate import Accelerator

_BATCH_ROWS = 128
_BATCH_TOKENS = 16384


@torch.inference_mode()
def score_rows(
    model: TaskModel, rows: Encoded, pad: int, accelerator: Accelerator
) -> list[list[float]]:
    """Score of every answer for every row, in row order; see `likelihood.answer_scores`.

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
            answer_scores(model, rows, indices, pad, accelerator.device).tolist(),
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
    width = 0  # tokens of the widest row in the last batch
    for i in order:
        width = max(width, _tokens(rows, i))
        if not batches or len(batches[-1]) >= min(_BATCH_ROWS, _BATCH_TOKENS // width):
            batches.append([])
            width = _tokens(rows, i)
        batches[-1].append(i)
    return batches


def _tokens(rows: Encoded, i: int) -> int:
    """Tokens of a prompt and of all answers to it, padded to one length."""
    answers = rows.answers[i] if rows.answers else []
    return len(rows.prompts[i]) + len(answers) * max(map(len, answers), default=0)


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
