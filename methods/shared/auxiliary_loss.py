"""What methods have in common that add a loss on rows beside the task's."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from bench.training.method import Method, Need, Reads, Role

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext
    from methods.shared.answers import AnswerSet


class AuxiliaryLoss(Method):
    """L = L_task + w L_side, the gradient of L_side taken once per step on a batch of its own, or
    at some steps.

    Subclasses give the rows, the loss on a batch of them, and `weight` and `batch_size`.
    """

    why_not_encoder: ClassVar[str] = "its head has one task, and rows of others no answer there"
    curve_name: ClassVar[str] = "side_nll"  # of the rows' mean loss in the curve
    rows: AnswerSet

    @property
    def weight(self) -> float:
        """w; at 0 no pass is made."""
        weight: float = self.config.weight
        return weight

    @property
    def roles(self) -> frozenset[Role]:
        """A term beside the task's loss."""
        return frozenset({"auxiliary"})

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """An encoder has no loss for such rows."""
        return None if model.generates else f"it is an encoder: {self.why_not_encoder}"

    @abstractmethod
    def gather(self, run: TrainingContext) -> AnswerSet:
        """The rows."""

    @abstractmethod
    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor | None:
        """The term, from −log π [n] of the rows `indices`; None where it has no gradient."""

    def batch_size(self, recipe: Training) -> int:
        """Rows per step."""
        size: int = self.config.batch_size
        return size

    def reads(self, recipe: Training) -> Reads | None:
        """The rows of a step."""
        return Reads(self.batch_size(recipe), among=self.count) if self.weight else None

    @property
    def count(self) -> int:
        """How many rows are gathered."""
        count: int = self.config.rows
        return count

    def prepare(self, run: TrainingContext) -> None:
        """Gather the rows."""
        from methods.shared.answers import AnswerSet

        self.rows = self.gather(run) if self.weight else AnswerSet.empty()

    def turn(self, run: TrainingContext) -> int | None:
        """Which batch of the rows, from 0, joins the step at hand; None: none does."""
        return run.step

    def after_backward(self, run: TrainingContext) -> None:
        """Add the term's gradient, if it is its turn."""
        if self.weight and (turn := self.turn(run)) is not None:
            self.add_gradient(run, turn)

    def add_gradient(self, run: TrainingContext, turn: int) -> bool:
        """Add the term's gradient on one batch of the rows; whether there was any to add.

        Raises:
            CellError: the rows' loss is not a finite number.
        """
        from bench.core.errors import CellError
        from bench.network.likelihood import example_losses
        from methods.shared.answers import turn_of
        from methods.shared.auxiliary_rows import token_mean

        indices = turn_of(run, self.rows, self.batch_size(run.cell.training), turn)
        batch = self.rows.batch(indices, run.tokenizer.pad_token_id).to(run.device)
        losses = example_losses(run.model, batch)
        value = float(token_mean(losses.detach(), batch))
        if value != value or value == float("inf"):
            raise CellError(
                f"the loss of {self.name}'s rows is {value} at step {run.step} of {run.steps}; "
                f"a smaller learning rate or {self.name}.weight may help"
            )
        run.log(**{self.curve_name: value})
        term = self.auxiliary_loss(run, losses, batch, indices)
        if term is None:
            return False
        run.accelerator.backward(self.weight * term)
        return True

    def state_dict(self) -> dict[str, Tensor]:
        """The rows."""
        return self.rows.to_tensors()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The rows."""
        from methods.shared.answers import AnswerSet

        self.rows = AnswerSet.from_tensors(state)


class ForgetLoss(AuxiliaryLoss):
    """L_side on training rows of the forgetting tasks, so many as the setting `rows` says."""

    @property
    def needs(self) -> frozenset[Need]:
        """Rows of a forgetting task."""
        return frozenset({"forget"})

    def gather(self, run: TrainingContext) -> AnswerSet:
        """Rows of the forgetting tasks, with their right answers."""
        from methods.shared.auxiliary_rows import forget_rows

        return forget_rows(run, self.config.rows)
