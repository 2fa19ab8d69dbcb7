"""Layer-wise learning-rate decay: the deeper a layer lies, the slower it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.settings import Range, setting
from bench.training.method import Card, Method, Role, register_method

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.training.context import TrainingContext


@dataclass(frozen=True)
class LLRDConfig:
    """Settings of layer-wise decay."""

    xi: float = setting(
        0.9,
        "ξ, what the learning rate is multiplied with per block",
        above=0.0,
        high=1.0,
        search=Range(0.7, 1.0),
    )


@register_method("llrd")
class LLRD(Method):
    """Learning rate times ξ^depth: depth 0 is the head and the final norm, 1 the top block, L the
    bottom block, L + 1 the embeddings (also where they are the output layer, too)."""

    card = Card(
        title="Layer-wise learning-rate decay",
        paper="Howard & Ruder 2018, arXiv 1801.06146 (ULMFiT); "
        "Clark et al. 2020, arXiv 2003.10555 (ELECTRA)",
        equation="η_l = η ξ^(depth of l from the top)",
        defaults="ξ: this suite",
        passes="none",
    )
    Config = LLRDConfig
    config: LLRDConfig
    off = {"xi": 1.0}
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """Rates of its own."""
        return frozenset({"optimizer"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """No blocks that can be told apart."""
        from methods.shared.depth import depths
        from methods.shared.meta_network import complaint

        return complaint(model, depths)

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """AdamW over the run's groups, each cut by depth.

        Raises:
            CellError: no blocks that can be told apart.
        """
        from methods.shared.depth import depths

        depth = depths(run.net)
        groups: dict[tuple[int, int], dict[str, Any]] = {}
        for i, whole in enumerate(run.parameter_groups()):
            for name, parameter in zip(whole["names"], whole["params"], strict=True):
                rate = whole["lr"] * self.config.xi ** depth[name]
                new = {**whole, "names": [], "params": [], "lr": rate}
                group = groups.setdefault((i, depth[name]), new)
                group["names"].append(name)
                group["params"].append(parameter)
        return run.adamw(list(groups.values()))
