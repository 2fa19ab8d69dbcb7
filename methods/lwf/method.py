"""Learning With Forgetting: unlearn what the model believes and the new task contradicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.training.method import Card, Keeps, Need, Role, register_method
from methods.lwf.settings import LWFConfig
from methods.shared.auxiliary_loss import AuxiliaryLoss

if TYPE_CHECKING:
    from torch import Tensor

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.network.batches import Batch
    from bench.training.context import TrainingContext
    from methods.shared.answers import AnswerSet


@register_method("lwf")
class LWF(AuxiliaryLoss):
    """Elicit, weigh, select, unlearn.

    1. The base model answers the prompts of the forgetting task: D_self.
    2. Each answer x gets its forgetting confidence FC(x) = ½ Σ F_L (θ0 − α g(x) − θ*_L)², with g
       the gradient of its mean token loss, F_L the Fisher diagonal of the learning task at θ*_L.
    3. The share of D_self with the highest FC is D_U.
    4. At every `interval`-th learning step the gradient of −w L on a batch of D_U is added to the
       step's own, where w falls to zero as an answer's loss gets `max_rise` nats above the base
       model's, and turns negative behind that.
    """

    card = Card(
        title="Learning With Forgetting",
        paper="Jiang et al., EMNLP 2025, arXiv 2505.19715",
        equation="FC(x) = ½ Σ_i F_L,i (θ0_i − α g_i(x) − θ*_L,i)²;  L = L_task, and at every "
        "N_u-th step L_task − w E_{D_U} [L(x)]",
        defaults="elicit, FC, select, unlearn periodically: the paper (seen); the wrong answers "
        "alone: the author's earlier code (secondary), whose answers are greedy (seen); α = the "
        "learning rate, θ*_L from plain fine-tuning, one step for both gradients, w, the cap, the "
        "taper and all counts: this suite, the paper not saying them; unbounded: the paper's text "
        "(seen) read as steps of their own, without a cap",
        passes="before training a fine-tuning run for θ*_L, generation, and one pass each over "
        "D_self and D_L; then one forward and backward pass on a batch of D_U per interval steps",
    )
    Config = LWFConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "low_confidence": {"select": "low"},
        "random_answers": {"select": "random"},
        "all_wrong": {"select": "all"},
        "unsure": {"select": "unsure", "keep": "all"},
        "oracle": {"select": "oracle"},
        "no_fisher": {"fisher": False},
        "unbounded": {"ascent": "own", "max_rise": None, "taper": False},
        "random": {"schedule": "random"},
        "ahead": {"schedule": "ahead"},
    }
    config: LWFConfig
    off = {"weight": 0.0}
    meaning = "forgets"
    quick = {
        "samples": 24,
        "fisher_rows": 16,
        "batch_size": 4,
        "interval": 2,
        "max_new_tokens": 4,
    }
    curve_name = "unlearned_nll"

    @property
    def roles(self) -> frozenset[Role]:
        """A gradient beside the task's, or steps of its own, to unlearn."""
        if self.config.ascent == "joint":
            return frozenset({"auxiliary"})
        return frozenset({"start"} if self.config.schedule == "ahead" else {"step"})

    @property
    def needs(self) -> frozenset[Need]:
        """A model that answers, prompts to answer, and what the selection goes by."""
        needs: set[Need] = {"generation", "forget"}
        if self.config.select in ("high", "low"):
            needs.add("finetuned")
        if self.config.select == "oracle":
            needs.add("truth")
        return frozenset(needs)

    @property
    def count(self) -> int:
        """Answers, at most."""
        return self.config.samples

    @property
    def prepares(self) -> Keeps:  # type: ignore[override]
        """θ*, F and F (θ0 − θ*), where answers are weighed by them."""
        return Keeps(star=1, importance=2) if "finetuned" in self.needs else Keeps()

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """Nothing: what it needs leaves out what cannot generate."""
        return None

    def prepare(self, run: TrainingContext) -> None:
        """Steps 1 to 3, and 4 where it goes ahead by itself."""
        import torch

        from methods.lwf import unlearning

        self.base = torch.zeros(0)
        super().prepare(run)
        if self.weight and "start" in self.roles:
            for turn in unlearning.turns_ahead(run, self.config):
                self._step(run, turn)

    def gather(self, run: TrainingContext) -> AnswerSet:
        """D_U, and the loss of each answer in it under the base model."""
        from methods.lwf import elicitation, judging, selection

        config = self.config
        answers, kept = elicitation.elicit(run, config)
        told = judging.told_of(run, answers)
        weighs = "finetuned" in self.needs
        weighed = selection.weigh(run, config, answers) if weighs else None
        base = selection.base_losses(run, answers)
        score = weighed.confidence.score if weighed else base.cpu()
        chosen = selection.select(run, config, kept, score, told)
        run.report(elicited=judging.judge(run, told, kept, chosen, weighed))
        self.base = base[chosen]
        return answers.subset(chosen)

    def turn(self, run: TrainingContext) -> int | None:
        """That of the learning step at hand, where the ascent joins it."""
        from methods.lwf import unlearning

        joint = self.config.ascent == "joint"
        return unlearning.turn_at(run, self.config, run.step + 1) if joint else None

    def auxiliary_loss(
        self, run: TrainingContext, losses: Tensor, batch: Batch, indices: list[int]
    ) -> Tensor | None:
        """The negated loss of the answers, each times its push; None where all of these are 0."""
        from methods.lwf import unlearning
        from methods.shared.auxiliary_rows import token_mean, tokens_of

        rise = losses.detach() / tokens_of(batch) - self.base.to(losses.device)[indices]
        if (cap := self.config.max_rise) is not None:
            run.log(at_cap=float((rise >= cap).float().mean()))
        push = unlearning.push(self.config, rise)
        return -token_mean(push * losses, batch) if push.any() else None

    def after_step(self, run: TrainingContext) -> None:
        """The ascent's own step."""
        from methods.lwf import unlearning

        if self.weight and self.config.ascent == "own":
            turn = unlearning.turn_at(run, self.config, run.step)
            if turn is not None:
                self._step(run, turn)

    def _step(self, run: TrainingContext, turn: int) -> None:
        """A step of ascent alone, unless no answer of the batch is pushed."""
        if self.add_gradient(run, turn):
            run.update()

    def finish(self, run: TrainingContext) -> None:
        """Say so where the run was too short for a turn of unlearning."""
        interval = self.config.interval
        if self.weight and run.steps < interval:
            run.notes.append(f"nothing unlearned: {run.steps} steps, lwf.interval is {interval}")

    def state_dict(self) -> dict[str, Tensor]:
        """D_U, and its losses under the base model."""
        return {**super().state_dict(), "base": self.base}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """D_U, and its losses under the base model."""
        super().load_state_dict(state)
        self.base = state["base"]
