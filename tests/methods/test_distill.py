"""Distillation: the divergence written out, its gradient, and the positions that it is taken at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.errors import BenchError
from bench.network.batches import answer_batch
from bench.network.likelihood import Way
from bench.network.loading import load_language_model
from bench.selfcheck.world import World, plan_for, stage_for, trained
from methods.distill.method import Distill
from methods.distill.teacher import divergence


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def written_out(teacher: list[float], student: list[float], temperature: float) -> float:
    """Σ p_teacher (log p_teacher − log p_student)."""
    p, q = softmax(teacher, temperature), softmax(student, temperature)
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_divergence_is_the_teachers_from_the_student(temperature: float) -> None:
    torch.manual_seed(3)
    teacher, student = 3 * torch.randn(4, 7), (3 * torch.randn(4, 7)).requires_grad_()
    found = divergence(teacher, student, temperature)
    rows = list(zip(teacher.tolist(), student.tolist(), strict=True))
    wanted = [written_out(one, other, temperature) for one, other in rows]
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-4, atol=1e-6)
    swapped = torch.tensor([written_out(other, one, temperature) for one, other in rows])
    assert (found - swapped).abs().min() > 1e-3, "the order of the two can be told here"
    (gradient,) = torch.autograd.grad(found.sum(), student)
    for i, (one, other) in enumerate(rows):
        for k in range(7):
            up, down = list(other), list(other)
            up[k], down[k] = up[k] + 1e-4, down[k] - 1e-4
            slope = written_out(one, up, temperature) - written_out(one, down, temperature)
            assert float(gradient[i, k]) == pytest.approx(slope / 2e-4, abs=1e-5)


def test_nothing_diverges_from_itself() -> None:
    logits = (5 * torch.randn(3, 11)).requires_grad_()
    found = divergence(logits.detach(), logits, 2.0)
    assert not found.any()
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert gradient.abs().max() < 1e-6


PAIRS = [([5, 6, 7, 8], [9]), ([5, 9, 11, 6, 7, 10, 12, 8], [6, 7, 8]), ([7, 6], [5, 6])]


@pytest.mark.parametrize("way", [Way.PICKED, Way.WHOLE, Way.ALONE])
def test_the_loss_is_a_slow_loop_over_examples_and_positions(
    way: Way, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Example by example, without padding, from the networks' own logits."""
    words = "distill.weight=0.7", "distill.temperature=3"
    stage = stage_for(plan_for(["distill"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
    run, method = stage.run, stage.method
    assert isinstance(method, Distill)
    torch.manual_seed(5)
    for parameter in run.net.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    method.optimizer(run)
    run.task_model.way = method.teacher.way = way
    batch = answer_batch(PAIRS, run.tokenizer.pad_token_id)
    batch.scale = 1 / 6  # of 1 + 3 + 2 answer tokens
    base, wanted = load_language_model(run.cell.model).eval(), 0.0
    for prompt, answer in PAIRS:
        ids = torch.tensor([prompt + answer[:-1]])
        with torch.no_grad():
            one, other = base(input_ids=ids).logits[0], run.net(input_ids=ids).logits[0]
        apart = [written_out(*rows, 3.0) for rows in zip(one.tolist(), other.tolist(), strict=True)]
        assert len(apart) == len(prompt) + len(answer) - 1
        wanted += len(answer) / 6 * sum(apart) / len(apart)
    found = method.loss(run, batch) - run.task_loss(batch)
    assert wanted > 0.01
    assert float(found.detach()) == pytest.approx(0.7 * 9 * wanted, rel=1e-3)


def test_the_gradient_reaches_the_student_alone(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Along a random direction, against finite differences of the loss."""
    words = "distill.weight=20", "train.steps=4"
    stage = trained(plan_for(["distill"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
    run, method = stage.run, stage.method
    assert isinstance(method, Distill)
    taught = dict(method.teacher.net.named_parameters())
    assert taught.keys() == run.anchor.keys()
    assert all(torch.equal(p, run.anchor[name]) for name, p in taught.items())
    (batch,) = run.batches(list(range(6)), 6)
    batch.scale = 1 / 6
    method.loss(run, batch).backward()
    assert all(p.grad is None for p in taught.values())
    own = [p for p in run.net.parameters() if p.grad is not None]
    grads = [p.grad for p in own if p.grad is not None]
    along = [g / torch.stack([other.norm() for other in grads]).norm() for g in grads]

    @torch.no_grad()
    def at(step: float) -> Tensor:
        for p, direction in zip(own, along, strict=True):
            p += step * direction
        value = method.loss(run, batch)
        for p, direction in zip(own, along, strict=True):
            p -= step * direction
        return value

    slope = float(at(1e-3) - at(-1e-3)) / 2e-3
    wanted = float(sum((g * d).sum() for g, d in zip(grads, along, strict=True)))
    assert slope == pytest.approx(wanted, rel=2e-2)


def test_it_stacks_on_what_reads_the_head(world: World, tmp_path: Path) -> None:
    """bss hooks the output layer, which distillation applies once more to the same pass."""
    alone = trained(world.plan("distill", "causal"), tmp_path)
    both: Any = trained(world.plan("bss+distill", "causal", "bss.eta=0"), tmp_path)
    for (name, p), (_, q) in zip(
        alone.run.net.named_parameters(), both.run.net.named_parameters(), strict=True
    ):
        assert torch.equal(p, q), name
    trained(world.plan("bss+distill", "causal", "bss.eta=0.1"), tmp_path)


def test_refused_on_an_encoder(tiny_encoder: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError, match=r"distill.* on .*its new head has no counterpart"):
        plan_for(["distill"], ["cola"], tiny_encoder, tiny_data)
