"""Learning With Forgetting: unlearn what the model believes and the new task contradicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bench.training.method import Card, Method, Need, Role, register_method
from methods.lwf.settings import LWFConfig

if TYPE_CHECKING:
    from torch import Tensor

    from bench.training.context import TrainingContext


@register_method("lwf")
class LWF(Method):
    """Elicit, weigh, select, unlearn.

    1. The base model answers the prompts of the forgetting task: D_self.
    2. Each answer x gets its forgetting confidence FC(x) = ½ Σ F_L (θ0 − α g(x) − θ*_L)², with g
       the gradient of its mean token loss, F_L the Fisher diagonal of the learning task at θ*_L.
    3. The share of D_self with the highest FC is D_U.
    4. After every `interval` learning steps, one step of gradient ascent on a batch of D_U.
    """

    card = Card(
        title="Learning With Forgetting",
        paper="Jiang et al., EMNLP 2025, arXiv 2505.19715",
        equation="FC(x) = ½ Σ_i F_L,i (θ0_i − α g_i(x) − θ*_L,i)²;  after every N_u steps on "
        "L_task, one on −w E_{D_U} [L(x)]",
        defaults="w = 0.05 and the wrong answers alone: the author's earlier code (secondary); α = "
        "the learning rate, θ*_L from plain fine-tuning, the bound, the sampling and all counts: "
        "this suite, the paper not saying them",
        passes="before training a fine-tuning run for θ*_L, generation, and one pass each over "
        "D_self and D_L; then 1/interval more steps",
        memory=1.25,
    )
    Config = LWFConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "low_confidence": {"select": "low"},
        "random_answers": {"select": "random"},
        "no_fisher": {"fisher": False},
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

    @property
    def roles(self) -> frozenset[Role]:
        """Steps of its own, to unlearn."""
        return frozenset({"start"} if self.config.schedule == "ahead" else {"step"})

    @property
    def needs(self) -> frozenset[Need]:
        """A model that answers, prompts to answer, and θ*_L."""
        needs: set[Need] = {"generation", "forget", "finetuned"}
        return frozenset(needs)

    def prepare(self, run: TrainingContext) -> None:
        """Steps 1 to 3."""
        from methods.lwf import unlearning
        from methods.shared.answers import AnswerSet

        if self.config.weight == 0:
            self.unlearned = AnswerSet.empty()
            return
        answers, kept = unlearning.elicit(run, self.config)
        confidence = unlearning.confidence(run, self.config, answers)
        chosen = unlearning.select(run, self.config, confidence, kept)
        run.report(elicited=unlearning.judge(run, answers, confidence, kept, chosen))
        self.unlearned = answers.subset(chosen)
        if self.config.schedule == "ahead":
            unlearning.ascend_ahead(run, self.config, self.unlearned)

    def after_step(self, run: TrainingContext) -> None:
        """Step 4, unless the answers are as unlikely by now as chance would make them."""
        from methods.lwf import unlearning

        turn = unlearning.turn_after(run, self.config)
        if self.config.weight and turn is not None:
            run.log(unlearned_nll=unlearning.ascend(run, self.config, self.unlearned, turn))

    def finish(self, run: TrainingContext) -> None:
        """Say so where the run was too short for a turn of unlearning."""
        interval = self.config.interval
        if self.config.weight and run.steps < interval:
            run.notes.append(f"nothing unlearned: {run.steps} steps, lwf.interval is {interval}")

    def state_dict(self) -> dict[str, Tensor]:
        """D_U."""
        return self.unlearned.to_tensors()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """D_U."""
        from methods.shared.answers import AnswerSet

        self.unlearned = AnswerSet.from_tensors(state)
