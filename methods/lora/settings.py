"""The settings of low-rank adaptation."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.settings import Range, setting


@dataclass(frozen=True)
class LoRAConfig:
    """Settings of LoRA."""

    r: int = setting(16, "rank of each change", low=1, search=Range(4, 64, log=True))
    alpha: float = setting(32.0, "α; the change is scaled by α/r", above=0.0)
    dropout: float = setting(0.0, "share of an adapter's input that is dropped", low=0.0, high=0.99)
    targets: str = setting(
        "all-linear", "all-linear (but the output layer), or names as q_proj+v_proj"
    )
    lr_factor: float = setting(
        10.0, "what the recipe's learning rate is multiplied with for adapters", above=0.0
    )
