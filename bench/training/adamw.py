"""AdamW for weights that are narrower than its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

_MOMENTS = ("exp_avg", "exp_avg_sq")


def wide(p: Tensor) -> torch.dtype:
    """The type of the arithmetic on `p`: float32 or what is wider."""
    return torch.promote_types(p.dtype, torch.float32)


def round_to(parameters: list[Tensor], weights: list[Tensor]) -> None:
    """Let narrow parameters be what their float32 copies are rounded to."""
    for p, weight in zip(parameters, weights, strict=True):
        if weight is not p:
            p.copy_(weight)


class MasterAdamW(torch.optim.AdamW):
    """AdamW in float32 on parameters of any type. A narrow one (bfloat16) is what its float32 copy
    in the state, which the rule moves, is rounded to: steps smaller than its spacing add up.

    It is fused, and on float32 parameters torch's own to the last bit.
    """

    def __init__(self, groups: list[dict[str, Any]], **options: Any) -> None:
        super().__init__(groups, fused=True, **options)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update."""
        assert closure is None, "the loop computes the loss"
        for group in self.param_groups:
            found = [p for p in group["params"] if p.grad is not None]
            narrow = any(p.dtype != wide(p) for p in found)
            # one at a time, float32 copies of their gradients take no memory to speak of
            for part in ([p] for p in found) if narrow else filter(None, [found]):
                self._move(part, group)

    def _move(self, found: list[Tensor], group: dict[str, Any]) -> None:
        """The update of some parameters of a group."""
        states = [self.state_of(p) for p in found]
        weights = [s.get("master", p) for s, p in zip(states, found, strict=True)]
        gradients = [p.grad for p in found if p.grad is not None]
        adamw(
            weights,
            [g.to(w.dtype) for g, w in zip(gradients, weights, strict=True)],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            maximize=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
        )
        round_to(found, weights)

    def state_of(self, p: Tensor, steps: int = 0) -> dict[str, Tensor]:
        """What is kept of a parameter; begun where there is nothing, `steps` steps having been."""
        state: dict[str, Tensor] = self.state[p]
        if not state:
            state["step"] = torch.full((), steps, dtype=torch.float32, device=p.device)
            state |= {name: torch.zeros_like(p, dtype=wide(p)) for name in _MOMENTS}
        if p.dtype != wide(p) and "master" not in state:  # nor has what wide ones left behind
            state["master"] = p.detach().to(wide(p))
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As an optimizer does, but without rounding the state of narrow parameters to theirs."""
        super().load_state_dict(state_dict)
        params = [p for group in self.param_groups for p in group["params"]]
        for i, p in enumerate(params):
            for name in (*_MOMENTS, "master"):
                if name in (found := state_dict["state"].get(i, {})):
                    self.state[p][name] = found[name].to(p.device, wide(p), copy=True)
