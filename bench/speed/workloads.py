"""Networks with random weights and batches of random tokens, of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Batch = dict[str, Tensor]
VOCABULARY, PAD, BATCH = 4096, 0, 16


@dataclass(frozen=True)
class Size:
    """How much work there is."""

    samples: int = 64
    hidden: int = 256
    blocks: int = 4
    length: int = 64  # of the longest sequence; the shortest is half as long


@dataclass(frozen=True)
class Workload:
    """A network in eval mode, batches [16, length] of "ids", "mask" and "labels", and the loss of
    each example, [n]."""

    net: Any
    batches: list[Batch]
    losses: Callable[[nn.Module, Batch], Tensor]

    def ordinary(self) -> None:
        """One forward and backward pass over all batches."""
        for batch in self.batches:
            torch.autograd.backward(self.losses(self.net, batch).mean())
            self.net.zero_grad(set_to_none=True)


def llama(size: Size) -> Workload:
    """A Llama; the loss is the mean over the example's tokens."""
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        **_shape(size),
        intermediate_size=size.hidden * 43 // 16,
        max_position_embeddings=2 * size.length,
        bos_token_id=1,
        eos_token_id=2,
    )
    return Workload(_on_device(hf.LlamaForCausalLM(config)), _batches(size), token_losses)


def bert(size: Size) -> Workload:
    """A BERT with a head of two labels."""
    torch.manual_seed(0)
    config = hf.BertConfig(
        **_shape(size),
        intermediate_size=4 * size.hidden,
        max_position_embeddings=size.length,
        num_labels=2,
    )
    net = _on_device(hf.BertForSequenceClassification(config))
    return Workload(net, _batches(size), label_losses)


def token_losses(net: nn.Module, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of each example's own tokens, [n]."""
    logits = net(input_ids=batch["ids"], attention_mask=batch["mask"], use_cache=False).logits
    labels = batch["ids"][:, 1:].masked_fill(batch["mask"][:, 1:] == 0, -100)
    losses = cross_entropy(logits[:, :-1].mT, labels, ignore_index=-100, reduction="none")
    return losses.sum(1) / (labels != -100).sum(1)


def class_logits(net: nn.Module, batch: Batch) -> Tensor:
    """The head's logits, [n, 2]."""
    logits: Tensor = net(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    return logits


def label_losses(net: nn.Module, batch: Batch) -> Tensor:
    """Negative log-likelihood of each example's label, [n]."""
    return cross_entropy(class_logits(net, batch), batch["labels"], reduction="none")


def _shape(size: Size) -> dict[str, int]:
    heads = max(1, size.hidden // 64)
    shape = {
        "hidden_size": size.hidden,
        "num_hidden_layers": size.blocks,
        "num_attention_heads": heads,
    }
    return {**shape, "vocab_size": VOCABULARY, "pad_token_id": PAD}


def _on_device(net: Any) -> Any:
    return net.to(_device()).eval()


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _batches(size: Size) -> list[Batch]:
    """Examples in any order, all padded on the right to the longest possible."""
    generator = torch.Generator().manual_seed(1)
    shape = size.samples, size.length
    ids = torch.randint(3, VOCABULARY, shape, generator=generator)
    lengths = torch.randint(
        size.length // 2, size.length + 1, (size.samples, 1), generator=generator
    )
    mask = (torch.arange(size.length) < lengths).long()
    labels = torch.randint(0, 2, (size.samples,), generator=generator)
    whole = {"ids": ids * mask + PAD * (1 - mask), "mask": mask, "labels": labels}
    whole = {name: value.to(_device()) for name, value in whole.items()}
    starts = range(0, size.samples, BATCH)
    return [{name: value[i : i + BATCH] for name, value in whole.items()} for i in starts]
