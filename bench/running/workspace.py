"""What the cells of one process share: the run's folder, tokenizers, rows and their tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cells.cache import Cache
from bench.cells.cell import AnyCell, Cell, ModelInfo
from bench.cells.weights import Weights
from bench.core.errors import BenchError
from bench.network.batches import Encoded
from bench.network.encoding import LongPromptError, encode
from bench.network.loading import Loaded, load_tokenizer
from bench.network.token_cache import collector_paused, pack, unpack
from bench.rows.material import Material
from bench.rows.portions import VALIDATION, Portions, portions, subset
from bench.rows.source import load_rows
from bench.rows.task import Row, Task, task_hash
from bench.running.sharing import processes
from bench.training.context import Progress

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Workspace:
    """What the cells of one process share: the run's folder, tokenizers, rows and their tokens."""

    folder: Path
    progress: Progress
    material: Material
    submission: bool = False  # whether GLUE's test rows are answered too
    keep_bytes: float = 0.0  # of tuned weights in the run's folder
    tracker: str | None = None  # whom the curve is told, too
    on_disk: bool = False  # whether θ0 is read from a file, tensor by tensor
    micro_batch: int | None = None  # in place of the recipe's, where memory ran out
    left: tuple[Any, Loaded] | None = None  # what it was loaded as, and a network at θ0
    tokenizers: dict[str, Any] = field(default_factory=dict)
    encoded: dict[tuple[Any, ...], Encoded] = field(default_factory=dict)
    divided: dict[tuple[Any, ...], Portions] = field(default_factory=dict)

    def tokenizer(self, info: ModelInfo) -> Any:
        """The model's tokenizer, loaded once."""
        if info.source not in self.tokenizers:
            self.tokenizers[info.source] = load_tokenizer(info)
        return self.tokenizers[info.source]

    def rows_of(self, task: Task, data: str, split: str) -> list[Row]:
        """A split's rows, read once."""
        rows, key = self.material.rows, (task.name, data, split)
        if key not in rows:
            rows[key] = load_rows(task, data, split)
        return rows[key]

    def portions(self, cell: Cell, task: Task) -> Portions:
        """What the cell's recipe makes of a task's training rows, once."""
        wanted, limit = cell.training.validation, cell.training.max_train
        key = (task.name, cell.data.source, wanted, limit)
        if key not in self.divided:
            rows = self.rows_of(task, cell.data.source, "train")
            self.divided[key] = portions(rows, task, limit, wanted)
        return self.divided[key]

    def encoded_rows(
        self, cell: Cell, task: Task, split: str, limit: int | None, length: int
    ) -> Encoded:
        """`limit` rows of a split as tokens of the cell's model, made once."""
        model = cell.model
        recipe = (cell.training.validation, cell.training.max_train)
        place = (task.name, cell.data.source, split, limit, *recipe)
        key = (*place, model.tokenizer, model.kind, length)
        if key not in self.encoded:
            rows = self._used_rows(cell, task, split, limit)
            tokenizer = self.tokenizer(model)

            def compute() -> dict[str, Tensor]:
                try:
                    return pack(encode(rows, task, tokenizer, model.kind, length))
                except LongPromptError as error:
                    if shots := cell.training.shots:
                        raise BenchError(f"train.shots {shots}: {error}") from None
                    raise

            content = [rows, task_hash(task), model.tokenizer, model.kind, length]
            with collector_paused():
                self.encoded[key] = unpack(self.open_cache().tensors("tokens", content, compute))
        return self.encoded[key]

    def _used_rows(self, cell: Cell, task: Task, split: str, limit: int | None) -> list[Row]:
        if split == "train":
            return self.portions(cell, task).learned
        if split == VALIDATION:
            return self.portions(cell, task).validation
        return subset(self.rows_of(task, cell.data.source, split), limit, task.name)

    def open_cache(self) -> Cache:
        """The run's cache, with a new account of what its entries save."""
        return Cache(self.folder / "cache", in_step=processes() > 1)

    @property
    def weights(self) -> Weights:
        """Those that the run's folder keeps."""
        return Weights(self.folder, self.keep_bytes)

    def take(self, key: Any) -> Loaded | None:
        """The network that the cell before has left, if it was loaded as `key` says; of any other
        nothing stays in memory."""
        left, self.left = self.left, None
        return left[1] if left is not None and left[0] == key else None

    def checkpoint(self, cell: AnyCell) -> Path:
        """Where a stopped cell is kept."""
        return self.folder / "checkpoints" / cell.hash[:24]
