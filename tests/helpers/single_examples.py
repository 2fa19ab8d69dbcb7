"""Small networks, batches, and what they give in float64, one example at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn
from torch.nn import functional

Batch = dict[str, Tensor]
VOCAB, PAD, LENGTH = 50, 0, 6
TOLERANCE = 2e-6  # of the largest entry


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
