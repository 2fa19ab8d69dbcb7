"""Weights in bfloat16: what must be float32 is, and every method ends near its float32 self."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.planning.plugins import load_builtin
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.adamw import MasterAdamW
from bench.training.loop import train
from bench.training.method import METHODS

load_builtin()
NARROW = "train.weights=bfloat16"


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_ends_near_its_float32_self(
    name: str, tiny_causal: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    """To within a tenth of what it moved (rounding of its passes, not of its steps)."""
    both = []
    for held in ("float32", "bfloat16"):
        # a text that the rounded model wrote would be another one
        words = f"train.weights={held}", *(["replay.source=retention"] if name == "replay" else [])
        text = str(tiny_text)
        plan = plan_for([name], ["cola"], tiny_causal, tiny_data, *words, retention=text)
        both.append(trained(plan, tmp_path / held))
    plain, narrow = both
    assert {p.dtype for p in narrow.run.net.parameters()} == {torch.bfloat16}
    state = narrow.run.optimizer.optimizer.state.values()
    kept = [x for values in state for x in values.values() if isinstance(x, torch.Tensor)]
    assert kept and {x.dtype for x in kept} == {torch.float32}
    far = drift(plain.loaded)
    assert drift(narrow.loaded) == pytest.approx(far, rel=0.2)
    moved = {n: x - plain.loaded.base[n] for n, x in weights(plain).items()}
    apart = sum(
        float((x.float() - narrow.loaded.base[n].float() - moved[n]).square().sum())
        for n, x in weights(narrow).items()
    )
    assert apart < 0.3 * far


def test_a_stopped_run_goes_on_exactly(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    plan = plan_for(["recadam"], ["cola"], tiny_causal, tiny_data, NARROW)
    whole, first, rest = (stage_for(plan, tmp_path / str(i // 2)) for i in (0, 2, 3))
    expected = train(whole.run, whole.method, None)
    train(first.run, first.method, tmp_path / "stopped", stop_at=2)
    record = train(rest.run, rest.method, tmp_path / "stopped")
    assert record["resumes"] == 1 and record["curve"] == expected["curve"]
    ends = weights(whole), weights(rest)
    assert all(torch.equal(x, ends[1][n]) for n, x in ends[0].items())


def test_in_float32_it_is_torchs_adamw_to_the_last_bit() -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"lr": 1e-2, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1}
    ours, theirs = ([nn.Parameter(torch.ones(5, 3)), nn.Parameter(torch.ones(3))] for _ in range(2))
    optimizer = MasterAdamW([{"params": ours}], **options)
    reference = torch.optim.AdamW(theirs, fused=True, **options)
    for _ in range(6):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        optimizer.step()
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_steps_below_the_spacing_add_up() -> None:
    """A hundred steps of 1e-4 from 1, where bfloat16 has a spacing of 2⁻⁸ below and 2⁻⁷ above:
    what float32 ends at, rounded; and not 1, where rounding every step would stay."""
    wide, narrow = (
        nn.Parameter(torch.ones(4, dtype=kind)) for kind in (torch.float32, torch.bfloat16)
    )
    both = [MasterAdamW([{"params": [p]}], lr=1e-4, weight_decay=0.0) for p in (wide, narrow)]
    for _ in range(100):
        for p, optimizer in zip((wide, narrow), both, strict=True):
            p.grad = torch.ones_like(p)
            optimizer.step()
    assert torch.equal(narrow, wide.bfloat16())
    assert float(wide[0]) == pytest.approx(0.99, abs=1e-4)
    assert torch.equal(both[1].state[narrow]["master"], wide.detach())
