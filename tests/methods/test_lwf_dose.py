"""LWF on a real model: how far its ascent takes the answers that it unlearns."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.selfcheck.world import plan_for, stage_for
from bench.training.loop import train

RUN = (
    "lwf.select=all", "lwf.samples=128", "lwf.interval=4", "lwf.batch_size=16",
    "train.steps=28", "train.lr=5e-4", "train.batch_size=16", "train.max_train=640",
    "train.max_length=256",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "least", "most"),
    [
        ((), 1.3, 3.3),  # the defaults: held near 2.3 nats
        (("lwf.taper=false",), 4.0, 9.0),  # the cap stops no Adam
        (("lwf.max_rise=none",), 9.0, float("inf")),
    ],
)
def test_a_taper_holds_what_a_cap_alone_lets_run(
    shared_data: Path, shared_model: Path, tmp_path: Path,
    words: tuple[str, ...], least: float, most: float,
) -> None:  # fmt: skip
    """Nats per token above the base model's, when Adam has had its time: step 20 to 28."""
    plan = plan_for(["lwf"], ["rte"], shared_model, shared_data, *RUN, *words, forget=["sst2"])
    stage = stage_for(plan, tmp_path)
    curve = train(stage.run, stage.method, None)["curve"]
    late = [p["unlearned_nll"] for p in curve if p["step"] >= 20 and "unlearned_nll" in p]
    base = float(stage.method.base.mean())  # type: ignore[attr-defined]
    assert len(late) == 3
    assert least < min(late) - base
    assert max(late) - base < most
