"""WiSE-FT: the average of the base and of a fine-tuning run, and how it lies between them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, trained, weights


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
