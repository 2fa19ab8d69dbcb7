"""peft's adapters in a network, and out of it again."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, LoraModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import cast_adapter_dtype
from torch import nn
from transformers.pytorch_utils import Conv1D

from bench.core.errors import CellError

if TYPE_CHECKING:
    from methods.lora.settings import LoRAConfig


def attach(net: Any, pretrained: Collection[str], config: LoRAConfig, seed: int) -> LoraModel:
    """Put adapters beside the target layers of `net` and freeze all `pretrained` weights, by name.

    A is drawn from `seed`. Adapters are float32, whatever the layers are held in. `merge` takes
    them out.

    Raises:
        CellError: the model has no such layers.
    """
    layers = target_layers(net, pretrained, config.targets)
    new = [p for name, p in net.named_parameters() if name not in pretrained]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tuner = LoraModel(
            net,
            LoraConfig(
                r=config.r,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=list(layers),
                fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
            ),
            "default",
        )
    cast_adapter_dtype(tuner, "default")
    for parameter in new:
        parameter.requires_grad_(True)
    return tuner


def merge(tuner: LoraModel) -> None:
    """Take the adapters out of a network, whose target layers get new weights, the old ones and
    the change; the tensors of the old ones stay as they are."""
    for layer in tuner.modules():
        if isinstance(layer, LoraLayer):
            weight = layer.get_base_layer().weight
            weight.data = weight.data.clone()
    tuner.merge_and_unload()


def target_layers(net: Any, pretrained: Container[str], targets: str) -> dict[str, nn.Module]:
    """The linear layers with `pretrained` parameters that get an adapter, by name.

    Raises:
        CellError: the network has none of that name, or none at all.
    """
    output = net.get_output_embeddings()
    linear = {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and module is not output
        and f"{name}.weight" in pretrained
    }
    if not linear:
        raise CellError(f"{type(net).__name__} has no pretrained linear layer for LoRA")
    if targets == "all-linear":
        return linear
    wanted, there = targets.split("+"), sorted({_last(name) for name in linear})
    for name in wanted:
        if name not in there:
            raise CellError(
                f"lora.targets = {targets!r}: the model has no linear layer {name!r}; "
                f"it has {', '.join(there)}"
            )
    return {name: module for name, module in linear.items() if _last(name) in wanted}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def faster(groups: list[dict[str, Any]], factor: float) -> list[dict[str, Any]]:
    """The optimizer's groups, adapters apart from a head, at `factor` times the rate."""
    found = []
    for group in groups:
        for adapters in (True, False):
            pairs = [
                (name, p)
                for name, p in zip(group["names"], group["params"], strict=True)
                if (".lora_" in name) == adapters
            ]
            rate = group["lr"] * (factor if adapters else 1.0)
            names, parameters = [n for n, _ in pairs], [p for _, p in pairs]
            if pairs:
                found.append({**group, "names": names, "params": parameters, "lr": rate})
    return found
