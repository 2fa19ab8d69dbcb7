"""Methods on top of each other: `ewc+lwf`, where it is well defined what that means."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from bench.training.method import METHODS, Keeps, Method, Need, Reads, Role

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.cells.cell import MethodSpec, ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext

_EXCLUSIVE: dict[Role, str] = {
    "optimizer": "both replace the optimizer",
    "forward": "both compute the loss at other weights",
    "subset": "both choose which weights are trained",
    "adapter": "both freeze the pretrained weights and train their own",
    "finish": "both move the weights after the last step",
}
_CLASHES: dict[tuple[Role, Role], str] = {
    ("step", "optimizer"): "{0} takes steps of its own, and {1}'s update rule would take each for "
    "one on the task",
    ("step", "mask"): "{0} takes steps of its own, which {1} does not mask",
    ("auxiliary", "forward"): "{0} takes its gradient at the weights themselves, {1} at others",
    (
        "pull",
        "adapter",
    ): "{0} pulls the pretrained weights, and {1} freezes them: nothing is pulled",
    (
        "mask",
        "adapter",
    ): "{0} masks the pretrained weights' gradients, and under {1} there are none",
    ("forward", "adapter"): "{0} swaps pretrained weights that moved, and {1} freezes them",
    ("subset", "adapter"): "{0} trains some pretrained weights only, and {1} freezes them all",
    ("optimizer", "adapter"): "{0} is a rule for the pretrained weights, and {1} freezes them",
}


def clash(parts: Sequence[Method]) -> str | None:
    """Why the methods cannot be stacked, None where they can."""
    for i, one in enumerate(parts):
        if not one.roles:
            return f"{one.name} does not say what it does to a run (roles), so nothing stacks on it"
        for other in parts[:i]:
            if reason := _pair(one, other) or _pair(other, one):
                return reason
    return None


def _pair(one: Method, other: Method) -> str | None:
    if one.name == other.name:
        return f"{one.name} is in it twice"
    if "start" in one.roles:
        return (
            f"{one.name} moves the weights before training, and {other.name} would prepare on "
            "those instead of the base model's"
        )
    for role, reason in _EXCLUSIVE.items():
        if role in one.roles & other.roles:
            return reason
    for (mine, its), reason in _CLASHES.items():
        if mine in one.roles and its in other.roles:
            return reason.format(one.name, other.name)
    return None


def in_order(parts: Sequence[Method]) -> list[Method]:
    """The parts as they are run. By name, so that `a+b` and `b+a` are one cell; as they stand
    where a mask meets a pull or an auxiliary loss, for it masks what stands before it. In either
    case what computes at other weights comes first, to be the outermost, and an adapter last: the
    others prepare on the untouched model."""
    masked = any("mask" in part.roles for part in parts)
    named = parts if masked and _adds(parts) else sorted(parts, key=lambda part: part.name)
    return sorted(named, key=lambda part: ("adapter" in part.roles) - ("forward" in part.roles))


def _adds(parts: Sequence[Method]) -> bool:
    """Whether one adds to the gradients that the backward pass leaves."""
    return any(
        "auxiliary" in part.roles or ("pull" in part.roles and "optimizer" not in part.roles)
        for part in parts
    )


class Stack(Method):
    """Methods whose hooks are called one after the other.

    Losses nest: `run.task_loss` of a part is the loss of the part after it, and of the last the
    task's own, so that each adds its terms once. Optimizers nest in the same way, `run.adamw` of a
    part being that of the next; the part that has its own rule is the innermost. What one part
    does last is undone first: `finish` goes backwards.
    """

    def __init__(self, parts: Sequence[Method]) -> None:
        super().__init__(config=None)
        self.parts = parts
        self.name = "+".join(part.name for part in parts)

    @property
    def label(self) -> str:
        """The parts' labels."""
        return "+".join(part.label for part in self.parts)

    @property
    def settings(self) -> dict[str, Any]:
        """The parts' settings, by their names."""
        return {part.name: part.settings for part in self.parts}

    @property
    def lr(self) -> float | None:
        """That of the part that has one."""
        return next((part.lr for part in self.parts if part.lr is not None), None)

    @property
    def versions(self) -> dict[str, int]:
        """Those of all parts."""
        return {name: each for part in self.parts for name, each in part.versions.items()}

    @property
    def sources(self) -> frozenset[str]:
        """Those of all parts."""
        return frozenset().union(*(part.sources for part in self.parts))

    @property
    def needs(self) -> frozenset[Need]:
        """What any part needs."""
        return frozenset().union(*(part.needs for part in self.parts))

    @property
    def roles(self) -> frozenset[Role]:
        """What any part does."""
        return frozenset().union(*(part.roles for part in self.parts))

    @property
    def whole(self) -> str | None:  # type: ignore[override]
        """What the first part says that needs whole weights."""
        return next(filter(None, (part.whole for part in self.parts)), None)

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """That the parts clash, or what the first of them says that cannot work."""
        if reason := clash(self.parts):
            return f"the stack is not defined: {reason}"
        rates = {f"{part.name}.lr {part.lr:g}": part.lr for part in self.parts if part.lr}
        if len(set(rates.values())) > 1:
            return f"a stack has one learning rate, and here are {' and '.join(rates)}"
        return next(filter(None, (part.refuses(model, recipe) for part in self.parts)), None)

    @property
    def keeps(self) -> Keeps:  # type: ignore[override]
        """What all parts hold."""
        return reduce(add, (part.keeps for part in self.parts))

    @property
    def prepares(self) -> Keeps:  # type: ignore[override]
        """What all parts hold."""
        return reduce(add, (part.prepares for part in self.parts))

    def reads(self, recipe: Training) -> Reads | None:
        """The most rows that a part reads."""
        found = filter(None, (part.reads(recipe) for part in self.parts))
        return max(found, key=lambda one: one.rows * (one.tokens or 1), default=None)

    def trains(self, net: Any) -> None:
        """What no part freezes."""
        for part in self.parts:
            part.trains(net)

    def prepare(self, run: TrainingContext) -> None:
        """Each part in turn."""
        for part in self.parts:
            part.prepare(run)

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """That of the part that has its own, or AdamW, when the others have set to work."""
        own = {"optimizer", "adapter"}
        for part in sorted(self.parts, key=lambda part: not own & part.roles):
            run = _around(run, adamw=partial(part.optimizer, run))
        return run.adamw()

    def loss(self, run: TrainingContext, batch: Batch) -> Tensor:
        """The first part's, built on the second's, and so on."""
        for part in reversed(self.parts):
            run = _around(run, task_loss=partial(part.loss, run))
        return run.task_loss(batch)

    def after_backward(self, run: TrainingContext) -> None:
        """Each part in turn."""
        for part in self.parts:
            part.after_backward(run)

    def after_step(self, run: TrainingContext) -> None:
        """Each part in turn."""
        for part in self.parts:
            part.after_step(run)

    def finish(self, run: TrainingContext) -> None:
        """Each part, the last one first."""
        for part in reversed(self.parts):
            part.finish(run)

    def state_dict(self) -> dict[str, Tensor]:
        """The parts' states, keyed `METHOD/NAME`."""
        return {
            f"{part.name}/{key}": value
            for part in self.parts
            for key, value in part.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """To each part what is its own."""
        for part in self.parts:
            start = f"{part.name}/"
            own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            part.load_state_dict(own)


def _around(run: TrainingContext, **functions: Any) -> TrainingContext:
    """`run` with other functions in the place of its own, for the part around."""
    outer = copy.copy(run)
    vars(outer).update(functions)
    return outer


def build(spec: MethodSpec) -> Method:
    """The method, or the stack of methods, that `spec` describes: a new object.

    Raises:
        BenchError: no such method is registered.
    """
    names = spec.name.split("+")
    given = [spec.settings] if len(names) == 1 else [spec.settings[name] for name in names]
    classes = [METHODS.get(name) for name in names]
    parts = [cls.made_of(values) for cls, values in zip(classes, given, strict=True)]
    return parts[0] if len(parts) == 1 else Stack(parts)
