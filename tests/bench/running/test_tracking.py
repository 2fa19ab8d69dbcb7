"""What a tracker is told of cells: TensorBoard's files, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import BenchError, compare
from bench.selfcheck.world import World


def test_each_cell_is_a_run_of_tensorboard(world: World, tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    small = {"train": {"retention_tokens": 128, "forget_rows": 8}}
    folder = tmp_path / "run"
    runs = compare(
        "l2sp",
        ["cola", "cola>rte"],
        model=str(world.models["causal"]),
        data=str(world.data),
        steps=3,
        seeds=1,
        settings=small,
        out=folder,
        tracker="tensorboard",
        progress=False,
    )
    assert runs.failed == ()
    singles = [result for result in runs.results if ">" not in result["cell"]["task"]]
    told = {path.name: path for path in (folder / "trackers").iterdir()}
    # the first stage of a sequence is the same cell, which is trained again where it stands alone
    assert len(told) == 2 * 2
    for result in singles:
        name = f"{result['cell']['method']}-cola-seed0-{result['hash'][:12]}"
        events = reading.EventAccumulator(str(told[name])).Reload()
        curve = [(point["step"], pytest.approx(point["loss"])) for point in result["curve"]]
        losses = [(one.step, one.value) for one in events.Scalars("loss")]
        assert losses[: len(curve)] == curve and len(curve) == 3
        assert result["scores"] is not None and result["retention"] is not None
        (after,) = events.Scalars("after/matthews_correlation")
        found = result["scores"]["after"]["matthews_correlation"]
        assert (after.step, after.value) == (3, pytest.approx(found))
        (kept,) = events.Scalars("after/retention")
        assert kept.value == pytest.approx(result["retention"]["after"])


def test_a_tracker_without_its_package_is_one_line(tmp_path: Path) -> None:
    for tracker in ("trackio", "wandb", "mlflow"):
        try:
            __import__(tracker)
        except ImportError:
            with pytest.raises(BenchError, match=rf"^--tracker {tracker} needs its package: pip"):
                compare("lwf", "cola", tracker=tracker, out=tmp_path)
    with pytest.raises(BenchError, match=r"^tracker = 'tensorbord' is out of range: it must"):
        compare("lwf", "cola", tracker="tensorbord", out=tmp_path)
    assert not any(tmp_path.iterdir())
