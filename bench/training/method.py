"""The contract of a method: a class of hooks around the one training loop. All are optional."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.cells.cell import MethodSpec
from bench.core.errors import BenchError, unknown_name
from bench.core.hashing import code_digest
from bench.core.registry import Registry
from bench.core.settings import Range, changed, check_space, parse, setting, typed

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext

Need = Literal["generation", "text", "finetuned", "forget", "truth"]
NEEDS: dict[Need, str] = {
    "generation": "a model that writes text",
    "text": "the retention file",
    "finetuned": "the weights that plain fine-tuning of the same task and seed ends with",
    "forget": "a forgetting task",
    "truth": "data whose truth is known",
}
"""What a method may ask of a run, checked before anything starts."""


Role = Literal[
    "loss",
    "auxiliary",
    "pull",
    "mask",
    "step",
    "optimizer",
    "forward",
    "subset",
    "adapter",
    "finish",
    "start",
]
ROLES: dict[Role, str] = {
    "loss": "builds on `run.task_loss(batch)`, called once per micro-batch, and adds terms",
    "auxiliary": "adds the gradient of a loss of its own after the backward pass",
    "pull": "draws the pretrained weights to θ0 or to each other, in their gradients or update",
    "mask": "rescales the gradients that are there",
    "step": "takes optimizer steps of its own (`run.update`)",
    "optimizer": "has its own update rule or rates",
    "forward": "computes the loss at other weights than those that are trained",
    "subset": "trains some of the pretrained weights only",
    "adapter": "freezes the pretrained weights, trains new ones and merges them at the end",
    "finish": "moves the weights after the last step",
    "start": "moves the weights before the first step",
}
"""What a method does to a training run, which says what it can be stacked with."""

Meaning = Literal["retains", "forgets", "learns", "shrinks"]
"""What a method is for, which `run_bench.py selfcheck` measures against plain fine-tuning:
`retains` more of the retention text; `forgets` the forgetting task, whose loss rises; `learns` it,
too; `shrinks` the smallest singular values of a batch's features."""


@dataclass(frozen=True)
class NoSettings:
    """The settings of a method that has none."""


@dataclass(frozen=True)
class CommonSettings:
    """The settings that every method has beside its own."""

    lr: float | None = setting(
        None,
        "its own peak learning rate; none: train.lr",
        above=0.0,
        search=Range(0.1, 10.0, log=True, of="train.lr"),
    )


COMMON = tuple(field.name for field in dataclasses.fields(CommonSettings))


@dataclass(frozen=True)
class Card:
    """What a reader wants to know of a method before trusting its row on a board.

    A figure's origin: `seen` (read in the paper or its code), `derived` (worked out from it),
    `secondary` (read in somebody's summary of it) or `this suite` (our choice).
    """

    title: str
    paper: str
    equation: str
    defaults: str  # "NAMES: ORIGIN; NAMES: ORIGIN"
    passes: str  # forward and backward passes beside plain fine-tuning's


@dataclass(frozen=True)
class Keeps:
    """What a method holds beside the network, its gradients and the optimizer's moments, at one
    time, in copies of the pretrained weights. The plan adds it up before anything starts."""

    theta0: float = 0.0  # θ0 where the weights lie, as `run.anchor` gives it
    importance: float = 0.0  # a float32 value of each weight: F, Ω, a mask
    star: float = 0.0  # other weights of this network: θ*, a mixture
    teacher: float = 0.0  # a second network

    def __add__(self, other: Keeps) -> Keeps:
        """What two methods hold that run at once, and share θ0."""
        return Keeps(
            max(self.theta0, other.theta0),
            self.importance + other.importance,
            self.star + other.star,
            self.teacher + other.teacher,
        )


@dataclass(frozen=True)
class Reads:
    """Rows that a method passes forward and backward beside the task's own batch."""

    rows: int
    among: int = 0  # rows of the forgetting tasks, the longest of which these may be
    tokens: int = 0  # or of running text, each of them predicted


class Method:
    """One way to fine-tune.

    The loop calls, in this order: `prepare` once; `optimizer` once; then for every step `loss`
    (on each micro-batch), `after_backward`, the optimizer's step and `after_step`; and `finish`.
    Subclasses are registered with `register_method`, name their settings' frozen dataclass in
    `Config` and describe themselves in `card`; the rest of the class data is
    optional, and says what the suite may test, name and stack.
    """

    name: str
    version: ClassVar[int] = 1
    """Of its code: raised where the same settings give other weights, and its cells run again."""
    card: ClassVar[Card]
    Config: ClassVar[type] = NoSettings
    variants: ClassVar[dict[str, dict[str, Any]]] = {}
    """Named settings: `{"ahead": {"schedule": "ahead"}}` is asked for as `lwf:ahead`."""
    off: ClassVar[dict[str, Any] | None] = None
    """Settings with which the method is plain fine-tuning, bit for bit."""
    holds: ClassVar[dict[str, Any] | None] = None
    """Settings with which the pretrained weights stay where they are, or almost."""
    meaning: ClassVar[Meaning | None] = None
    quick: ClassVar[dict[str, Any]] = {}
    """Settings that suit a tiny model and a dozen steps: little to prepare, a plain effect."""
    common = CommonSettings()
    keeps: Keeps = Keeps()
    """What it holds while it trains; may be a property, where that depends on the settings."""
    prepares: Keeps = Keeps()
    """What it holds in `prepare`, before there are gradients and moments."""
    leaves_theta0: ClassVar[bool] = False
    """Whether it never writes into the tensors of pretrained weights, but puts others into their
    places, if any: θ0 is those tensors then, not a copy, and the next cell may have the network."""
    whole: str | None = None
    """Why it needs all weights whole in each process while it trains, which FSDP cuts over them;
    None: what it does with them in its hooks it does with their shards as well."""

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @classmethod
    def made_of(cls, settings: Mapping[str, Any]) -> Method:
        """The method with these settings, of its own and of those that every method has.

        Raises:
            BenchError: there is no such setting, or it cannot have this value.
        """
        own = [field.name for field in dataclasses.fields(cls.Config)]
        for name in settings:
            if name not in (*own, *COMMON):
                raise unknown_name(f"setting of {cls.name}", name, [*own, *COMMON])
        made = cls(parse(cls.Config, {k: v for k, v in settings.items() if k in own}, cls.name))
        shared = {k: v for k, v in settings.items() if k in COMMON}
        made.common = parse(CommonSettings, shared, cls.name)
        return made

    @property
    def lr(self) -> float | None:
        """Its own peak learning rate; None: the recipe's."""
        return self.common.lr

    @property
    def label(self) -> str:
        """What boards call it: `lwf`, `lwf:ahead`, `lwf:ahead[interval=4]`."""
        differing = changed(self.config) | changed(self.common)
        fitting = [
            name for name, values in self.variants.items() if values.items() <= differing.items()
        ]
        variant = max(fitting, key=lambda name: len(self.variants[name]), default=None)
        if variant:
            differing = {k: v for k, v in differing.items() if k not in self.variants[variant]}
        name = f"{self.name}:{variant}" if variant else self.name
        rest = ",".join(f"{name}={typed(value)}" for name, value in differing.items())
        return f"{name}[{rest}]" if rest else name

    @property
    def settings(self) -> dict[str, Any]:
        """All of its own settings as JSON values, and those of every method that are not the
        default; with `name`, all that a result depends on."""
        return asdict(self.config) | changed(self.common)

    @property
    def spec(self) -> MethodSpec:
        """The method as data, which `bench.training.stack.build` makes it of again."""
        needs, code = tuple(sorted(self.needs)), code_digest(self.sources)
        return MethodSpec(
            self.name, self.settings, self.label, needs, versions=self.versions, code=code
        )

    @property
    def sources(self) -> frozenset[str]:
        """Where it is defined."""
        return frozenset({type(self).__module__})

    @property
    def versions(self) -> dict[str, int]:
        """Those of its parts that are not the first."""
        return {} if self.version == 1 else {self.name: self.version}

    @property
    def needs(self) -> frozenset[Need]:
        """What this method, with these settings, asks of a run."""
        return frozenset()

    @property
    def roles(self) -> frozenset[Role]:
        """What this method, with these settings, does to a run; none said: it is not stacked."""
        return frozenset()

    def reads(self, recipe: Training) -> Reads | None:
        """The largest batch of other rows that it passes through the network, while it trains."""
        return None

    def trains(self, net: Any) -> None:
        """Leave of the network what is trained: freeze the rest, put adapters in. The plan, which
        wants to know how much that is, asks it of a network without values."""

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """Why these settings cannot work with this model and recipe; asked before anything runs."""
        return None

    def prepare(self, run: TrainingContext) -> None:
        """Before training: Fisher information, self-generated text, a teacher."""

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """The optimizer; AdamW over the run's parameter groups unless the method has its own."""
        return run.adamw()

    def loss(self, run: TrainingContext, batch: Batch) -> Tensor:
        """The scalar to descend on one micro-batch; `run.task_loss` is the task's own."""
        return run.task_loss(batch)

    def after_backward(self, run: TrainingContext) -> None:
        """Once per step, when all gradients are in place and before they are clipped."""

    def after_step(self, run: TrainingContext) -> None:
        """Once per step, after the optimizer moved the weights."""

    def finish(self, run: TrainingContext) -> None:
        """After the last step, before the model is scored."""

    def state_dict(self) -> dict[str, Tensor]:
        """All that `prepare` and the hooks built up; a resumed run loads it and skips `prepare`."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""


METHODS: Registry[type[Method]] = Registry("method")


def register_method(name: str) -> Callable[[type[Method]], type[Method]]:
    """Class decorator: `@register_method("ewc")` above a subclass of `Method`."""

    def decorate(cls: type[Method]) -> type[Method]:
        if not isinstance(getattr(cls, "card", None), Card):
            raise BenchError(f"method {name!r} in {cls.__module__} has no card (bench.Card).")
        _check_settings(name, cls)
        METHODS.add(name, cls, cls.__module__)
        cls.name = name
        return cls

    return decorate


def _check_settings(name: str, cls: type[Method]) -> None:
    """Raises BenchError where a method's settings or variants can never work."""
    where = f"method {name!r} in {cls.__module__}"
    if not (isinstance(cls.Config, type) and dataclasses.is_dataclass(cls.Config)):
        raise BenchError(f"{where}: Config is {cls.Config!r}, which is no dataclass.")
    if type(cls.version) is not int or cls.version < 1:
        raise BenchError(f"{where}: version is {cls.version!r}, and counts from 1.")
    fields = {field.name: field for field in dataclasses.fields(cls.Config)}
    for name, field in fields.items():
        if field.default is dataclasses.MISSING:
            raise BenchError(f"{where}: the setting {name!r} has no default.")
        check_space(field, f"{where}: {name}")
        if name in COMMON:
            raise BenchError(f"{where}: every method has a setting {name!r} already; leave it out.")
    for variant, values in cls.variants.items():
        for name in values:
            if name not in fields:
                raise unknown_name(f"setting of {where}, variant {variant!r},", name, fields)
