"""Fisher diagonals against closed forms and loops in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.gradients import collect
from bench.gradients.fisher import fisher_diagonal, forgetting_confidence
from tests.helpers.single_examples import (
    FAMILIES,
    TOLERANCE,
    Batch,
    error,
    loop_fisher,
    make,
    make_batches,
    single_gradients,
)


@pytest.mark.parametrize("name", FAMILIES)
def test_fisher_equals_a_loop_over_single_examples(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, losses = make(name)
    batches = make_batches()
    expected = loop_fisher(model, batches, losses)
    assert error(fisher_diagonal(model, batches, losses), expected) < TOLERANCE
    assert not caplog.records, "every layer of these families has a rule"


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("name", ["llama tied", "bert"])
def test_blocks_of_rows_and_of_examples_give_the_same(
    name: str, left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, losses = make(name)
    batches = make_batches(left=left)
    expected = loop_fisher(model, batches, losses)
    for size in (1, 40, 16 * 24 * 8):
        monkeypatch.setattr(collect, "CPU_BLOCK", size)
        assert error(fisher_diagonal(model, batches, losses), expected) < TOLERANCE


def test_fisher_of_logistic_regression_in_closed_form() -> None:
    torch.manual_seed(3)
    model = nn.Linear(5, 1)
    batches = [{"x": torch.randn(n, 5), "y": torch.randint(0, 2, (n,)).float()} for n in (6, 2)]
    x, y = (torch.cat([batch[key] for batch in batches]).double() for key in "xy")
    p = torch.sigmoid(x @ model.weight.detach().double().T + model.bias.item())[:, 0]
    expected = {
        "weight": ((p - y)[:, None] ** 2 * x**2).mean(0, keepdim=True),
        "bias": ((p - y) ** 2).mean(0, keepdim=True),
    }

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        logits = model(batch["x"])[:, 0]
        return functional.binary_cross_entropy_with_logits(logits, batch["y"], reduction="none")

    assert error(fisher_diagonal(model, batches, losses), expected) < TOLERANCE


def test_fisher_is_not_the_square_of_a_batch_mean() -> None:
    model, losses = make("llama")
    (batch,) = make_batches((6,))
    found = fisher_diagonal(model, [batch], losses)
    model.eval()
    losses(model, batch).mean().backward()
    mean = {name: p.grad.double() ** 2 for name, p in model.named_parameters()}
    assert error(found, mean) > 0.5


def test_tied_weights_come_once_and_their_uses_add_up() -> None:
    model, losses = make("llama tied")
    batches = make_batches()
    found = fisher_diagonal(model, batches, losses)
    assert found.keys() == dict(model.named_parameters()).keys()
    assert "lm_head.weight" not in found
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    apart = fisher_diagonal(model, batches, losses)
    name = "model.embed_tokens.weight"
    assert error({name: found[name]}, {name: apart[name] + apart["lm_head.weight"]}) > 0.01


def test_a_token_that_repeats_counts_as_the_sum_of_its_places() -> None:
    model = nn.Embedding(4, 2)
    ids = torch.tensor([[1, 1, 1], [2, 1, 0]])
    found = fisher_diagonal(model, [ids], lambda m, b: m(b).sum((1, 2)))
    assert found["weight"].tolist() == [[0.5] * 2, [5.0] * 2, [0.5] * 2, [0.0] * 2]


def test_names_restrict_the_work_and_the_answer() -> None:
    model, losses = make("gpt2")
    batches = make_batches()
    names = ["transformer.h.1.mlp.c_fc.weight", "transformer.h.0.ln_1.bias"]
    expected = loop_fisher(model, batches, losses)
    found = fisher_diagonal(model, batches, losses, names)
    assert error(found, {name: expected[name] for name in names}) < TOLERANCE


def test_a_large_layer_taken_in_parts_keeps_its_precision() -> None:
    torch.manual_seed(5)
    model = nn.Linear(512, 600)
    assert model.weight.numel() > 2 * collect.CPU_BLOCK
    batches = [{"x": torch.randn(3, 20, 512)}]

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        return functional.softplus(model(batch["x"].to(model.weight.dtype))).square().mean((1, 2))

    fisher = fisher_diagonal(model, batches, losses)
    assert error(fisher, loop_fisher(model, batches, losses)) < TOLERANCE
    d = {k: 0.1 * torch.randn_like(p) for k, p in model.named_parameters()}
    star = {k: p.detach() - d[k] for k, p in model.named_parameters()}
    start = {k: p.detach().double() for k, p in model.named_parameters()}
    found = forgetting_confidence(model, batches, losses, fisher, star, 10.0)
    for change, g in zip(found.change, single_gradients(model, batches, losses), strict=True):
        terms = (
            (fisher[k].double() * (50 * g[k] ** 2 - 10 * g[k] * (start[k] - star[k]))).sum()
            for k in g
        )
        assert float(change) == pytest.approx(float(sum(terms)), rel=1e-5)


def test_positions_have_a_rule_where_the_loss_calls_the_base_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, losses = make("gpt2")
    batches = make_batches()

    def through_the_base(model: Any, batch: Batch) -> Tensor:
        hidden = model.base_model(
            input_ids=batch["ids"], attention_mask=batch["mask"]
        ).last_hidden_state
        logits = model.lm_head(hidden)[:, :-1]
        labels = batch["ids"][:, 1:].masked_fill(batch["mask"][:, 1:] == 0, -100)
        tokens = functional.cross_entropy(logits.mT, labels, ignore_index=-100, reduction="none")
        return tokens.sum(1) / (labels != -100).sum(1)

    expected = loop_fisher(model, batches, losses)
    assert error(fisher_diagonal(model, batches, through_the_base), expected) < TOLERANCE
    assert not caplog.records
