"""EWC: the Fisher against a loop over texts, the penalty against autograd, and what it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.core.errors import BenchError
from bench.network import running_text
from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.scoring.evaluation import drift
from bench.selfcheck.world import plan_for, stage_for, trained, weights, write_encoder
from bench.training.loop import train
from methods.ewc import EWC
from methods.shared import text_fisher as kernel
from tests.helpers.worlds import results

BLOCKS = 8
IGNORE = -100


def prepared(plan: Plan, folder: Path) -> tuple[CellSession, EWC]:
    """A cell right after its `prepare`."""
    stage = stage_for(plan, folder)
    method = stage.method
    assert isinstance(method, EWC)
    method.prepare(stage.run)
    return stage, method


@pytest.fixture
def ewc_plan(tiny_causal: Path, tiny_data: Path) -> Callable[..., Plan]:
    """The plan of one EWC cell on the causal model, with settings."""

    def plan(*settings: str, **options: Any) -> Plan:
        words = "ewc.strength=1", *settings
        return plan_for(["ewc"], ["cola"], tiny_causal, tiny_data, *words, **options)

    return plan


def loop_fisher(net: Any, losses: Iterator[Tensor], names: set[str]) -> dict[str, Tensor]:
    """The mean of squared gradients, one backward per text, in the precision of `net`."""
    wanted = {name: p for name, p in net.named_parameters() if name in names}
    total = {name: torch.zeros_like(p) for name, p in wanted.items()}
    count = 0
    for loss in losses:
        found = torch.autograd.grad(loss, wanted.values())
        for name, g in zip(wanted, found, strict=True):
            total[name] += g.square()
        count += 1
    return {name: x / count for name, x in total.items()}


def causal_fisher(folder: Path, blocks: list[list[int]]) -> dict[str, Tensor]:
    """F of a causal model over texts, in float64, by the model's own forward pass."""
    net = hf.AutoModelForCausalLM.from_pretrained(folder).double().eval()

    def losses() -> Iterator[Tensor]:
        for block in blocks:
            ids = torch.tensor([block])
            logits = net(input_ids=ids).logits[0, :-1]
            yield cross_entropy(logits, ids[0, 1:], reduction="sum")

    return loop_fisher(net, losses(), {name for name, _ in net.named_parameters()})


def normalised(fisher: dict[str, Tensor]) -> dict[str, Tensor]:
    mean = torch.cat([x.flatten() for x in fisher.values()]).mean()
    return {name: x / mean for name, x in fisher.items()}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal to 1e-4 of each tensor's largest entry (keys' biases have no gradient but noise)."""
    assert found.keys() == expected.keys()
    noise = 1e-9 * max(x.max() for x in expected.values())
    for name, x in expected.items():
        assert (found[name].double() - x).abs().max() < 1e-4 * x.max() + noise, name


def sampled_texts(stage: CellSession) -> list[list[int]]:
    info = stage.cell.model
    return running_text.sampled_blocks(stage.run.net, stage.tokenizer, info, BLOCKS, "fisher")


def test_fisher_equals_a_loop_over_text_that_the_model_wrote(
    ewc_plan: Callable[..., Plan], tiny_causal: Path, tmp_path: Path
) -> None:
    stage, method = prepared(ewc_plan("ewc.strength=3"), tmp_path)
    blocks = sampled_texts(stage)
    assert len({tuple(block) for block in blocks}) > BLOCKS / 2
    raw = causal_fisher(tiny_causal, blocks)
    assert_close(method.stiffness, {name: 3 * x for name, x in normalised(raw).items()})
    assert {x.dtype for x in method.stiffness.values()} == {torch.float32}
    _, method = prepared(ewc_plan("ewc.strength=3", "ewc.normalise=false"), tmp_path)
    assert_close(method.stiffness, {name: 3 * x for name, x in raw.items()})


def test_fisher_is_normalised_to_mean_one(ewc_plan: Callable[..., Plan], tmp_path: Path) -> None:
    _, method = prepared(ewc_plan(), tmp_path)
    values = torch.cat([x.flatten() for x in method.stiffness.values()]).double()
    assert float(values.mean()) == pytest.approx(1, rel=1e-5)
    assert values.min() >= 0


def test_fisher_of_the_retention_file(
    ewc_plan: Callable[..., Plan], tiny_causal: Path, tiny_text: Path, tmp_path: Path
) -> None:
    plan = ewc_plan("ewc.fisher=retention", retention=str(tiny_text))
    stage, method = prepared(plan, tmp_path)
    blocks = running_text.cut_blocks(
        tiny_text.read_text(), stage.tokenizer, BLOCKS * running_text.BLOCK, scored=False
    )
    assert len(blocks) == BLOCKS
    assert_close(method.stiffness, normalised(causal_fisher(tiny_causal, blocks)))
    _, other = prepared(ewc_plan(), tmp_path)
    name = "model.norm.weight"
    assert not torch.allclose(other.stiffness[name], method.stiffness[name], rtol=0.05)


def test_a_retention_fisher_needs_a_text(ewc_plan: Callable[..., Plan]) -> None:
    with pytest.raises(BenchError, match="needs a text: give one with --retention FILE"):
        ewc_plan("ewc.fisher=retention")


def test_the_gradient_is_that_of_the_penalty(
    ewc_plan: Callable[..., Plan], tiny_causal: Path, tmp_path: Path
) -> None:
    stage, method = prepared(ewc_plan("ewc.strength=3"), tmp_path)
    run = stage.run
    fisher = normalised(causal_fisher(tiny_causal, sampled_texts(stage)))
    base = {name: x.double() for name, x in run.anchor.items()}
    torch.manual_seed(5)
    parameters = dict(run.net.named_parameters())
    for p in parameters.values():
        p.data += 0.01 * torch.randn_like(p)
        p.grad = torch.randn_like(p)
    task = {name: p.grad.double() for name, p in parameters.items() if p.grad is not None}
    moved = {name: p.detach().double().requires_grad_() for name, p in parameters.items()}
    penalty = 3 / 2 * sum((fisher[n] * (moved[n] - base[n]).square()).sum() for n in moved)
    added = torch.autograd.grad(penalty, moved.values())

    run.logging = False
    method.after_backward(run)
    assert not run.logged, "the penalty's value is computed only where it is kept"
    for (name, p), expected in zip(parameters.items(), added, strict=True):
        assert p.grad is not None
        assert (p.grad - task[name] - expected).abs().max() < 2e-4 * expected.abs().max(), name
    run.logging = True
    method.after_backward(run)
    assert run.logged == {"penalty": pytest.approx(penalty.item(), rel=1e-4)}


def test_a_parameter_without_a_gradient_gets_none(
    ewc_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    stage, method = prepared(ewc_plan(), tmp_path)
    method.after_backward(stage.run)
    assert all(p.grad is None for p in stage.run.net.parameters())


def test_strength_zero_is_plain_fine_tuning_bit_for_bit(
    ewc_plan: Callable[..., Plan], tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = weights(trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path))
    off = weights(trained(ewc_plan("ewc.strength=0"), tmp_path))
    on = weights(trained(ewc_plan("ewc.strength=1"), tmp_path))
    assert all(torch.equal(x, off[name]) for name, x in plain.items())
    assert not all(torch.equal(x, on[name]) for name, x in plain.items())


def test_the_stronger_the_closer_to_the_base(ewc_plan: Callable[..., Plan], tmp_path: Path) -> None:
    """Adam takes steps of one size whatever the gradient, so the way back takes a few of them."""
    settings = "train.steps=40", "train.lr=1e-3", "train.warmup=0"
    drifts = [
        drift(trained(ewc_plan(f"ewc.strength={strength}", *settings), tmp_path).loaded)
        for strength in ("0", "1", "1e6")
    ]
    assert drifts[0] > 2 * drifts[1] > 10 * drifts[2] > 0


def test_encoder_through_its_masked_head(
    tiny_encoder: Path, tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    """F comes from the head that the encoder was pretrained with; the new head is left alone."""
    settings = "ewc.fisher=retention", "ewc.strength=3"
    plan = plan_for(["ewc"], ["rte"], tiny_encoder, tiny_data, *settings, retention=str(tiny_text))
    stage, method = prepared(plan, tmp_path)
    run = stage.run
    blocks = running_text.cut_blocks(
        tiny_text.read_text(),
        stage.tokenizer,
        BLOCKS * running_text.BLOCK,
        scored=False,
        kind="encoder",
    )
    (batch,) = running_text.text_batches(blocks, stage.tokenizer, "encoder", 16)
    net = hf.AutoModelForMaskedLM.from_pretrained(tiny_encoder).double().eval()

    def losses() -> Iterator[Tensor]:
        for i in range(BLOCKS):
            logits = net(**{key: x[i : i + 1] for key, x in batch.inputs.items()}).logits[0]
            chosen = batch.targets[i] != IGNORE
            assert chosen.any()
            yield cross_entropy(logits[chosen], batch.targets[i][chosen], reduction="sum")

    raw = loop_fisher(net, losses(), set(run.anchor))
    assert_close(method.stiffness, {name: 3 * x for name, x in normalised(raw).items()})

    heads = {name for name, _ in run.net.named_parameters()} - method.stiffness.keys()
    assert {name.split(".")[0] for name in heads} == {"bert", "classifier"}  # bert: the pooler
    for _, p in run.net.named_parameters():
        p.data += 0.01
        p.grad = torch.zeros_like(p)
    method.after_backward(run)
    for name, p in run.net.named_parameters():
        assert p.grad is not None
        assert bool(p.grad.any()) == (name not in heads), name


def test_encoder_whose_checkpoint_has_a_pooler(
    tiny_data: Path, tiny_text: Path, tmp_path: Path
) -> None:
    """BERT's own checkpoints: the pooler is pretrained, and no masked token depends on it."""
    model = write_encoder(tmp_path / "model", hf.BertForPreTraining)
    settings = ("ewc.fisher=retention",)
    plan = plan_for(["ewc"], ["cola"], model, tiny_data, *settings, retention=str(tiny_text))
    stage, method = prepared(plan, tmp_path)
    assert "bert.pooler.dense.weight" in stage.loaded.base
    assert "bert.encoder.layer.0.output.dense.weight" in method.stiffness
    record = train(stage.run, method, None)
    assert record["curve"][-1]["penalty"] > 0


def test_an_encoder_cannot_write_the_text(
    tiny_encoder: Path, tiny_data: Path, tiny_text: Path
) -> None:
    with pytest.raises(BenchError) as caught:
        plan_for(["ewc"], ["cola"], tiny_encoder, tiny_data, retention=str(tiny_text))
    assert "ewc" in str(caught.value)
    assert "it is an encoder, which cannot write the text" in str(caught.value)
    assert "--retention FILE --set ewc.fisher=retention" in str(caught.value)


def test_fisher_is_computed_once_and_charged_to_every_cell(
    ewc_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = kernel.fisher_diagonal

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return real(*args, **options)

    monkeypatch.setattr(kernel, "fisher_diagonal", counted)
    first, second = results(ewc_plan(seeds=2), tmp_path)
    assert len(calls) == 1
    (file,) = (tmp_path / "cache").glob("fisher-*.seconds")
    price = json.loads(file.read_text(encoding="utf-8"))["seconds"]
    assert price > 0
    for result in (first, second):
        costs = result["costs"]
        assert costs is not None
        assert price <= costs["prepare"] < 2 * price
        assert costs["method"] >= costs["prepare"] + costs["train"]


def test_the_state_goes_round(ewc_plan: Callable[..., Plan], tmp_path: Path) -> None:
    _, method = prepared(ewc_plan(), tmp_path)
    other = EWC(method.config)
    other.load_state_dict(method.state_dict())
    assert other.stiffness.keys() == method.stiffness.keys()
    assert all(torch.equal(x, other.stiffness[name]) for name, x in method.stiffness.items())
