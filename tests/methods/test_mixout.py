"""Mixout: the published mixture and its gradient by autograd, the draws, and the weights after."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from bench.network.batches import Batch
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained, weights
from bench.training.context import TrainingContext
from methods.mixout import mixing as kernel
from methods.mixout.method import Mixout

P = 0.25


def shaken(model: Path, data: Path, folder: Path) -> tuple[CellSession, Mixout, Batch]:
    """A cell whose weights lie off θ0 and that has made three steps, and a batch of it."""
    stage = stage_for(plan_for(["mixout"], ["cola"], model, data, f"mixout.p={P}"), folder)
    torch.manual_seed(5)
    for parameter in stage.run.net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    stage.run.net.eval()  # no dropout
    stage.run.step = 3
    (batch,) = stage.run.batches(list(range(6)), 6)
    method = stage.method
    assert isinstance(method, Mixout)
    return stage, method, batch


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_loss_and_gradient_are_those_of_the_mixture(
    kind: str, tiny_causal: Path, tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    model = {"causal": tiny_causal, "encoder": tiny_encoder}[kind]
    stage, method, batch = shaken(model, tiny_data, tmp_path)
    run, base = stage.run, stage.run.anchor
    before = weights(stage)
    loss = method.loss(run, batch)
    loss.backward()
    names = {id(p): name for name, p in run.net.named_parameters()}
    kept = {names[id(m.parameter)]: m.factor.sign() for m in method.mixed}
    method.after_backward(run)
    assert all(torch.equal(x, before[name]) for name, x in weights(stage).items())

    theta = {name: x.clone().requires_grad_() for name, x in before.items()}
    mixture = {
        name: ((1 - kept[name]) * base[name] + kept[name] * x - P * base[name]) / (1 - P)
        if name in kept
        else x
        for name, x in theta.items()
    }
    expected = torch.func.functional_call(
        _Loss(run), {f"run.net.{name}": x for name, x in mixture.items()}, (batch,)
    )
    torch.testing.assert_close(loss, expected)
    expected.backward()
    for name, parameter in run.net.named_parameters():
        torch.testing.assert_close(parameter.grad, theta[name].grad, rtol=1e-3, atol=1e-5)


class _Loss(nn.Module):
    """The task's loss as a module, so that its weights can be swapped for others."""

    def __init__(self, run: TrainingContext) -> None:
        super().__init__()
        self.run = nn.ModuleDict({"net": run.net})
        self.compute = run.task_loss

    def forward(self, batch: Batch) -> Tensor:
        return self.compute(batch)


def mixed_names(net: Any) -> set[str]:
    """The parameters that are mixed in a network whose parameters are all pretrained."""
    loaded = SimpleNamespace(pretrained=lambda: list(net.named_parameters()))
    run = cast(TrainingContext, SimpleNamespace(net=net, loaded=loaded))
    return {name for name, _ in kernel._linear_weights(run)}


def test_linear_weights_are_mixed_and_nothing_else(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage, _, _ = shaken(tiny_encoder, tiny_data, tmp_path)
    found = {name for name, _ in kernel._linear_weights(stage.run)}
    dense = {n for n, p in stage.loaded.pretrained() if p.ndim == 2 and ".embeddings." not in n}
    assert found == dense
    assert len(found) == 12, "six in each block; the pooler and the classifier are new"
    shape: dict[str, Any] = {"vocab_size": 20, "n_embd": 8, "n_layer": 1, "n_head": 2}
    parts = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
    blocks = {f"transformer.h.0.{part}.weight" for part in parts}
    tied = hf.GPT2LMHeadModel(hf.GPT2Config(**shape))
    assert mixed_names(tied) == blocks
    untied = hf.GPT2LMHeadModel(hf.GPT2Config(**shape, tie_word_embeddings=False))
    assert mixed_names(untied) == blocks | {"lm_head.weight"}


def test_draws_depend_on_the_step_and_keep_the_mean(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage, _, _ = shaken(tiny_causal, tiny_data, tmp_path)
    before = weights(stage)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        """All masks and all mixtures in a row."""
        stage.run.step = step
        mixed = kernel.mix(stage.run, P)
        flat = [
            torch.cat([x.flatten() for x in part])
            for part in ([m.factor for m in mixed], [m.parameter.detach().clone() for m in mixed])
        ]
        kernel.restore(mixed)
        return flat[0], flat[1]

    first = draw(0)
    assert torch.equal(draw(0)[0], first[0])
    assert not torch.equal(draw(1)[0], first[0])
    assert float((first[0] > 0).float().mean()) == pytest.approx(1 - P, abs=0.02)
    mean = torch.stack([draw(step)[1] for step in range(200)]).mean(0)
    own = torch.cat([before[name].flatten() for name, _ in kernel._linear_weights(stage.run)])
    spread = 0.1 * (P / (1 - P) / 200) ** 0.5  # of a mean of 200 draws, 0.1 off θ0
    assert float((mean - own).square().mean().sqrt()) == pytest.approx(spread, rel=0.1)


def test_mixed_weights_stay_closer_to_the_base(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    def moved(p: str) -> float:
        words = f"mixout.p={p}", "train.steps=30", "train.weight_decay=0"
        stage = trained(plan_for(["mixout"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
        return sum(
            float((x.detach() - stage.run.anchor[name]).square().sum())
            for name, x in kernel._linear_weights(stage.run)
        )

    assert moved("0.9") < 0.5 * moved("0")
