"""A frozen base model's logits beside the trained one's, and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from bench.network.batches import IGNORE, Batch
from bench.network.likelihood import TaskModel, Way
from bench.network.loading import load_language_model

if TYPE_CHECKING:
    from bench.training.context import TrainingContext


def teacher(run: TrainingContext) -> TaskModel:
    """The base model, frozen and without dropout."""
    net = load_language_model(run.cell.model, run.cell.training.weights).to(run.device)
    model = TaskModel(net.requires_grad_(False)).eval()
    model.way = run.task_model.way
    return model


@torch.no_grad()
def teacher_logits(model: TaskModel, batch: Batch) -> Tensor:
    """The teacher's logits at all positions of all examples, [P, V]."""
    _, logits = observed(model, batch, lambda: model(batch.inputs, batch.positions))
    return logits


def observed(
    model: TaskModel, batch: Batch, compute: Callable[[], Tensor]
) -> tuple[Tensor, Tensor]:
    """What `compute` gives, which calls `model` on the batch once; and, from the same forward
    pass, the logits at all positions of all examples, [P, V], row by row."""
    seen: list[Any] = []
    body: nn.Module = model.net.base_model if model.picks else model.net
    handle = body.register_forward_hook(lambda _module, _args, output: seen.append(output))
    try:
        value = compute()
    finally:
        handle.remove()
    where = mask(batch)
    if model.way is Way.ALONE:
        rows = zip(seen, where.sum(1).tolist(), strict=True)
        return value, torch.cat([output.logits[0, :length] for output, length in rows])
    (output,) = seen
    if model.picks:
        # not called as a module: what other methods hook to the head is the task's own reading
        return value, model.net.get_output_embeddings().forward(output.last_hidden_state[where])
    return value, output.logits[where]


def mask(batch: Batch) -> Tensor:
    """[n, T], true where an example has a token, false on padding."""
    assert batch.positions is not None, "an encoder is refused"
    answers = (batch.targets != IGNORE).sum(1)
    ends = batch.positions[:, 0] + answers  # the last answer token is predicted, not read
    return torch.arange(batch.inputs["input_ids"].shape[1], device=ends.device) < ends[:, None]


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(softmax(teacher / T) ‖ softmax(student / T)) of each row of logits [P, V], in nats."""
    p = (teacher.float() / temperature).log_softmax(-1)
    q = (student.float() / temperature).log_softmax(-1)
    return kl_div(q, p, log_target=True, reduction="none").sum(-1)  # torch takes the teacher second


def weighed(apart: Tensor, batch: Batch) -> Tensor:
    """Divergences [P] as a scalar: averaged over each example's positions, and the examples added
    up as their losses are, by answer tokens, so that a step's parts add up to its mean."""
    where, answers = mask(batch), (batch.targets != IGNORE).sum(1)
    share = (answers * batch.scale / where.sum(1))[:, None].expand(where.shape)[where]
    return (share * apart).sum()
