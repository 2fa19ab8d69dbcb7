"""The kernels' contests: both sides run, the errors are small, the table is whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.speed import contests, growth, references
from bench.speed.__main__ import main
from bench.speed.contests import KERNELS, Contest, Kernel
from bench.speed.workloads import Size, llama

TINY = Size(samples=4, hidden=64, length=8)
TOLERANCE = {"recadam step / fused AdamW": 1e-6, "EWC's gradient / training step": 1e-6}


@pytest.mark.parametrize("name", KERNELS)
def test_both_sides_run_and_the_error_is_small(name: str) -> None:
    contest = KERNELS[name].build(TINY)
    if contest.error is None:
        assert name.startswith("elicitation")
    else:
        assert contest.error() <= TOLERANCE.get(name, 1e-5)
    contest.ours()
    contest.theirs()


def test_an_error_in_a_kernel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = contests.fisher_diagonal

    def wrong(*args: Any) -> dict[str, torch.Tensor]:
        return {name: 1.5 * value for name, value in right(*args).items()}

    monkeypatch.setattr(contests, "fisher_diagonal", wrong)
    contest = contests.fisher(llama, TINY)
    assert contest.error is not None
    assert contest.error() == pytest.approx(0.5, rel=1e-3)


def test_relative_error_is_per_tensor_and_sees_what_should_be_zero() -> None:
    expected = {"a": torch.tensor([1.0, -4.0]).double(), "b": torch.zeros(1).double()}
    assert (
        references.relative_error({"a": torch.tensor([1.0, -3.0]), "b": torch.zeros(1)}, expected)
        == 0.25
    )
    found = {"a": expected["a"], "b": torch.tensor([0.002])}
    assert references.relative_error(found, expected) == pytest.approx(0.5)


def test_batches_are_padded_and_the_model_does_not_see_the_padding() -> None:
    world = llama(replace(TINY, samples=20))
    assert [len(batch["ids"]) for batch in world.batches] == [16, 4]
    batch = world.batches[0]
    lengths = batch["mask"].sum(1)
    assert 4 <= lengths.min() < lengths.max() <= 8
    other = {**batch, "ids": batch["ids"].where(batch["mask"].bool(), torch.tensor(7))}
    torch.testing.assert_close(world.losses(world.net, batch), world.losses(world.net, other))


def test_the_command_prints_both_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(size: Size) -> Contest:
        return contests.fisher(llama, replace(size, hidden=64, length=8))

    kernels = {"fisher": Kernel(build, samples=4, axes=("samples",))}
    monkeypatch.setattr(contests, "KERNELS", kernels)
    monkeypatch.setattr(growth, "KERNELS", kernels)
    monkeypatch.setitem(growth.SIZES, "samples", (4, 8))
    file = tmp_path / "kernels.json"
    assert main(["kernels", "--rounds", "1", "--growth", "--json", str(file)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows if row[:2] == ["fisher", "samples"]] == [
        ["fisher", "samples", "4"],
        ["fisher", "samples", "8"],
    ]
    found = json.loads(file.read_text())
    assert set(found) == {"fisher", "growth"}
    assert {"ratio", "low", "high", "peak_mib", "max_rel_error"} < set(found["fisher"])
    assert found["fisher"]["max_rel_error"] < 1e-5
    assert set(found["growth"]["fisher"]["samples"]) == {"4", "8"}


def test_growth_gives_powers_and_says_where_they_change() -> None:
    """Seconds that double, then grow fourfold, then somewhere between, with noise."""
    rows = growth._powers({1: [2.0, 1.0], 2: [4.0, 2.0], 4: [16.0, 8.0], 8: [64.0, 24.0]})
    assert [row[:3] for row in rows[:3]] == [[1, 1.5, None], [2, 3.0, 1.0], [4, 12.0, 2.0]]
    assert rows[3][3:5] == [pytest.approx(1.585, abs=1e-3), 2.0]
    assert [row[5] for row in rows] == ["", "", "bends", ""]
