"""What cells will take, by hand-made figures of others, and what a time limit makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bench.cells.cell import AnyCell, Cell
from bench.cells.measured import asked
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.core.durations import Deadline
from bench.core.provenance import processor
from bench.running.blank import blank_result
from bench.running.estimates import ALIKE, HERE, ROUGH, Estimates
from bench.running.executor import run_in_process
from bench.selfcheck.world import World, plan_for
from methods.finetune import Finetune

MACHINE = {"processor": processor(), "gpus": []}


def measured(
    cell: AnyCell,
    *,
    load: float = 1.0,
    score: float = 2.0,
    prepare: float = 0.0,
    per_step: float = 0.5,
    mib: float = 100.0,
    machine: dict[str, Any] = MACHINE,
) -> CellResult:
    """A result with these seconds; scores take as long before as after training."""
    stages = [cell] if isinstance(cell, Cell) else cell.stages
    steps = sum(stage.steps for stage in stages)
    costs: dict[str, Any] = {
        "load": load,
        "score_before": score,
        "score_after": score,
        "prepare": prepare,
        "train": per_step * steps,
        "finish": 0.0,
        "total": load + 2 * score + prepare + per_step * steps,
        "steps": steps,
        "peak_memory_mib": mib,
    }
    rows = {"dev_rows": 16 * len(stages)}
    whole = {"costs": costs, "data": rows, "provenance": machine, "measured": asked(cell)}
    found = {**blank_result(cell), **whole}
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def cells(world: World) -> dict[str, AnyCell]:
    """By method, task and seed: "lwf cola 0"."""
    tasks = ["cola", "rte", "cola>rte"]
    plan = plan_for(["finetune", "lwf"], tasks, world.models["causal"], world.data, seeds=2)
    return {
        f"{cell.method.name} {cell.name} {seed}": cell
        for cell in plan.spec.cells()
        for seed in [getattr(cell, "seed", None) or int(str(cell)[-1])]
    }


@pytest.fixture
def estimates() -> Estimates:
    return Estimates({"cola": 16, "rte": 16})


def test_a_cell_of_another_seed_takes_as_long(
    cells: dict[str, AnyCell], estimates: Estimates
) -> None:
    assert estimates.of(cells["finetune cola 0"]) is None
    estimates.add([measured(cells["finetune cola 0"], mib=50), measured(cells["lwf cola 0"])])
    estimates.add([measured(cells["finetune cola 1"], load=3.0, mib=70)])
    found = estimates.of(cells["finetune cola 0"])
    assert found is not None and found.sure == HERE
    assert found.seconds == 2.0 + 4.0 + 0.5 * 4  # the mean of two loads
    assert found.memory_mib == 70


def test_steps_and_rows_are_counted(cells: dict[str, AnyCell], estimates: Estimates) -> None:
    """A text is a dev row, one of a forgetting task, or 32 tokens of running text."""
    short = cells["finetune cola 0"]
    assert isinstance(short, Cell)
    recipe = dataclasses.replace(
        short.training, max_eval=4, forget_rows=8, retention_tokens=128, steps=40
    )
    estimates.add([measured(short, prepare=7.0)])
    longer = dataclasses.replace(short, training=recipe, steps=40)
    found = estimates.of(longer)
    was = 16 + short.training.forget_rows + short.training.retention_tokens // 32
    assert found is not None and found.sure == ALIKE
    assert found.seconds == pytest.approx(1 + 7 + 0.5 * 40 + 4 * (4 + 8 + 4) / was)


def test_another_task_is_told_by_the_other_method(
    cells: dict[str, AnyCell], estimates: Estimates
) -> None:
    plain, slow = measured(cells["finetune cola 0"]), measured(cells["lwf cola 0"], per_step=3.0)
    other = measured(cells["finetune rte 0"], load=8.0)
    estimates.add([plain, slow])
    alone = estimates.of(cells["lwf rte 0"])  # rte is unknown: as on cola
    assert alone is not None and (alone.seconds, alone.sure) == (1 + 4 + 12, ROUGH)
    estimates.add([other])
    found = estimates.of(cells["lwf rte 0"])
    assert found is not None and found.sure == ROUGH
    assert found.seconds == pytest.approx((1 + 4 + 12) * (8 + 4 + 2) / (1 + 4 + 2))


def test_a_sequence_takes_what_its_stages_take(
    cells: dict[str, AnyCell], estimates: Estimates
) -> None:
    whole = cells["lwf cola>rte 0"]
    estimates.add([measured(cells["lwf cola 0"]), measured(cells["lwf rte 0"], load=5.0)])
    parts = [estimates.seconds(cells[f"lwf {task} 0"]) for task in ("cola", "rte")]
    assert estimates._summed(whole).seconds == sum(filter(None, parts))  # type: ignore[union-attr]
    estimates.add([measured(whole)])
    assert estimates.of(whole).sure == HERE  # type: ignore[union-attr]


def test_other_machines_are_no_measure(cells: dict[str, AnyCell], estimates: Estimates) -> None:
    cell = cells["finetune cola 0"]
    estimates.add([measured(cell, load=99.0, machine={"processor": "abacus", "gpus": []})])
    assert estimates.of(cell).sure == ROUGH  # type: ignore[union-attr]
    estimates.add([measured(cell)])
    assert estimates.of(cell).sure == HERE  # type: ignore[union-attr]
    assert estimates.seconds(cell) == 1 + 4 + 2


def test_what_was_only_scored_or_resumed_counts_whole(
    cells: dict[str, AnyCell], estimates: Estimates
) -> None:
    cell = cells["finetune cola 0"]
    result = measured(cell)
    assert result["costs"] is not None
    result["costs"]["total"] = 5.0  # of the last call, which did not train
    estimates.add([result])
    assert estimates.seconds(cell) == 1 + 4 + 2


def test_what_is_left_takes_the_sum(cells: dict[str, AnyCell], estimates: Estimates) -> None:
    todo = [cells["finetune cola 0"], cells["lwf cola 0"]]
    assert estimates.remaining(todo, 0.0) is None
    estimates.add([measured(cells["finetune cola 0"])])
    assert estimates.remaining(todo, 4.0) == 7 + 7 - 4  # lwf, of which nothing is known, as long


class Until(Deadline):
    """Over once so many steps are made."""

    steps: list[int]
    most: int

    @property
    def left(self) -> float:
        return 10.0 if len(self.steps) < self.most else -1.0


def test_what_runs_when_the_time_is_up_goes_on_later(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_for(["finetune"], ["cola"], world.models["causal"], world.data, seeds=3)
    cells = list(plan.spec.cells())
    made: list[int] = []
    monkeypatch.setattr(Finetune, "after_step", lambda _, run: made.append(run.step))
    monkeypatch.setattr(Until, "steps", made, raising=False)
    monkeypatch.setattr(Until, "most", 6, raising=False)
    folder, store = tmp_path / "run", Store(tmp_path / "run")
    left = run_in_process(plan, cells, store, folder, deadline=Until())
    assert left == cells[1:] and len(made) == 6
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [cells[1].hash[:24]]
    said = capsys.readouterr().err
    assert f"{cells[1]}: stopped at train 2/4, loss " in said
    assert str(cells[2]) not in said
    assert run_in_process(plan, cells, store, folder) == []
    assert len(made) == 12
    whole = Store(tmp_path / "whole")
    run_in_process(plan, cells, whole, tmp_path / "whole")
    for one, other in zip(store.all(), whole.all(), strict=True):
        assert {k: one[k] for k in ("scores", "curve", "drift")} == {  # type: ignore[literal-required]
            k: other[k]
            for k in ("scores", "curve", "drift")  # type: ignore[literal-required]
        }


def test_what_will_not_fit_does_not_begin(world: World, tmp_path: Path) -> None:
    plan = plan_for(["finetune"], ["cola"], world.models["causal"], world.data, seeds=2)
    first, second = plan.spec.cells()
    store = Store(tmp_path)
    run_in_process(plan, [first], store, tmp_path)
    took = store.all()[0]["costs"]
    assert took is not None
    late = Deadline.after(1e4)
    late = Deadline(late.whole, late.end - 1e4 + took["total"] / 4)
    assert run_in_process(plan, [second], store, tmp_path, deadline=late) == [second]
    assert not (tmp_path / "checkpoints").exists() or not any((tmp_path / "checkpoints").iterdir())
