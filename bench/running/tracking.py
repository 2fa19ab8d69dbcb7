"""Cells as runs of a tracker (TensorBoard, trackio, Weights & Biases, MLflow), through accelerate:
the curve while it is trained, the scores once they are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.cells.cell import Cell
from bench.cells.store import name_of

if TYPE_CHECKING:
    from bench.cells.result import CellResult
    from bench.running.session import CellSession


@contextmanager
def tracked(session: CellSession) -> Iterator[None]:
    """Keep a run of the plan's tracker open for this cell, called like the cell's file; what the
    loop logs goes there."""
    tracker, accelerator = session.workspace.tracker, session.run.accelerator
    if tracker is None:
        yield
        return
    cell = session.cell
    name = name_of(cell.identity(), cell.hash)
    about = {"name": name, "config": _config(cell), "dir": str(session.workspace.folder)}
    kept = {
        "tensorboard": {},
        "wandb": about,
        "trackio": {key: about[key] for key in ("name", "config")},
        "mlflow": {"run_name": name, "tags": {k: str(v) for k, v in _config(cell).items()}},
    }
    # TensorBoard knows runs alone, the others have projects of runs
    project = name if tracker == "tensorboard" else session.workspace.folder.resolve().name
    accelerator.init_trackers(project, init_kwargs={tracker: kept[tracker]})
    try:
        yield
    finally:
        for each in accelerator.trackers:
            each.finish()  # accelerator.end_training would end its processes, too


def track(session: CellSession, result: CellResult) -> None:
    """Tell the tracker what a finished cell has come to."""
    scores, kept, forgotten = result["scores"], result["retention"], result["forgotten"]
    values: dict[str, float] = {"drift": result["drift"] or 0.0}
    if scores:
        values |= {f"before/{metric}": value for metric, value in scores["before"].items()}
        values |= {f"after/{metric}": value for metric, value in scores["after"].items()}
    if kept:
        values |= {"before/retention": kept["before"], "after/retention": kept["after"]}
    if forgotten:
        values["before/forgotten"] = forgotten["loss_before"]
        values["after/forgotten"] = forgotten["loss_after"]
    session.run.accelerator.log(values, step=session.cell.steps)


def _config(cell: Cell) -> dict[str, Any]:
    """What tells the cell from others, in one level."""
    own = {f"{cell.method.name}.{name}": value for name, value in cell.method.settings.items()}
    recipe = {f"train.{name}": value for name, value in cell.identity()["training"].items()}
    named = {"method": cell.label, "task": cell.name, "seed": cell.seed, "model": cell.model.name}
    return {**named, **own, **recipe, "hash": cell.hash}
