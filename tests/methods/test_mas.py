"""MAS: the importance against a loop over texts, the penalty against autograd, what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from bench.core.errors import BenchError
from bench.network import running_text
from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained, workspace_for
from methods.mas import MAS

BLOCKS = 8
IGNORE = -100


def prepared(plan: Plan, folder: Path) -> tuple[CellSession, MAS]:
    """A cell right after its `prepare`."""
    stage = stage_for(plan, folder)
    method = stage.method
    assert isinstance(method, MAS)
    method.prepare(stage.run)
    return stage, method


def loop_importance(net: Any, norms: Iterator[Tensor], names: set[str]) -> dict[str, Tensor]:
    """The mean of absolute gradients, one backward per text, scaled to mean 1."""
    wanted = {name: p for name, p in net.named_parameters() if name in names}
    total = {name: torch.zeros_like(p) for name, p in wanted.items()}
    for norm in norms:
        found = torch.autograd.grad(norm, list(wanted.values()))
        for name, g in zip(wanted, found, strict=True):
            total[name] += g.abs()
    mean = torch.cat([x.flatten() for x in total.values()]).mean()
    return {name: x / mean for name, x in total.items()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal to 1e-4 of each tensor's largest entry (keys' biases have no gradient but noise)."""
    assert found.keys() == expected.keys()
    noise = 1e-6 * max(x.max() for x in expected.values())
    for name, x in expected.items():
        assert (found[name].double() - x).abs().max() < 1e-4 * x.max() + noise, name


@pytest.mark.parametrize("text", ["sampled", "retention"])
def test_importance_equals_a_loop_over_texts(
    text: str, tiny_causal: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    words = f"mas.text={text}", f"mas.blocks={BLOCKS}", "mas.strength=3"
    plan = plan_for(["mas"], ["cola"], tiny_causal, tiny_data, *words, retention=str(tiny_text))
    stage, method = prepared(plan, tmp_path)
    blocks = running_text.cut_blocks(
        tiny_text.read_text(), stage.tokenizer, BLOCKS * running_text.BLOCK, scored=False
    )
    if text == "sampled":
        info = stage.cell.model
        blocks = running_text.sampled_blocks(stage.run.net, stage.tokenizer, info, BLOCKS, "fisher")
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal).double().eval()

    def norms() -> Iterator[Tensor]:
        for block in blocks:  # no token follows the last one, so it predicts nothing
            yield net(input_ids=torch.tensor([block])).logits[0, :-1].square().sum()

    expected = loop_importance(net, norms(), {name for name, _ in net.named_parameters()})
    assert_close(method.stiffness, {name: 3 * x for name, x in expected.items()})


def test_encoder_through_its_masked_head(
    tiny_encoder: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    words = "mas.text=retention", f"mas.blocks={BLOCKS}"
    plan = plan_for(["mas"], ["rte"], tiny_encoder, tiny_data, *words, retention=str(tiny_text))
    stage, method = prepared(plan, tmp_path)
    blocks = running_text.cut_blocks(
        tiny_text.read_text(),
        stage.tokenizer,
        BLOCKS * running_text.BLOCK,
        scored=False,
        kind="encoder",
    )
    (batch,) = running_text.text_batches(blocks, stage.tokenizer, "encoder", 16)
    net = hf.AutoModelForMaskedLM.from_pretrained(tiny_encoder).double().eval()

    def norms() -> Iterator[Tensor]:
        for i in range(BLOCKS):
            logits = net(**{key: x[i : i + 1] for key, x in batch.inputs.items()}).logits[0]
            yield logits[batch.targets[i] != IGNORE].square().sum()

    expected = loop_importance(net, norms(), set(stage.run.anchor))
    found = {name: x / method.config.strength for name, x in method.stiffness.items()}
    assert_close(found, expected)


def test_the_gradient_is_that_of_the_penalty(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = f"mas.blocks={BLOCKS}", "mas.strength=2"
    stage, method = prepared(plan_for(["mas"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
    run = stage.run
    torch.manual_seed(5)
    for parameter in run.net.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
        parameter.grad = torch.zeros_like(parameter)
    parameters = dict(run.net.named_parameters())
    moved = {name: p.detach().double().requires_grad_() for name, p in parameters.items()}
    penalty = sum(
        (x * (moved[name] - run.anchor[name]).square()).sum() / 2
        for name, x in method.stiffness.items()
    )
    expected = torch.autograd.grad(penalty, list(moved.values()))
    method.after_backward(run)
    for (name, p), g in zip(parameters.items(), expected, strict=True):
        assert p.grad is not None
        assert (p.grad - g).abs().max() < 2e-4 * g.abs().max(), name


def test_the_stronger_the_closer_to_the_base(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    def moved(strength: str) -> float:
        words = f"mas.strength={strength}", f"mas.blocks={BLOCKS}", "train.steps=40"
        stage = trained(plan_for(["mas"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
        return drift(stage.loaded)

    assert moved("0") > 2 * moved("1") > 4 * moved("1e6") > 0


def test_an_encoder_cannot_write_the_text(
    tiny_encoder: Path, tiny_data: Path, tiny_text: Path
) -> None:
    with pytest.raises(BenchError, match=r"--retention FILE --set mas\.text=retention"):
        plan_for(["mas"], ["cola"], tiny_encoder, tiny_data, retention=str(tiny_text))
    with pytest.raises(BenchError, match="needs a text: give one with --retention FILE"):
        plan_for(["mas"], ["cola"], tiny_encoder, tiny_data, "mas.text=retention")


def test_its_texts_are_written_once_for_ewc_too(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = running_text.sampled_blocks

    def counted(*args: Any) -> running_text.Blocks:
        written.append(args[3])
        return real(*args)

    monkeypatch.setattr(running_text, "sampled_blocks", counted)
    words = f"ewc.blocks={BLOCKS}", f"mas.blocks={BLOCKS}"
    plan = plan_for(["ewc", "mas"], ["cola"], tiny_causal, tiny_data, *words)
    workspace = workspace_for(plan, tmp_path)
    stages = [CellSession(cell, workspace) for cell in plan.spec.cells()]
    for stage in stages:
        stage.method.prepare(stage.run)
    assert written == [BLOCKS]
    sampling, *_ = prices(tmp_path, "sampled-text")
    assert all(
        price > sampling for kind in ("fisher", "sensitivity") for price in prices(tmp_path, kind)
    )


def prices(folder: Path, kind: str) -> list[float]:
    """What the entries of a kind cost at first, in seconds."""
    files = (folder / "cache").glob(f"{kind}-*.seconds")
    return [json.loads(file.read_text())["seconds"] for file in files]
