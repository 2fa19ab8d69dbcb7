"""The true Fisher of a classifier against closed forms and a float64 loop over labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.gradients.fisher import class_fisher, fisher_diagonal
from tests.helpers.single_examples import Batch, error, make, make_batches, single_gradients


def class_logits(model: nn.Module, batch: Batch) -> Tensor:
    logits: Tensor = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    return logits


@pytest.mark.parametrize("name", ["bert", "albert", "distilbert"])
def test_the_expectation_equals_a_loop_over_examples_and_labels(name: str) -> None:
    model, _ = make(name)
    model.eval()
    batches = make_batches()
    expected = {name: torch.zeros_like(p).double() for name, p in model.named_parameters()}
    count = sum(len(batch["ids"]) for batch in batches)
    p = torch.cat([class_logits(model, b).detach().double().softmax(-1) for b in batches])
    for label in range(3):

        def losses(model: nn.Module, batch: Batch, label: int = label) -> Tensor:
            return -class_logits(model, batch).log_softmax(-1)[:, label]

        for e, gradient in enumerate(single_gradients(model, batches, losses)):
            for key, g in gradient.items():
                expected[key] += float(p[e, label]) * g**2 / count
    assert error(class_fisher(model, batches, class_logits), expected) < 2e-6


def test_logistic_regression_in_closed_form() -> None:
    torch.manual_seed(3)
    model = nn.Linear(5, 3)
    x = torch.randn(9, 5)
    p = (x @ model.weight.T + model.bias).softmax(-1).detach().double()
    spread = p * (1 - p)  # E[(p_c - [y = c])²] over y ~ p
    expected = {
        "weight": torch.einsum("nc,nd->cd", spread, x.double() ** 2) / len(x),
        "bias": spread.mean(0),
    }

    def logits(model: nn.Module, batch: Tensor) -> Tensor:
        found: Tensor = model(batch)
        return found

    exact = class_fisher(model, [x[:4], x[4:]], logits)
    assert error(exact, expected) < 2e-6
    # 20,000 drawn labels per row come near it, in proportion to 1/sqrt(20,000)
    many = [x.repeat(20_000, 1)]
    sampled = class_fisher(model, many, logits, torch.Generator().manual_seed(5))
    assert error(sampled, expected) < 0.03


def test_drawn_labels_are_the_generators_and_not_the_datas() -> None:
    model, _ = make("bert")
    (batch,) = make_batches((4,))
    model.eval()
    p = class_logits(model, batch).float().softmax(-1)
    labels = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(7))[:, 0]

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        return functional.cross_entropy(class_logits(model, batch), labels, reduction="none")

    drawn = class_fisher(model, [batch], class_logits, torch.Generator().manual_seed(7))
    expected = fisher_diagonal(model, [batch], losses)
    assert error(drawn, {name: value.double() for name, value in expected.items()}) < 2e-6


def test_no_example_is_an_error() -> None:
    model, _ = make("bert")
    with pytest.raises(ValueError, match="at least one example"):
        class_fisher(model, [], class_logits)
