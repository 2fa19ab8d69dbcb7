"""LWF under another method: its gradient is a part of the step, whatever that makes of a step."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.stack import Stack
from tests.helpers.lwf_by_hand import ByHand


class RecAdamByHand(ByHand):
    """RecAdam's rule, from its official code: the moments see the whole clipped gradient, that of
    learning and that of unlearning; the pull is behind them."""

    T0, K, GAMMA = 3, 0.5, 50.0

    def __init__(self, stage: CellSession) -> None:
        assert isinstance(stage.method, Stack)
        super().__init__(stage, stage.method.parts[0])
        zeros = {n: torch.zeros_like(p) for n, p in self.net.named_parameters()}
        self.theta0 = {n: p.detach().clone() for n, p in self.net.named_parameters()}
        self.m, self.v, self.t = zeros, {n: x.clone() for n, x in zeros.items()}, 0

    @torch.no_grad()
    def move(self, rate: float) -> None:
        self.t += 1
        one, two, decay = self.recipe.beta1, self.recipe.beta2, self.recipe.weight_decay
        weight = 1 / (1 + math.exp(-self.K * (self.t - self.T0)))
        size = rate * math.sqrt(1 - two**self.t) / (1 - one**self.t)
        for name, p in self.net.named_parameters():
            assert p.grad is not None
            m, v = self.m[name], self.v[name]
            m.copy_(one * m + (1 - one) * p.grad)
            v.copy_(two * v + (1 - two) * p.grad.square())
            p -= size * weight * m / (v.sqrt() + self.recipe.eps)
            p -= rate * (1 - weight) * self.GAMMA * (p - self.theta0[name])
            if p.ndim > 1:
                p -= rate * decay * p


def plan(tiny_causal: Path, tiny_data: Path, methods: str, *words: str) -> Plan:
    return plan_for([methods], ["cola"], tiny_causal, tiny_data, *words)


def test_under_recadam_a_step_is_recadams_on_both_gradients(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    settings = "lwf.weight=2", "lwf.interval=2", "lwf.max_rise=none", "lwf.temperature=1"
    by_hand = RecAdamByHand
    rule = f"recadam.k={by_hand.K}", f"recadam.t0={by_hand.T0}", f"recadam.gamma={by_hand.GAMMA}"
    recipe = "train.steps=7", "train.eps=1e-4", "train.lr=2e-3"
    made = plan(tiny_causal, tiny_data, "recadam+lwf", *settings, *rule, *recipe)
    stage = stage_for(made, tmp_path)
    wanted = by_hand(stage).train([2, 4, 6])
    found = weights(trained(made, tmp_path))
    for name, x in wanted.items():
        moved = (x - stage.loaded.base[name]).norm()
        assert (found[name] - x).norm() <= 1e-3 * moved, name
    alone = weights(trained(plan(tiny_causal, tiny_data, "recadam", *rule, *recipe), tmp_path))
    name, x = max(alone.items(), key=lambda pair: pair[1].numel())
    assert (found[name] - x).norm() > 0.1 * (x - stage.loaded.base[name]).norm()


@pytest.mark.parametrize(("stack", "masked"), [("lwf+child_tuning", 1), ("child_tuning+lwf", 0)])
def test_a_mask_behind_it_masks_it(
    stack: str, masked: bool, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Where child_tuning's child is the same at every step, the rest stands still."""
    words = "child_tuning.mode=D", "child_tuning.p=0.1", "train.weight_decay=0"
    stage = trained(plan(tiny_causal, tiny_data, stack, *words, "lwf.interval=1"), tmp_path)
    assert isinstance(stage.method, Stack)
    assert [part.name for part in stage.method.parts] == stack.split("+")
    child: dict[str, Tensor] = next(
        part.state_dict() for part in stage.method.parts if part.name == "child_tuning"
    )
    now, base = weights(stage), stage.loaded.base
    still = all(torch.equal(now[n][~inside], base[n][~inside]) for n, inside in child.items())
    assert still is bool(masked)


def test_steps_of_its_own_are_refused_where_they_would_count_as_learning(
    tiny_causal: Path, tiny_data: Path
) -> None:
    for other in ("recadam", "child_tuning"):
        with pytest.raises(Exception, match="lwf takes steps of its own"):
            plan(tiny_causal, tiny_data, f"{other}+lwf", "lwf.ascent=own")
