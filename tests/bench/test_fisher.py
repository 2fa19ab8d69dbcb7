"""Fisher diagonals and forgetting confidence against closed forms and loops in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

from bench import gradients
from bench.fisher import fisher_diagonal, forgetting_confidence

Batch = dict[str, Tensor]
VOCAB, PAD, LENGTH = 50, 0, 6
TOLERANCE = 2e-6  # of the largest entry
ZERO = torch.zeros((), dtype=torch.float64)


def causal_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Mean loss over each example's own tokens, [n]."""
    logits = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits[:, :-1]
    labels = batch["ids"][:, 1:].masked_fill(batch["mask"][:, 1:] == 0, -100)
    tokens = functional.cross_entropy(logits.mT, labels, ignore_index=-100, reduction="none")
    return tokens.sum(1) / (labels != -100).sum(1)


def class_losses(model: nn.Module, batch: Batch) -> Tensor:
    logits = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    return functional.cross_entropy(logits, batch["labels"], reduction="none")


Losses = Callable[[nn.Module, Any], Tensor]
SMALL: dict[str, Any] = {"vocab_size": VOCAB, "pad_token_id": PAD, "num_hidden_layers": 2}
WIDE = SMALL | {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
ROPE = WIDE | {"bos_token_id": 1, "eos_token_id": 2, "num_key_value_heads": 1}
CLASSES = {"num_labels": 3, "max_position_embeddings": 32}
FAMILIES: dict[str, tuple[Callable[[], Any], Losses]] = {
    "llama": (lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**ROPE)), causal_losses),
    "llama tied": (
        lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**ROPE, tie_word_embeddings=True)),
        causal_losses,
    ),
    "gpt2": (
        lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=VOCAB,
                n_embd=16,
                n_layer=2,
                n_head=2,
                n_positions=32,
                bos_token_id=1,
                eos_token_id=2,
            )
        ),
        causal_losses,
    ),
    "qwen2": (lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**ROPE)), causal_losses),
    "qwen3": (lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**ROPE, head_dim=8)), causal_losses),
    "gpt neox": (lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**WIDE)), causal_losses),
    "bert": (
        lambda: hf.BertForSequenceClassification(hf.BertConfig(**WIDE, **CLASSES)),
        class_losses,
    ),
    "roberta": (
        lambda: hf.RobertaForSequenceClassification(hf.RobertaConfig(**WIDE, **CLASSES)),
        class_losses,
    ),
    "albert": (
        lambda: hf.AlbertForSequenceClassification(
            hf.AlbertConfig(**WIDE, **CLASSES, embedding_size=8)
        ),
        class_losses,
    ),
    "distilbert": (
        lambda: hf.DistilBertForSequenceClassification(
            hf.DistilBertConfig(
                vocab_size=VOCAB, dim=16, hidden_dim=24, n_layers=2, n_heads=2, num_labels=3
            )
        ),
        class_losses,
    ),
}


def make(name: str) -> tuple[Any, Losses]:
    torch.manual_seed(1)
    build, losses = FAMILIES[name]
    model = build()
    for parameter in model.parameters():  # zeros and ones would hide mistakes
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model, losses


def make_batches(sizes: tuple[int, ...] = (4, 3), left: bool = False) -> list[Batch]:
    """Examples of several lengths, padded on the right or on the left; tokens repeat."""
    generator = torch.Generator().manual_seed(2)
    batches = []
    for n in sizes:
        ids = torch.randint(3, 12, (n, LENGTH), generator=generator)
        lengths = torch.randint(3, LENGTH + 1, (n, 1), generator=generator)
        mask = (torch.arange(LENGTH) < lengths).long()
        mask = mask.flip(1) if left else mask
        labels = torch.randint(0, 3, (n,), generator=generator)
        batches.append({"ids": ids * mask + PAD * (1 - mask), "mask": mask, "labels": labels})
    return batches


def single_gradients(
    model: nn.Module, batches: list[Any], losses: Losses
) -> Iterator[dict[str, Tensor]]:
    """Each example's gradients, by plain autograd in float64, one example at a time."""
    model = copy.deepcopy(model).double().eval()
    for batch in batches:
        for e in range(len(next(iter(batch.values())))):
            model.zero_grad()
            losses(model, {key: x[e : e + 1] for key, x in batch.items()}).sum().backward()
            yield {
                name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
                for name, p in model.named_parameters()
            }


def loop_fisher(model: nn.Module, batches: list[Any], losses: Losses) -> dict[str, Tensor]:
    every = list(single_gradients(model, batches, losses))
    return {name: torch.stack([g[name] ** 2 for g in every]).mean(0) for name in every[0]}


def error(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest difference over the largest entry of its tensor (of all, where that is tiny)."""
    assert found.keys() == expected.keys()
    floor = 1e-3 * max(float(x.max()) for x in expected.values())
    return max(
        float((found[name].double() - x).abs().max()) / max(float(x.max()), floor)
        for name, x in expected.items()
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
        monkeypatch.setattr(gradients, "CPU_BLOCK", size)
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


class Scale(nn.Module):
    """A layer that no rule knows, with a parameter that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(6) + 0.5)
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.tanh()


class Lora(nn.Module):
    """What peft puts round a linear layer: base(x) + B A x."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + self.b(self.a(x))
        return out


class Outside(nn.Module):
    """Uses a layer's weight both by calling the layer and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.inner(x), self.inner.weight)


class Turned(nn.Module):
    """Runs a layer on another shape than [n, T, 6]."""

    def __init__(self, layer: nn.Module, there: Any, back: Any) -> None:
        super().__init__()
        self.layer, self.there, self.back = layer, there, back

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.back(self.layer(self.there(x)), x)
        return out


class Toy(nn.Module):
    """An embedding, a layer under test on [n, T, 6], and two classes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.embed, self.layer, self.head = nn.Embedding(VOCAB, 6), layer, nn.Linear(6, 2)

    def forward(self, input_ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.layer(self.embed(input_ids)).tanh().mean(1))
        return out


def toy_losses(model: nn.Module, batch: Batch) -> Tensor:
    return functional.cross_entropy(model(batch["ids"]), batch["labels"] % 2, reduction="none")


ODD: dict[str, tuple[Callable[[], nn.Module], bool]] = {  # layer, does it need the slow way
    "no rule": (Scale, True),
    "weight used outside": (Outside, True),
    "flattened": (
        lambda: Turned(nn.Linear(6, 6), lambda x: x.flatten(0, 1), lambda y, x: y.view_as(x)),
        False,
    ),
    "flattened, sequence first": (
        lambda: Turned(
            nn.Linear(6, 6),
            lambda x: x.transpose(0, 1).flatten(0, 1),
            lambda y, x: y.view(-1, len(x), 6).transpose(0, 1),
        ),
        True,
    ),
    "sequence first": (
        lambda: Turned(
            nn.Linear(6, 6), lambda x: x.transpose(0, 1), lambda y, x: y.transpose(0, 1)
        ),
        True,
    ),
    "n rows by accident": (
        lambda: Turned(
            nn.Linear(6, 6),  # n token rows, but not one of each example
            lambda x: x.flatten(0, 1)[: len(x)],
            lambda y, x: torch.cat([y, x.flatten(0, 1)[len(x) :]]).view_as(x),
        ),
        True,
    ),
    "group norm": (
        lambda: Turned(nn.GroupNorm(2, 6), lambda x: x.mT, lambda y, x: y.mT),
        True,
    ),
    "lora": (Lora, False),
    "two calls": (lambda: nn.Sequential(*[nn.Linear(6, 6)] * 2), False),
    "one plus weight": (lambda: GemmaRMSNorm(6), False),
    "one token": (
        lambda: Turned(nn.Linear(6, 6), lambda x: x[:, 0], lambda y, x: y[:, None]),
        False,
    ),
}


@pytest.mark.parametrize("size", [4, LENGTH, 1], ids="n={}".format)
@pytest.mark.parametrize("name", ODD)
def test_odd_layers_are_right_and_slow_ones_are_named_once(
    name: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(4)
    build, slow = ODD[name]
    model = Toy(build())
    for parameter in model.layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    batches = make_batches((size, size))
    found = fisher_diagonal(model, batches, toy_losses)
    double = copy.deepcopy(model).double()
    names, parameters = zip(*double.named_parameters(), strict=True)
    each = [
        torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        for batch in batches
        for loss in toy_losses(double, batch)
    ]
    squares = [torch.stack(own).square().mean(0) for own in zip(*each, strict=True)]
    assert error(found, dict(zip(names, squares, strict=True))) < TOLERANCE
    if size > 1:
        assert len(caplog.records) == slow
        assert not slow or "layer." in caplog.text


@pytest.mark.parametrize("name", FAMILIES)
def test_confidence_equals_a_loop(name: str) -> None:
    model, losses = make(name)
    batches = make_batches()
    fisher = fisher_diagonal(model, batches, losses)
    star = {k: p.detach() + 0.01 * torch.randn_like(p) for k, p in model.named_parameters()}
    alpha = 0.01
    found = forgetting_confidence(model, batches, losses, fisher, star, alpha)
    start = {k: p.detach().double() for k, p in model.named_parameters()}
    d = {k: start[k] - star[k].double() for k in fisher}

    def distance(move: dict[str, Tensor]) -> Tensor:
        return sum((0.5 * (fisher[k] * (d[k] - alpha * move[k]) ** 2).sum() for k in fisher), ZERO)

    nowhere = distance({k: torch.zeros_like(x) for k, x in d.items()})
    expected = torch.stack([distance(g) for g in single_gradients(model, batches, losses)])
    assert found.constant == pytest.approx(float(nowhere), rel=1e-6)
    assert found.value.dtype == torch.float64
    assert torch.allclose(found.value, expected, rtol=1e-6, atol=0)
    assert torch.allclose(found.change, expected - nowhere, rtol=1e-5, atol=0)
    assert found.value.argsort().tolist() == expected.argsort().tolist()


def test_confidence_with_no_step_is_its_constant() -> None:
    model, losses = make("qwen2")
    fisher = {k: torch.rand_like(p) for k, p in model.named_parameters()}
    star = {k: p.detach() + 1 for k, p in model.named_parameters()}
    found = forgetting_confidence(model, make_batches(), losses, fisher, star, 0.0)
    half = sum(0.5 * float(x.double().sum()) for x in fisher.values())
    assert found.value.tolist() == [found.constant] * 7
    assert found.constant == pytest.approx(half, rel=1e-5)


def test_confidence_sums_over_the_parameters_of_the_fisher_only() -> None:
    model, losses = make("bert")
    name = "bert.encoder.layer.0.output.dense.weight"
    start = dict(model.named_parameters())[name].detach()
    fisher, star = {name: torch.ones_like(start)}, {name: start.clone()}
    found = forgetting_confidence(model, make_batches(), losses, fisher, star, 0.1)
    squares = [(g[name] ** 2).sum() for g in single_gradients(model, make_batches(), losses)]
    assert found.constant == 0
    assert torch.allclose(found.value, 0.005 * torch.stack(squares), rtol=1e-5)
    with pytest.raises(ValueError, match=f"theta_star lacks.*{name}"):
        forgetting_confidence(model, make_batches(), losses, fisher, {}, 0.1)


def test_names_restrict_the_work_and_the_answer() -> None:
    model, losses = make("gpt2")
    batches = make_batches()
    names = ["transformer.h.1.mlp.c_fc.weight", "transformer.h.0.ln_1.bias"]
    expected = loop_fisher(model, batches, losses)
    found = fisher_diagonal(model, batches, losses, names)
    assert error(found, {name: expected[name] for name in names}) < TOLERANCE


def test_a_caller_without_gradients_gets_the_same() -> None:
    model, batches = Toy(Scale()), make_batches()
    found = fisher_diagonal(model, batches, toy_losses)
    with torch.no_grad():
        again = fisher_diagonal(model, batches, toy_losses)
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_what_was_asked_wrongly_is_said() -> None:
    model = nn.Linear(2, 2)
    batch = torch.ones(3, 2)
    with pytest.raises(ValueError, match="wight"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum(1), ["wight"])
    with pytest.raises(ValueError, match=r"no parameters"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum(1), [])
    with pytest.raises(ValueError, match=r"\[n\], not \[\]"):
        fisher_diagonal(model, [batch], lambda m, b: m(b).sum())
    with pytest.raises(ValueError, match="at least one example"):
        fisher_diagonal(model, [], lambda m, b: m(b).sum(1))


def test_an_input_changed_in_place_is_an_error() -> None:
    model = nn.Linear(2, 2)

    def losses(model: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = model(x).sum(1)
        x.zero_()
        return out

    with pytest.raises(RuntimeError, match="changed in place"):
        fisher_diagonal(model, [torch.ones(3, 2)], losses)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model = Toy(Scale()).train()
    model.layer.eval()
    model.head.weight.requires_grad_(False)
    model.head.bias.grad = torch.ones(2)
    modes = [module.training for module in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]

    def losses(model: nn.Module, batch: Batch) -> Tensor:
        assert not any(module.training for module in model.modules())
        values = toy_losses(model, batch)
        if fails:
            raise KeyError("a mistake in the caller's loss")
        return values

    with pytest.raises(KeyError) if fails else nullcontext():
        fisher_diagonal(model, make_batches(), losses)
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert model.head.bias.grad.tolist() == [1, 1]
    assert all(p.grad is None for p in model.parameters() if p is not model.head.bias)
    hooks = [(m._forward_hooks, m._forward_pre_hooks) for m in model.modules()]
    assert not any(after or before for after, before in hooks)


def test_a_large_layer_taken_in_parts_keeps_its_precision() -> None:
    torch.manual_seed(5)
    model = nn.Linear(512, 600)
    assert model.weight.numel() > 2 * gradients.CPU_BLOCK
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

    def through_the_base(model: nn.Module, batch: Batch) -> Tensor:
        hidden = model.base_model(  # type: ignore[operator]
            input_ids=batch["ids"], attention_mask=batch["mask"]
        ).last_hidden_state
        logits = model.lm_head(hidden)[:, :-1]  # type: ignore[operator]
        labels = batch["ids"][:, 1:].masked_fill(batch["mask"][:, 1:] == 0, -100)
        tokens = functional.cross_entropy(logits.mT, labels, ignore_index=-100, reduction="none")
        return tokens.sum(1) / (labels != -100).sum(1)

    expected = loop_fisher(model, batches, losses)
    assert error(fisher_diagonal(model, batches, through_the_base), expected) < TOLERANCE
    assert not caplog.records
