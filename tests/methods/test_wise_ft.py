"""WiSE-FT: the average of the base and of a fine-tuning run, and how it lies between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.running import session
from bench.running.single import run_cell
from bench.scoring.evaluation import drift
from bench.selfcheck.world import only_cell, plan_for, trained, weights, workspace_for
from bench.training.context import TrainingContext


def test_the_weights_are_the_average(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    where = tiny_encoder, tiny_data
    tuned = trained(plan_for(["finetune"], ["cola"], *where), tmp_path)
    mixed = trained(plan_for(["wise_ft"], ["cola"], *where, "wise_ft.alpha=0.3"), tmp_path)
    end, found, base = weights(tuned), weights(mixed), mixed.loaded.base
    for name, x in found.items():
        if name in base:
            expected = 0.7 * base[name].double() + 0.3 * end[name].double()
            torch.testing.assert_close(x.double(), expected, rtol=1e-6, atol=1e-7)
        else:
            assert torch.equal(x, end[name])
    assert drift(mixed.loaded) == pytest.approx(0.09 * drift(tuned.loaded), rel=1e-3)


def test_nothing_of_the_tuning_is_the_base_bit_for_bit(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = trained(
        plan_for(["wise_ft"], ["cola"], tiny_encoder, tiny_data, "wise_ft.alpha=0"), tmp_path
    )
    assert all(torch.equal(p, stage.loaded.base[name]) for name, p in stage.loaded.pretrained())


def test_what_fine_tuning_was_kept_with_is_not_trained_again(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside finetune it is spared its training, at that training's price; a rate of its own makes
    it another."""
    plan = plan_for(["finetune", "wise_ft"], ["cola"], tiny_causal, tiny_data)
    alone, *_ = run_cell(list(plan.spec.cells())[1], workspace_for(plan, tmp_path / "alone"), False)
    trained_cells: list[str] = []
    real = session.train

    def counted(run: TrainingContext, *args: Any) -> Any:
        trained_cells.append(run.cell.label)
        return real(run, *args)

    monkeypatch.setattr(session, "train", counted)
    workspace = workspace_for(plan, tmp_path)
    workspace.keep_bytes = 1e9
    first, second = (run_cell(cell, workspace, False)[0] for cell in plan.spec.cells())
    assert trained_cells == ["finetune"]
    for part in ("scores", "drift", "retention", "curve"):
        assert second[part] == alone[part], part  # type: ignore[literal-required]
    assert first["costs"] is not None and second["costs"] is not None
    assert second["costs"]["train"] == first["costs"]["train"] > 0
    own = plan_for(["wise_ft"], ["cola"], tiny_causal, tiny_data, "wise_ft.lr=1e-4")
    run_cell(only_cell(own), workspace, False)
    assert len(trained_cells) == 2
