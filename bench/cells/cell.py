"""A cell: one method on one task from one seed, known by the hash of what it is."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench.core.hashing import digest
from bench.core.settings import setting
from bench.core.version import SUITE_VERSION

if TYPE_CHECKING:
    from bench.rows.task import Task
    from bench.training.method import Method

ModelKind = Literal["causal", "encoder"]
NOT_GLUE = "generated, not GLUE"
"""In the name of the micro world's data, wherever that is shown."""
REFERENCE = "finetune"
"""The method that the others' gains are differences to."""
THEN = ">"  # between the tasks of a sequence: "cola>rte"


@dataclass(frozen=True)
class Training:
    """The recipe that every method of a run shares."""

    lr: float = setting(
        5e-4, "peak learning rate; 2e-5 unless the model is small", above=0.0, option=True
    )
    batch_size: int = setting(16, "examples per optimizer step", low=1, option=True)
    micro_batch: int | None = setting(
        None, "examples per backward pass; none: the whole batch at once", low=1
    )
    epochs: float = setting(
        1.0, "passes over the training rows (unless steps is set)", above=0.0, option=True
    )
    steps: int | None = setting(None, "optimizer steps; none: from epochs", low=0, option=True)
    warmup: float = setting(0.06, "share of the steps that the rate rises over", low=0.0, high=1.0)
    schedule: str = setting(
        "linear", "how the rate falls after warm-up", choices=("linear", "cosine", "constant")
    )
    weight_decay: float = setting(0.01, "decoupled decay of matrices", low=0.0)
    beta1: float = setting(0.9, "Adam's first moment", low=0.0, high=0.9999)
    beta2: float = setting(0.999, "Adam's second moment", low=0.0, high=0.99999)
    eps: float = setting(1e-8, "Adam's epsilon", above=0.0)
    clip: float = setting(1.0, "largest norm of the gradient; 0: no clipping", low=0.0)
    max_length: int = setting(
        512, "tokens per example, the model's own limit at most", low=8, option=True
    )
    max_train: int | None = setting(None, "training rows used; none: all", low=1, option=True)
    max_eval: int | None = setting(None, "dev rows scored; none: all", low=1, option=True)
    batching: str = setting(
        "bucketed",
        "bucketed: batches of like length; random: the papers' recipe",
        choices=("bucketed", "random"),
        option=True,
    )
    precision: str = setting(
        "float32",
        "arithmetic of the training passes; weights, optimizer, importance, scores stay float32",
        choices=("float32", "bfloat16"),
    )
    compile: bool = setting(
        False,
        "torch.compile the network's blocks for training, and RecAdam's update; costs.compile and "
        "a column of the board have the warm-up, the time has not",
    )
    shots: int = setting(0, "answered training rows in front of every prompt", low=0, option=True)
    choices: str = setting(
        "likelihood",
        "how a choice is made: by its text's likelihood, or by its letter, which is written",
        choices=("likelihood", "letter"),
    )
    retention_tokens: int = setting(8192, "tokens of retention text that are scored", low=64)
    forget_rows: int = setting(256, "dev rows of the forgetting task that are scored", low=1)

    def total_steps(self, rows: int) -> int:
        """Optimizer steps for a task with `rows` training rows."""
        if self.steps is not None:
            return self.steps
        used = min(rows, self.max_train or rows)
        return math.ceil(math.ceil(used / self.batch_size) * self.epochs)


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
    weights: Path | None = None  # safetensors in place of the source's: an earlier stage's

    @property
    def generates(self) -> bool:
        """Whether it can write text."""
        return self.kind == "causal"


@dataclass(frozen=True)
class DataSource:
    """Where rows come from, and the content hash of each task's rows."""

    source: str  # "hub", "micro" or a folder
    hashes: dict[str, str]  # task -> hash

    @property
    def name(self) -> str:
        """For display: the last part of a folder's path."""
        if self.source == "micro":
            return f"micro ({NOT_GLUE})"
        return self.source.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Retention:
    """The text whose loss tells what was retained; None: text sampled from the base model."""

    name: str | None
    text: str | None = dataclasses.field(repr=False)
    hash: str | None


@dataclass(frozen=True)
class Cell:
    """One method, with its settings, on one task, from one seed."""

    method: Method
    task: Task
    model: ModelInfo
    data: DataSource
    training: Training
    forget: tuple[Task, ...]  # the forgetting task; several: "mixed"
    retention: Retention
    seed: int
    steps: int
    lm_eval: tuple[str, ...] = ()  # tasks of lm-evaluation-harness to score besides

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, and nothing else: no path, device or worker count."""
        later = {task.name: task.version for task in self.forget if task.version != 1}
        return {
            "suite_version": SUITE_VERSION,
            "method": self.method.name,
            "settings": self.method.settings,
            "task": self.task.name,
            "task_hash": task_hash(self.task),
            "seed": self.seed,
            "model": {"kind": self.model.kind, "hash": self.model.hash},
            "data": {"hash": self.data.hashes[self.task.name]},
            "training": dataclasses.asdict(self.training),
            "forget": {
                "tasks": [task.name for task in self.forget],
                "hash": digest([self.data.hashes[task.name] for task in self.forget]),
                **({"versions": later} if later else {}),
            },
            "retention": {"hash": self.retention.hash},
            **({"lm_eval": list(self.lm_eval)} if self.lm_eval else {}),
        }

    @property
    def hash(self) -> str:
        """The name of its result."""
        return digest(self.identity())

    @property
    def label(self) -> str:
        """The method as boards show it: its name and the settings that are not the default."""
        return self.method.label

    @property
    def name(self) -> str:
        """What it learns."""
        return self.task.name

    @property
    def labels(self) -> dict[str, str]:
        """Names for display that are no part of the identity."""
        labels = {"model": self.model.name, "data": self.data.name, "method": self.label}
        if self.model.twin is not None:
            labels["twin"] = self.model.twin
        if self.task.note and self.data.source != "micro":
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
    def method(self) -> Method:
        """What learns it."""
        return self.stages[0].method

    @property
    def label(self) -> str:
        """The method as boards show it."""
        return self.method.label

    @property
    def labels(self) -> dict[str, str]:
        """As of a cell."""
        return {k: v for k, v in self.stages[0].labels.items() if k != "task"}

    @property
    def hash(self) -> str:
        """The name of its result."""
        return digest(self.identity())

    def identity(self) -> dict[str, Any]:
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


def task_hash(task: Task) -> str:
    """The hash of what a task asks and how it is scored (where its rows lie is no part of it)."""
    asked = (task.name, task.kind, task.columns, task.labels, task.words, task.prompt, task.metrics)
    written = (task.target, task.extract, task.max_new_tokens, task.extra)
    later = () if task.version == 1 else (task.version,)  # a first version's hash has no number
    return digest([*asked, *written, *later])
