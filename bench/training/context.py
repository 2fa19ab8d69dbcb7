"""What a method sees of the cell that it trains: the model, the task, the clock, the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import Tensor, nn

from bench.cells.cache import Cache
from bench.cells.cell import Cell
from bench.core.hashing import derive_seed
from bench.network.batches import Batch, Encoded, collate
from bench.network.encoding import encode
from bench.network.likelihood import TaskModel, Way, example_losses, unlike
from bench.network.limits import context_length
from bench.network.loading import Loaded
from bench.rows.source import Source
from bench.rows.task import Row, Task
from bench.training.adamw import MasterAdamW

if TYPE_CHECKING:
    from accelerate import Accelerator

    from bench.cells.result import Elicited, ProbePoint

Progress = Callable[[str, int, int, float | None], None]
"""(what is running, done, of how many, loss or None)."""


class Look(TypedDict):
    """A look at the model in the midst of its training."""

    point: ProbePoint
    answers: list[Any]  # to the probe's rows; none where they are written
    losses: list[float]  # of the right answers, nats per token; none of a head
    nats: list[float]  # of each block of the retention text


@dataclass(frozen=True)
class _Read(Mapping[str, Tensor]):
    """Tensors of a file, each read and put on a device when it is asked for."""

    tensors: Mapping[str, Tensor]
    device: torch.device

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name].to(self.device)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


@dataclass
class TrainingContext:
    """One cell while it runs. Methods read everything and write only through its functions.

    `model` is what a loss is computed with (`TaskModel`, wrapped by accelerate while training);
    `net` is the plain Hugging Face network inside it, whose parameter names all dictionaries use.
    """

    cell: Cell
    task: Task
    forget: tuple[Task, ...]  # the forgetting tasks
    retention: str | None  # the retention text; None: sampled from the base model
    loaded: Loaded
    tokenizer: Any
    train_rows: Encoded
    forget_rows: dict[str, list[Row]]  # forgetting task -> its training rows
    accelerator: Accelerator
    cache: Cache
    progress: Progress
    finetuned: Callable[[int | None], dict[str, Tensor]]
    """The weights that plain fine-tuning of this task and seed ends with, or has after so many
    steps; trained once and shared with the `finetune` cell."""
    prompt_rows: Callable[[Task], list[Row]]
    """Forgetting task -> rows whose prompts the model is asked, to see what it believes."""
    source: Source  # where `--data` comes from, and what is known of it
    judge: Callable[[TrainingContext], float] | None = None
    """The score of the weights as they are, more being better, by which the best are selected;
    None: the last are."""
    best: dict[str, Tensor] = field(default_factory=dict)  # the weights with the best score so far
    probe: Callable[[TrainingContext], Look] | None = None
    """What the weights as they are score on a few rows, every `cell.recipe.eval_every` steps."""
    micro_batch: int | None = None  # in place of the recipe's, where memory ran out
    on_disk: bool = False  # whether θ0 is a file, of which a tensor is read when it is asked for
    model: nn.Module = field(init=False)
    task_model: TaskModel = field(init=False)
    optimizer: Any = field(init=False)  # accelerate's wrapper of the method's optimizer
    step: int = 0  # optimizer steps done on the task
    logging: bool = False  # whether this step's values are kept
    logged: dict[str, float] = field(default_factory=dict)
    sharded: bool = False  # the weights are cut over the processes (FSDP), as while training
    _anchor: dict[str, Tensor] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what a board must say of this cell

    def __post_init__(self) -> None:
        self.net = self.loaded.net.to(self.accelerator.device)
        recipe = self.cell.training
        self.model = self.task_model = TaskModel(self.net, recipe.precision, recipe.scoring)
        rows = collate(self.train_rows, unlike(self.train_rows), self.tokenizer.pad_token_id)
        probe = rows.to(self.device)
        self.task_model.settle("train", lambda: example_losses(self.task_model, probe))

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.cell.steps

    @property
    def anchor(self) -> Mapping[str, Tensor]:
        """θ0 of every pretrained parameter, on the device and cut as that is; never changed. Where
        it is on disk, it is there for as long as the caller holds it."""
        if self.on_disk:
            return _Read(self.loaded.base, self.device)
        if not self._anchor:
            self._fill_anchor()
        return self._anchor

    def _fill_anchor(self) -> None:
        """In place: the views of a stack's parts share it, and optimizers hold it."""
        own = dict(self.net.named_parameters())
        for name, value in self.loaded.base.items():
            self._anchor[name] = self.placed(value, own.get(name))

    def now_sharded(self, sharded: bool) -> None:
        """Take note that the weights are cut over the processes, or whole again."""
        self.sharded, asked = sharded, bool(self._anchor)
        self._anchor.clear()  # whole, it is there again once somebody asks
        if asked and sharded:
            self._fill_anchor()

    def placed(self, value: Tensor, like: Tensor | None) -> Tensor:
        """`value` on the device; of the shape of a sharded parameter or gradient `like`, cut as
        that is."""
        if not self.sharded:
            return value.to(self.device)
        from bench.training.shards import placed

        return placed(value, like).to(self.device)

    def number(self, value: Tensor) -> float:
        """A scalar that was summed over weights, as a number: `float` counts one process's shards
        alone. Every process must ask."""
        if not self.sharded:
            return float(value)
        from bench.training.shards import gathered

        return float(gathered({"": value}, keep=True)[""])

    def whole(self) -> AbstractContextManager[None]:
        """Inside, the weights are whole, to be read, in every process at its own pace."""
        if not self.sharded:
            return nullcontext()
        from bench.training.shards import whole

        return whole(self.task_model)

    def seed(self, purpose: str) -> int:
        """A seed for `purpose`, the same for every method of this task and seed."""
        return derive_seed(self.cell.task.name, self.cell.seed, purpose)

    def task_loss(self, batch: Batch) -> Tensor:
        """The task's loss on a micro-batch, scaled so that a step's parts add up to its mean."""
        return example_losses(self.model, batch).sum() * batch.scale

    def example_losses(self, net: nn.Module, batch: Batch) -> Tensor:
        """Loss of each example, [n], in nats, unwrapped by accelerate; for `bench.gradients`."""
        assert net is self.net
        return example_losses(self.task_model, batch.to(self.device))

    def batches(self, indices: list[int], size: int) -> list[Batch]:
        """Training examples in batches of like length."""
        size = 1 if self.task_model.way is Way.ALONE else size
        order = sorted(indices, key=self.train_rows.length)
        parts = [order[i : i + size] for i in range(0, len(order), size)]
        return [collate(self.train_rows, part, self.tokenizer.pad_token_id) for part in parts]

    def encode_forget(self, rows: list[Row], task_name: str, answer_tokens: int) -> Encoded:
        """Rows of a forgetting task, tokenised like the run's own, with room in the model's
        context for an answer of so many tokens."""
        task = next(task for task in self.forget if task.name == task_name)
        room = context_length(self.net) - answer_tokens
        return encode(rows, task, self.tokenizer, "causal", min(self.max_length, room))

    @property
    def max_length(self) -> int:
        """Tokens per example that the recipe and the model both allow."""
        return min(self.cell.training.max_length, context_length(self.net))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimizer groups: pretrained or new, decayed (matrices) or not (biases and norms).

        Each carries `names`, in the order of `params`, and `pretrained`.
        """
        recipe = self.cell.recipe
        groups: dict[tuple[bool, bool], dict[str, Any]] = {}
        for name, parameter in self.net.named_parameters():
            if not parameter.requires_grad:
                continue
            pretrained, decays = name in self.loaded.base, parameter.ndim > 1
            group = groups.setdefault(
                (pretrained, decays),
                {
                    "params": [],
                    "names": [],
                    "pretrained": pretrained,
                    "lr": recipe.lr,
                    "weight_decay": recipe.weight_decay if decays else 0.0,
                },
            )
            group["params"].append(parameter)
            group["names"].append(name)
        return list(groups.values())

    def adamw(self, groups: list[dict[str, Any]] | None = None) -> torch.optim.Optimizer:
        """AdamW with the recipe's settings, in its fused form, over `parameter_groups()` or over
        these groups."""
        recipe = self.cell.recipe
        return MasterAdamW(
            self.parameter_groups() if groups is None else groups,
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
        )

    def update(self) -> None:
        """Clip the gradients that are in place, move the weights, clear the gradients."""
        clip = self.cell.training.clip
        if clip:
            self.accelerator.clip_grad_norm_(self.net.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def log(self, **values: float) -> None:
        """Keep values for the next point of the curve, which a step with `logging` set ends."""
        self.logged.update(values)

    def report(self, **parts: Elicited) -> None:
        """Parts of the cell's result that the method alone knows, under their names in
        `bench.cells.result.CellResult`; a checkpoint keeps them."""
        self.reported.update(parts)
