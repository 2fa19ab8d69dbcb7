"""BSS: the features against the model's own hidden states, the penalty against eigenvalues and
finite differences, and what it presses down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from bench.core.errors import BenchError
from bench.network.batches import Batch
from bench.network.likelihood import Way
from bench.running.session import CellSession
from bench.selfcheck.world import plan_for, stage_for, trained
from methods.shared.features import _head, head_input, smallest_singular_values

Models = dict[str, Path]


@pytest.fixture
def models(tiny_causal: Path, tiny_encoder: Path) -> Models:
    return {"causal": tiny_causal, "encoder": tiny_encoder}


def cell(model: Path, data: Path, folder: Path, *settings: str) -> tuple[CellSession, Batch]:
    """A cell without dropout, and a batch of six examples of it, of several lengths."""
    stage = stage_for(plan_for(["bss"], ["cola"], model, data, *settings), folder)
    stage.run.net.eval()
    (batch,) = stage.run.batches(list(range(6)), 6)
    return stage, batch


def own_features(stage: CellSession, batch: Batch) -> Tensor:
    """The last hidden state before the answer, example by example; an encoder's pooled output."""
    net, rows = stage.run.net, []
    for i in range(len(batch)):
        inputs = {key: x[i : i + 1] for key, x in batch.inputs.items()}
        if batch.positions is None:
            rows.append(net.bert(**inputs).pooler_output[0])
        else:
            states = net(**inputs, output_hidden_states=True).hidden_states[-1]
            rows.append(states[0, int(batch.positions[i, 0])])
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["causal", "encoder"])
@pytest.mark.parametrize("way", [Way.PICKED, Way.WHOLE, Way.ALONE])
def test_features_are_what_the_head_reads(
    kind: str, way: Way, models: Models, tiny_data: Path, tmp_path: Path
) -> None:
    stage, batch = cell(models[kind], tiny_data, tmp_path)
    if kind == "causal":
        prompts = {len(stage.run.train_rows.prompts[i]) - 1 for i in range(6)}
        assert batch.positions is not None
        assert set(batch.positions[:, 0].tolist()) == prompts
        assert len(prompts) > 1
    stage.run.task_model.way = way
    with head_input(stage.run, batch) as features:
        stage.run.task_loss(batch)
    torch.testing.assert_close(features(), own_features(stage, batch), rtol=1e-4, atol=1e-5)
    assert not _head(stage.run.net)._forward_pre_hooks


def test_the_head_of_a_network() -> None:
    small: dict[str, Any] = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2, "intermediate_size": 8}
    roberta = hf.RobertaForSequenceClassification(hf.RobertaConfig(**small))
    assert _head(roberta) is roberta.classifier.out_proj
    llama = hf.LlamaForCausalLM(hf.LlamaConfig(**small))
    assert _head(llama) is llama.lm_head


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (2, 5), (1, 5)])
@pytest.mark.parametrize("k", [1, 3])
def test_the_smallest_singular_values(shape: tuple[int, int], k: int) -> None:
    """A batch with fewer than k singular values has all of them penalised."""
    torch.manual_seed(0)
    features = torch.randn(shape)
    found = smallest_singular_values(features, k)
    rows = features.double() if shape[0] < shape[1] else features.double().T
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T)  # ascending, the squares of all σ
    torch.testing.assert_close(
        found.square().flip(0).double(), eigenvalues[:k], rtol=1e-5, atol=1e-6
    )
    _, singular, _ = torch.linalg.svd(features)
    torch.testing.assert_close(found, singular[-k:])


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_the_gradient_is_that_of_the_penalty(
    kind: str, models: Models, tiny_data: Path, tmp_path: Path
) -> None:
    """Against finite differences along a random direction through all weights below the head."""
    settings = "bss.eta=0.5", "bss.k=2"
    stage, batch = cell(models[kind], tiny_data, tmp_path, *settings)
    run, method = stage.run, stage.method
    names = [n for n, _ in run.net.named_parameters() if not n.startswith("classifier.")]
    named = dict(run.net.named_parameters())

    (method.loss(run, batch) - run.task_loss(batch)).backward()
    torch.manual_seed(3)
    way = {name: torch.randn_like(named[name]).double() for name in names}
    grads = {name: named[name].grad for name in names}
    slope = sum(float((way[n] * g.double()).sum()) for n, g in grads.items() if g is not None)

    def penalty(step: float) -> float:
        for name in names:
            named[name].data = (start[name] + step * way[name]).detach()
        _, singular, _ = torch.linalg.svd(own_features(stage, batch))
        return 0.5 * float(singular[-2:].square().sum().detach())

    run.net.double()
    start = {name: named[name].detach().clone() for name in names}
    # steps that Llama's norms, which are computed in float32 whatever the weights are, can see
    assert slope == pytest.approx((penalty(1e-4) - penalty(-1e-4)) / 2e-4, rel=3e-3)


def test_the_penalty_is_logged_as_it_is(tiny_causal: Path, tiny_data: Path, tmp_path: Path) -> None:
    stage, batch = cell(tiny_causal, tiny_data, tmp_path, "bss.eta=2", "bss.k=1")
    stage.run.logging = True
    loss = stage.method.loss(stage.run, batch)
    expected = 2 * torch.linalg.svd(own_features(stage, batch))[1][-1].square()
    assert stage.run.logged == {"penalty": pytest.approx(float(expected.detach()), rel=1e-3)}
    task = stage.run.task_loss(batch)
    torch.testing.assert_close(loss, task + expected)


def test_the_smallest_singular_values_shrink(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    def smallest(eta: str) -> float:
        words = f"bss.eta={eta}", "bss.k=4", "train.steps=30"
        stage = trained(plan_for(["bss"], ["cola"], tiny_causal, tiny_data, *words), tmp_path)
        (batch,) = stage.run.batches(list(range(8)), 8)
        values = torch.linalg.svd(own_features(stage, batch))[1]
        return float(values[-4:].square().sum().detach())

    assert smallest("1") < 0.5 * smallest("0")


def test_a_batch_that_is_cut_is_refused(tiny_causal: Path, tiny_data: Path) -> None:
    with pytest.raises(BenchError, match=r"train.micro_batch = 2 cuts the batches of 8"):
        plan_for(["bss"], ["cola"], tiny_causal, tiny_data, "train.micro_batch=2")
    plan_for(["bss"], ["cola"], tiny_causal, tiny_data, "train.micro_batch=8")
