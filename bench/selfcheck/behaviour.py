"""Whether a method does what it is for, measured on the embedded micro model over three seeds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.scoring.predictions import gold_loss
from bench.selfcheck.checks import (
    FailedError,
    NotApplicableError,
    Subject,
    expect,
    starts_at_the_base,
    where_it_fits,
)
from bench.selfcheck.world import World, cells_of, plan_for, workspace_for
from bench.training.loop import train
from bench.training.stack import build

SEEDS = 3
RECIPE = [
    *("steps=12", "batch_size=8", "lr=3e-3", "warmup=0", "max_train=256", "max_eval=8"),
    *("retention_tokens=1024", "forget_rows=32"),
]
"""A dozen steps at a rate at which plain fine-tuning forgets a good part of the micro text."""
_PARTS = ("retention", "forgotten")


@dataclass(frozen=True)
class Figures:
    """What is measured of a trained cell, and averaged over the seeds."""

    retention: float  # rise of the loss on the retention text, nats per token
    forgotten: float  # rise of the loss on the forgetting task, nats per token
    smallest: float  # smallest singular value of a batch's features, by the largest


@dataclass(frozen=True)
class Goal:
    """How far a figure must lie from that of plain fine-tuning."""

    what: str
    figure: Callable[[Figures], float]
    bound: Callable[[float], float]  # of plain fine-tuning's
    below: bool  # whether the bound is the highest or the lowest value that will do


GOALS: dict[str, Goal] = {
    "retains": Goal(
        "the retention loss rises, in nats per token, by",
        lambda figures: figures.retention,
        lambda plain: plain - 0.1 * abs(plain),
        below=True,
    ),
    "forgets": Goal(
        "the forgetting task's loss rises, in nats per token, by",
        lambda figures: figures.forgotten,
        lambda plain: plain + 0.1,
        below=False,
    ),
    "learns": Goal(
        "the forgetting task's loss rises, in nats per token, by",
        lambda figures: figures.forgotten,
        lambda plain: plain - 0.05,
        below=True,
    ),
    "shrinks": Goal(
        "the smallest singular value of a batch's features is, by the largest,",
        lambda figures: figures.smallest,
        lambda plain: 0.5 * plain,
        below=True,
    ),
}
"""By `Method.meaning`."""


def means_it(subject: Subject, world: World, folder: Path) -> None:
    """Averaged over seeds, it does what it is for: by the margin, compared with finetune."""
    meaning = subject.cls.meaning
    if meaning is None:
        raise NotApplicableError("the class does not say what it is for (`meaning`)")
    if meaning not in GOALS:
        raise FailedError(f"`meaning` is {meaning!r}, which is none of {', '.join(GOALS)}")
    if subject.kind == "encoder":
        raise NotApplicableError("measured on the causal model")
    goal = GOALS[meaning]
    with where_it_fits():
        plan = _plan(subject.method, *subject.words)
    starts_at_the_base(
        build(cells_of(plan)[0].method)
    )  # a dozen steps do not show what that leads to
    mine = goal.figure(_figures(plan, folder))
    plain = goal.figure(reference())
    bound = goal.bound(plain)
    expect(
        mine <= bound if goal.below else mine >= bound,
        f"{goal.what} {mine:.2g}, with finetune {plain:.2g}; expected was {bound:.2g} or "
        f"{'less' if goal.below else 'more'}",
    )


@functools.cache
def reference() -> Figures:
    """What finetune does."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return _figures(_plan("finetune"), Path(folder))


def _plan(method: str, *words: str) -> Plan:
    recipe = [f"train.{word}" for word in RECIPE]
    options = {"seeds": SEEDS, "forget": ["rte"]}
    return plan_for([method], ["cola"], "micro", "micro", *recipe, *words, **options)


def _figures(plan: Plan, folder: Path) -> Figures:
    """The means over the plan's cells."""
    workspace = workspace_for(plan, folder)
    found = [astuple(_of_one(CellSession(cell, workspace))) for cell in cells_of(plan)]
    return Figures(*(sum(values) / len(found) for values in zip(*found, strict=True)))


def _of_one(stage: CellSession) -> Figures:
    its = stage.measuring
    before = its.measure(True, _PARTS)
    train(stage.run, stage.method, None)
    after = its.measure(False, _PARTS)
    assert before.retention is not None and after.retention is not None, "micro has a text"
    ((task, rows),) = its.forget
    was, now = (gold_loss(rows, each.forget[task.name]) for each in (before, after))
    return Figures(after.retention.loss - before.retention.loss, now - was, _smallest(stage))


def _smallest(stage: CellSession) -> float:
    """Of the hidden states [8, D] from which the answers of eight training rows are predicted."""
    import torch

    (batch,) = stage.run.batches(list(range(8)), 8)
    assert batch.positions is not None, "a causal model's batch has positions"
    with torch.no_grad():
        states = stage.run.net(**batch.inputs, output_hidden_states=True).hidden_states[-1]
    features = states[torch.arange(len(batch)), batch.positions[:, 0]]
    values = torch.linalg.svdvals(features)
    return float(values[-1] / values[0])
