"""RecAdam's update: AdamW's fused step and a pull in place, or one compiled pass."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from bench.training.adamw import MasterAdamW, round_to

if TYPE_CHECKING:
    from bench.network.loading import Loaded

_TINY = 2.0**-1000


@dataclass(frozen=True)
class Schedule:
    """λ(t), the weight of the task; t counts optimizer steps from 1."""

    anneal: str
    k: float
    t0: int
    floor: float = 0.0

    def __call__(self, t: int) -> float:
        if self.anneal == "sigmoid":
            # tanh does not overflow where exp(−k(t−t0)) does
            weight = 0.5 * (1.0 + math.tanh(0.5 * self.k * (t - self.t0)))
        elif self.anneal == "linear":
            weight = min(1.0, t / self.t0)
        elif self.anneal == "constant":
            weight = 1.0
        else:
            raise ValueError(f"unknown annealing {self.anneal!r}")
        return min(weight, 1.0 - self.floor)


class RecAdamW(MasterAdamW):
    """The official rule, in its order, for groups marked `pretrained`:

        θ ← θ − lr √(1−β2^t)/(1−β1^t) λ m/(√v + ε)      the moments see the task gradient alone
        θ ← θ − lr (1−λ) γ (θ − θ0)                     on the updated θ
        θ ← θ − lr · weight_decay · θ

    and AdamW, with the same place of ε, for the others. A parameter without a gradient stays; t
    counts the steps of its group. Narrow parameters (bfloat16) are what their float32 copies in
    the state, which the rule moves, are rounded to.

    Args:
        groups: as for AdamW, with `names` and `pretrained`.
        anchor: θ0 by name, looked up at each step, tensor by tensor (all at once if `compiled`).
        compiled: let `torch.compile` make one pass over memory of the rule. Otherwise AdamW's
            fused step is one, and the pull a second.
        anneal_task: whether λ stands in the first line; otherwise 1 does, and λ in the second
            alone.

    Raises:
        ValueError: a pretrained parameter has no θ0, or nothing is pulled at all (public re-uses
            of the method have failed in just this way, unseen).
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        anchor: Mapping[str, Tensor],
        schedule: Schedule,
        gamma: float,
        compiled: bool = False,
        anneal_task: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(groups, **options)
        self.schedule, self.gamma, self.last_lambda = schedule, gamma, 0.0
        self.anneal_task = anneal_task
        self.recall = _in_one_pass if compiled else _in_two_passes
        self.anchor = anchor
        for group in self.param_groups:
            missing = [name for name in group["names"] if name not in anchor]
            if group["pretrained"] and missing:
                raise ValueError(f"no pretrained value for {missing[0]}")
            group.setdefault("t", 0)
        if not any(group["pretrained"] and group["params"] for group in self.param_groups):
            raise ValueError("RecAdam has nothing to recall: no parameter is pretrained")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update."""
        assert closure is None, "the loop computes the loss"
        for group in self.param_groups:
            group["t"] += 1
            weight = self.last_lambda = self.schedule(group["t"])
            for members in self._members(group):
                if group["pretrained"]:
                    task = weight if self.anneal_task else 1.0
                    self.recall(members, group, task, 1 - weight, self.gamma)
                else:
                    _in_two_passes(members, group, 1.0, 0.0, self.gamma)
                round_to(members.params, members.weights)

    def _members(self, group: dict[str, Any]) -> Iterator[_Members]:
        """The parameters of a group that have a gradient, and all that moves them; narrow ones one
        by one, so that float32 copies of their gradients take no memory to speak of."""
        members = _Members(self.anchor)
        for name, p in zip(group["names"], group["params"], strict=True):
            if p.grad is None:
                if self.state[p]:
                    self.state[p]["step"] += 1  # the group's clock goes on
                continue
            state = self.state_of(p, group["t"] - 1)
            weight = state.get("master", p)
            members.params.append(p)
            members.weights.append(weight)
            members.gradients.append(p.grad.to(weight.dtype))
            members.m.append(state["exp_avg"])
            members.v.append(state["exp_avg_sq"])
            members.steps.append(state["step"])
            members.names.append(name)
            if weight is not p:
                yield members
                members = _Members(self.anchor)
        if members.weights:
            yield members


@dataclass
class _Members:
    """Parameters of a group that have a gradient, in the same order in every list."""

    theta0: Mapping[str, Tensor]
    names: list[str] = field(default_factory=list)
    params: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)  # params, or their float32 copies
    gradients: list[Tensor] = field(default_factory=list)
    m: list[Tensor] = field(default_factory=list)
    v: list[Tensor] = field(default_factory=list)
    steps: list[Tensor] = field(default_factory=list)

    @property
    def anchors(self) -> Iterator[Tensor]:
        """θ0 of each, one after the other, for it may be read from disk."""
        for name, weight in zip(self.names, self.weights, strict=True):
            yield self.theta0[name].to(weight.dtype)


def _in_two_passes(
    x: _Members, group: dict[str, Any], task: float, recall: float, gamma: float
) -> None:
    """The rule as fused AdamW's one pass, which does all but the pull, and the pull; `task` and
    `recall` are λ and 1−λ, or what stands for them.

    With c = lr (1−λ) γ, d = lr · weight_decay and Adam's step u, the rule's three lines are
    θ ← (1−d) ((1−c) (θ − λu) + c θ0) = (1−w) r (θ − λu) + w θ0 with w = c (1−d) and
    r = (1−c) (1−d) / (1−w). Without decay r is 1 and a weight at θ0 stays there exactly.
    """
    c, d = group["lr"] * recall * gamma, group["lr"] * group["weight_decay"]
    pull = c * (1 - d)
    rest = (1 - c) * (1 - d) / (1 - pull) if pull != 1 else 1.0
    # AdamW multiplies θ by 1 − lr · weight_decay, which is to be `rest` even where λ is 0
    lr = group["lr"] * task * rest or _TINY
    beta1, beta2 = group["betas"]
    adamw(
        *(x.weights, x.gradients, x.m, x.v, [], x.steps),
        fused=True,
        amsgrad=False,
        maximize=False,
        beta1=beta1,
        beta2=beta2,
        lr=lr,
        weight_decay=(1 - rest) / lr,
        # AdamW adds ε to √v after the bias correction, the official rule before it
        eps=group["eps"] / math.sqrt(1 - beta2 ** group["t"]),
    )
    if pull:
        for weight, anchor in zip(x.weights, x.anchors, strict=True):
            weight.lerp_(anchor, pull)


def _in_one_pass(
    x: _Members, group: dict[str, Any], task: float, recall: float, gamma: float
) -> None:
    """The rule, compiled; what changes from step to step are tensors, which need no new code."""
    (beta1, beta2), t = group["betas"], group["t"]
    size = group["lr"] * math.sqrt(1 - beta2**t) / (1 - beta1**t) * task
    pull, keep = group["lr"] * recall * gamma, 1 - group["lr"] * group["weight_decay"]
    changing = torch.tensor([size, group["eps"], pull, keep], dtype=x.weights[0].dtype).unbind()
    torch._foreach_add_(x.steps, 1)
    _compiled()(x.weights, x.gradients, x.m, x.v, list(x.anchors), beta1, beta2, *changing)


@functools.cache
def _compiled() -> Callable[..., None]:
    return torch.compile(_rule)


def _rule(
    weights: list[Tensor],
    gradients: list[Tensor],
    ms: list[Tensor],
    vs: list[Tensor],
    anchors: list[Tensor],
    beta1: float,
    beta2: float,
    size: Tensor,
    eps: Tensor,
    pull: Tensor,
    keep: Tensor,
) -> None:
    for theta, g, m, v, anchor in zip(weights, gradients, ms, vs, anchors, strict=True):
        m.lerp_(g, 1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        theta.sub_(size * m / (v.sqrt() + eps))
        theta.add_(pull * (anchor - theta))
        theta.mul_(keep)


def randomise(loaded: Loaded, seed: int) -> None:
    """Give the backbone the architecture's own random initialisation; a new head stays."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(loaded.net)(loaded.net.config)
    values = dict(fresh.named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.pretrained():
            parameter.copy_(values[name])
