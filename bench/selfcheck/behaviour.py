"""Whether a method does what it is for, measured on the embedded micro model over three seeds."""

from __future__ import annotations

import functools
from pathlib import Path

from bench.plan import Plan
from bench.results import CellResult
from bench.runner import run_cell
from bench.selfcheck.checks import NotApplicableError, Subject, expect
from bench.selfcheck.world import World, cells_of, plan_for, workspace_for

SEEDS = 3
RECIPE = [
    *("steps=12", "batch_size=8", "lr=3e-3", "warmup=0", "max_train=256", "max_eval=8"),
    *("retention_tokens=1024", "forget_rows=32"),
]
"""A dozen steps at a rate at which plain fine-tuning forgets a good part of the micro text."""

RETAINED = 0.1
"""A method that `retains` must keep at least this share of what plain fine-tuning loses."""

FORGOTTEN = 0.1
"""One that `forgets` must raise the forgetting task's loss by so many nats per token more."""


def means_it(subject: Subject, world: World, folder: Path) -> None:
    """Averaged over seeds, it retains more than finetune, or forgets more, by the margin."""
    meaning = subject.cls.meaning
    if meaning is None:
        raise NotApplicableError("the class does not say what it is for (`meaning`)")
    if subject.kind == "encoder":
        raise NotApplicableError("measured on the causal model")
    plain = reference()
    mine = _rises(_plan(subject.method, *subject.words), folder)
    retained, forgotten = (m - p for m, p in zip(mine, plain, strict=True))
    if meaning == "retains":
        margin = RETAINED * plain[0]
        text = f"the retention loss rises by {mine[0]:.3f} nats per token, finetune's by"
        expect(-retained >= margin, f"{text} {plain[0]:.3f}; {-margin:.3f} or more was expected")
    else:
        text = f"the forgetting task's loss rises by {mine[1]:.3f} nats per token, finetune's by"
        expect(forgotten >= FORGOTTEN, f"{text} {plain[1]:.3f}; +{FORGOTTEN} was expected")


@functools.cache
def reference() -> tuple[float, float]:
    """What finetune does: (rise of the retention loss, rise of the forgetting task's loss)."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return _rises(_plan("finetune"), Path(folder))


def _plan(method: str, *words: str) -> Plan:
    recipe = [f"train.{word}" for word in RECIPE]
    options = {"seeds": SEEDS, "forget": ["rte"]}
    return plan_for([method], ["cola"], "micro", "micro", *recipe, *words, **options)


def _rises(plan: Plan, folder: Path) -> tuple[float, float]:
    """(retention loss, forgetting task's loss): after - before, averaged over the cells."""
    workspace = workspace_for(plan, folder)
    found = [_rise(run_cell(cell, workspace, False)[0]) for cell in cells_of(plan)]
    retained, forgotten = zip(*found, strict=True)
    return sum(retained) / len(found), sum(forgotten) / len(found)


def _rise(result: CellResult) -> tuple[float, float]:
    text, lost = result["retention"], result["forgotten"]
    assert text is not None and lost is not None, "the micro world has both"
    return text["after"] - text["before"], lost["loss_after"] - lost["loss_before"]
