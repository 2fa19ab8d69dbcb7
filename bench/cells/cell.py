"""A cell: one method on one task from one seed, known by the hash of what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from bench.cells.recipe import Training
from bench.cells.tuned import Tuned, TunedIdentity
from bench.core.hashing import digest
from bench.core.version import SCORES_VERSION

ModelKind = Literal["causal", "encoder"]
REFERENCE = "finetune"
"""The method that the others' gains are differences to."""
THEN = ">"  # between the tasks of a sequence: "cola>rte"


@dataclass(frozen=True)
class ModelInfo:
    """A model before it is loaded: where it is, what it is, and the hash of its files."""

    name: str  # for display
    source: str  # a folder or a hub id
    revision: str | None  # the hub's commit; None for a folder
    kind: ModelKind
    hash: str
    tokenizer: str  # hash of what the tokenizer is loaded from
    hidden_size: int  # 0 where the configuration does not say
    twin: str | None = None  # the model pretrained alike, without this one's planted conflict
    trusted: bool = False  # whether the Python code beside its weights may run
    weights: Path | None = None  # safetensors in place of the source's: an earlier stage's
    predicts_words: bool = True  # whether an encoder has its head that predicts masked words
    head: tuple[str, ...] = ()  # the labels of a head that it was fine-tuned with, in order

    @property
    def generates(self) -> bool:
        """Whether it can write text."""
        return self.kind == "causal"


@dataclass(frozen=True)
class MethodSpec:
    """A method as data; `bench.training.stack.build` makes the object where it runs."""

    name: str  # "ewc"; of a stack "ewc+lwf"
    settings: dict[str, Any]  # all of them, JSON values; a stack's by the names of its parts
    label: str  # what boards call it: its name and the settings that are not the default
    needs: tuple[str, ...] = ()  # what it asks of a run, of bench.training.method.NEEDS
    tuned: Tuned | None = None  # how its settings were chosen, where a search did
    versions: dict[str, int] = field(default_factory=dict)  # of its parts that are not of the first
    code: str = field(default="", compare=False)  # hash of what runs it; empty: not known

    @property
    def lr(self) -> float | None:
        """Its own peak learning rate; None: the recipe's."""
        parts = self.settings.values() if "+" in self.name else [self.settings]
        return next((part["lr"] for part in parts if "lr" in part), None)


@dataclass(frozen=True)
class TaskSpec:
    """A task as cells know it; its prompt, its rows and the rest are the plan's `Material`."""

    name: str
    hash: str  # of what it asks and how it is scored
    rows: str  # hash of its rows
    note: str | None = None  # what boards say of it
    generated: bool = False  # whether its rows are made up: no score is the published task's


@dataclass(frozen=True)
class ForgetSpec:
    """The forgetting task, or several: "mixed"."""

    tasks: tuple[str, ...]
    rows: str  # hash of their rows' hashes
    mixed: bool = False  # whether nobody named them: they are the other tasks of the run


@dataclass(frozen=True)
class DataSource:
    """Where rows come from."""

    source: str  # "hub", another that goes by a name, or a folder
    name: str  # for display: where the rows of what is learned lie


@dataclass(frozen=True)
class RetentionSpec:
    """The text whose loss tells what was retained; None: text sampled from the base model."""

    name: str | None
    hash: str | None


@dataclass(frozen=True)
class Besides:
    """What is measured besides where that was asked for."""

    lm_eval: tuple[str, ...] = ()  # tasks of lm-evaluation-harness
    retain_tasks: tuple[TaskSpec, ...] = ()  # other tasks, scored before and after
    path: int = 0  # points between θ0 and θ, θ among them


class Named(TypedDict):
    """A part of an identity that is known by its hash."""

    hash: str


class ModelIdentity(TypedDict):
    """The model in an identity."""

    kind: ModelKind
    hash: str


class ForgetIdentity(TypedDict):
    """The forgetting tasks in an identity."""

    tasks: list[str]
    hash: str


class _Identity(TypedDict):
    suite_version: str  # SCORES_VERSION
    method: str
    settings: dict[str, Any]
    task: str
    task_hash: str
    seed: int
    model: ModelIdentity
    data: Named
    training: dict[str, Any]
    forget: ForgetIdentity


class Identity(_Identity, total=False):
    """All that a cell's training depends on, and nothing else: nothing of what is measured, no
    path, device or worker count. The forgetting tasks and the text are in it where the method
    reads them."""

    versions: dict[str, int]  # of the method's parts that are not of the first
    text: str  # hash of what is read for the method
    tuned: TunedIdentity  # of settings that a search chose
    stages: list[str]  # the tasks of a sequence
    retention: dict[str, str | None]  # before 0.5.0: the text that is scored
    lm_eval: list[str]  # before 0.5.0


@dataclass(frozen=True)
class Cell:
    """One method, with its settings, on one task, from one seed. Plain data: it can be pickled and
    written as JSON, and stays small whatever the plan holds."""

    method: MethodSpec
    task: TaskSpec
    model: ModelInfo
    data: DataSource
    training: Training
    forget: ForgetSpec
    retention: RetentionSpec
    seed: int
    steps: int
    besides: Besides = field(default_factory=Besides)
    trial: int | None = None  # its number in a search: no row of a board

    def identity(self) -> Identity:
        """All that the training depends on."""
        found: Identity = {
            "suite_version": SCORES_VERSION,
            "method": self.method.name,
            "settings": self.method.settings,
            "task": self.task.name,
            "task_hash": self.task.hash,
            "seed": self.seed,
            "model": {"kind": self.model.kind, "hash": self.model.hash},
            "data": {"hash": self.task.rows},
            "training": self.training.identity,
            "forget": {"tasks": [], "hash": ""},
        }
        if "forget" in self.method.needs:
            found["forget"] = {"tasks": list(self.forget.tasks), "hash": self.forget.rows}
        if "text" in self.method.needs:
            found["text"] = self.retention.hash or ""
        if self.method.versions:
            found["versions"] = self.method.versions
        if self.method.tuned:
            found["tuned"] = self.method.tuned.identity
        return found

    @property
    def hash(self) -> str:
        """The name of its training, its weights and its result."""
        return digest(self.identity())

    @property
    def training_hash(self) -> str:
        """The name of its weights, which do not depend on how its settings were chosen."""
        return training_hash(self.identity())

    @property
    def recipe(self) -> Training:
        """The recipe as the method runs it, at its own learning rate if it has one."""
        rate = self.method.lr
        return self.training if rate is None else dataclasses.replace(self.training, lr=rate)

    @property
    def base_hash(self) -> str:
        """What the untouched model's scores, texts and Fisher information depend on: its files,
        what its weights are held in, and the arithmetic of its passes."""
        held, scoring = self.training.weights, self.training.scoring
        found = self.model.hash if held == "float32" else f"{self.model.hash} {held}"
        return found if scoring == "float32" else f"{found} scored in {scoring}"

    @property
    def label(self) -> str:
        """The method as boards show it."""
        return self.method.label

    @property
    def name(self) -> str:
        """What it learns."""
        return self.task.name

    @property
    def generated(self) -> bool:
        """Whether its rows are made up."""
        return self.task.generated

    @property
    def labels(self) -> dict[str, str]:
        """Names for display that are no part of the identity."""
        labels = {"model": self.model.name, "data": self.data.name, "method": self.label}
        if self.model.twin is not None:
            labels["twin"] = self.model.twin
        if self.trial is not None:
            labels["trial"] = str(self.trial)
        if self.task.note:
            labels["task"] = f"{self.task.name}, {self.task.note}"
        return labels

    def __str__(self) -> str:
        return f"{self.label} x {self.name} x seed {self.seed}"


@dataclass(frozen=True)
class TaskSequence:
    """Tasks that one method learns one after the other from one seed, a cell for each stage.

    The model of a stage is what the stage before it made, so its θ0 are that stage's last weights.
    """

    stages: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """What it learns: "cola>rte"."""
        return THEN.join(stage.name for stage in self.stages)

    @property
    def method(self) -> MethodSpec:
        """What learns it."""
        return self.stages[0].method

    @property
    def label(self) -> str:
        """The method as boards show it."""
        return self.method.label

    @property
    def generated(self) -> bool:
        """Whether rows of any stage are made up."""
        return any(stage.generated for stage in self.stages)

    @property
    def labels(self) -> dict[str, str]:
        """As of a cell."""
        return {k: v for k, v in self.stages[0].labels.items() if k != "task"}

    @property
    def hash(self) -> str:
        """The name of its result."""
        return digest(self.identity())

    def identity(self) -> Identity:
        """As of a cell; the parts that the stages differ in are those of all stages."""
        parts = [stage.identity() for stage in self.stages]
        return {
            **parts[0],
            "task": self.name,
            "stages": [part["task"] for part in parts],
            "task_hash": digest([part["task_hash"] for part in parts]),
            "data": {"hash": digest([part["data"] for part in parts])},
            "forget": {
                "tasks": sorted({task for part in parts for task in part["forget"]["tasks"]}),
                "hash": digest([part["forget"] for part in parts]),
            },
        }

    def __str__(self) -> str:
        return f"{self.label} x {self.name} x seed {self.stages[0].seed}"


AnyCell = Cell | TaskSequence


def training_hash(identity: Mapping[str, Any]) -> str:
    """The name of a cell's weights."""
    return digest({name: part for name, part in identity.items() if name != "tuned"})


def steps_of(cell: AnyCell) -> int:
    """Optimizer steps on the tasks."""
    return cell.steps if isinstance(cell, Cell) else sum(stage.steps for stage in cell.stages)


def label_of(cell: AnyCell) -> str:
    """What counts of cells call it: its label, or that it is one of a method's trials."""
    return f"{cell.method.name} trials" if is_trial(cell) else cell.label


def is_trial(cell: AnyCell) -> bool:
    """Whether settings are chosen by it: it is no row of a board."""
    return (cell.stages[0] if isinstance(cell, TaskSequence) else cell).trial is not None


def to_json(cell: AnyCell) -> dict[str, Any]:
    """A cell as JSON values, of which `from_json` makes the same cell in another process."""
    if isinstance(cell, TaskSequence):
        return {"stages": [to_json(stage) for stage in cell.stages]}
    value = dataclasses.asdict(cell)
    value["model"]["weights"] = cell.model.weights and str(cell.model.weights)
    return value


def from_json(value: Mapping[str, Any]) -> AnyCell:
    """The inverse of `to_json`."""
    if "stages" in value:
        stages = (from_json(stage) for stage in value["stages"])
        return TaskSequence(tuple(stage for stage in stages if isinstance(stage, Cell)))
    found: Cell = _made(Cell, value)
    return found


def _made(kind: Any, value: Any) -> Any:
    """What `dataclasses.asdict` and JSON made of a value of this type, as it was."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{name: _made(types[name], part) for name, part in value.items()})
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], part) for part in value)
    whole = next((one for one in get_args(kind) if dataclasses.is_dataclass(one)), None)
    if whole is not None and value is not None:
        return _made(whole, value)
    return Path(value) if value is not None and Path in get_args(kind) else value
