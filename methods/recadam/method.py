"""RecAdam: Adam that recalls the pretrained weights, with an annealed quadratic pull."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.core.settings import Range, setting
from bench.training.method import Card, Keeps, Method, Role, register_method

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from bench.cells.cell import ModelInfo
    from bench.cells.recipe import Training
    from bench.training.context import TrainingContext


_LATE = 0.2  # share of a run behind which t0 leaves too little to learn the task


@dataclass(frozen=True)
class RecAdamConfig:
    """Settings of RecAdam. As published is `recadam:published`, whose k is one of 0.05, 0.1, 0.2,
    0.5, 1; another t0 of the published 100, 250, 500, 1000 is that of `recadam:random_init` with
    `recadam.gamma=5000 recadam.t0=500`. How long to train, and without weight decay, is the
    recipe's to say: `train.steps`, `train.weight_decay`."""

    anneal: str = setting(
        "sigmoid",
        "λ(t): sigmoid 1/(1+exp(−k(t−t0))), linear min(1, t/t0), or constant 1 (plain Adam)",
        choices=("sigmoid", "linear", "constant"),
    )
    k: float = setting(0.1, "slope of the sigmoid, per step", above=0.0)
    k_fraction: float | None = setting(
        None, "1/k as a share of the run's steps, instead of k", above=0.0
    )
    t0: int | None = setting(
        None, "step at which λ is one half (linear: one); none: from t0_fraction", low=1
    )
    t0_fraction: float = setting(
        0.1,
        "t0 as a share of the run's steps",
        above=0.0,
        high=1.0,
        search=Range(0.02, 0.5, log=True),
    )
    gamma: float | None = setting(
        None,
        "γ, the strength of the pull; none: 0.1 / learning rate",
        low=0.0,
        search=Range(1e-3, 0.99, log=True, of="1/lr"),
    )
    floor: float = setting(0.0, "1 − λ(t) never falls below this", low=0.0, high=1.0)
    anneal_task: bool = setting(
        True, "whether λ(t) scales the task's step; false: it is whole, and only the pull anneals"
    )
    init: str = setting(
        "pretrained",
        "where the backbone starts: at θ0, or at random weights that the pull brings there",
        choices=("pretrained", "random"),
    )


@register_method("recadam")
class RecAdam(Method):
    """Minimise λ(t) L_task + (1 − λ(t)) (γ/2) Σ (θ − θ0)², decoupled as in the official code:
    Adam's moments see the task gradient alone. A new head takes plain Adam."""

    card = Card(
        title="RecAdam: recall and learn",
        paper="Chen et al., EMNLP 2020, arXiv 2004.12651",
        equation="L = λ(t) L_task + (1 − λ(t)) (γ/2) Σ_i (θ_i − θ0_i)²",
        defaults="k = 0.1 and γ = 0.1 / lr, 5000 at the lr 2e-5: the official README (seen); t0 as "
        "a share of the run, the start at θ0, fraction and floor: this suite; the arms of an "
        "ablation, warmup_only (AdamW at the rate λ(t) lr), anchor_only (AdamW and RecAdam's pull) "
        "and no_annealing (AdamW and a pull that stays): derived; published: γ, t0 and "
        "the random start of the official script (seen); its recipe, which the variant does not "
        "set: train.lr=2e-5 train.batch_size=32 train.warmup=0 train.max_length=128 (seen) "
        "train.weight_decay=0 (secondary), and for BERT-base train.steps=61360 (MNLI), 56855 "
        "(QQP), 33890 (QNLI), 21050 (SST-2), 13400 (CoLA), 9000 (STS-B), 11500 (MRPC) or 7800 "
        "(RTE) (seen); searched over k = 0.05, 0.1, 0.2, 0.5, 1 and t0 = 250, 500, 1000 (seen), "
        "and t0 = 100 (secondary); without options the script takes k = 0.5, t0 = 250 (secondary); "
        "it reports the best score of all its evaluations on dev (seen), this suite that of the "
        "last weights",
        passes="none",
    )
    Config = RecAdamConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {"init": "random", "gamma": 5000.0, "t0": 250},
        "random_init": {"init": "random"},
        "fraction": {"t0_fraction": 0.5, "k_fraction": 0.1},
        "floor": {"floor": 0.1},
        "warmup_only": {"gamma": 0.0},
        "anchor_only": {"anneal_task": False},
        "no_annealing": {"anneal_task": False, "floor": 1.0},
    }
    config: RecAdamConfig
    holds = {"gamma": 1024.0, "t0": 100_000}
    keeps = Keeps(theta0=1)
    meaning = "retains"

    @property
    def roles(self) -> frozenset[Role]:
        """An update of its own, with a force towards θ0 in it."""
        start: frozenset[Role] = frozenset({"start"} if self.config.init == "random" else ())
        return start | {"optimizer", "pull"}

    def gamma(self, recipe: Training) -> float:
        """γ; the published 5000 at the published learning rate 2e-5 is 0.1 / lr."""
        return 0.1 / recipe.lr if self.config.gamma is None else self.config.gamma

    def refuses(self, model: ModelInfo, recipe: Training) -> str | None:
        """The pull overshoots θ0 when lr·γ > 1 and diverges from 2 on."""
        product = recipe.lr * self.gamma(recipe)
        if product > 1 + 1e-6:
            return (
                f"learning rate {recipe.lr:g} x gamma {self.gamma(recipe):g} = {product:.3g} is "
                "over 1, where the pull overshoots; set recadam.gamma to "
                f"{0.99 / recipe.lr:.0f} or less, or train.lr to {0.99 / self.gamma(recipe):.1e}"
            )
        return None

    def prepare(self, run: TrainingContext) -> None:
        """Start from random weights where the settings say so."""
        if self.config.init == "random":
            from methods.recadam.optimizer import randomise

            randomise(run.loaded, run.seed("random-init"))

    def optimizer(self, run: TrainingContext) -> Optimizer:
        """The published update, on the run's parameter groups."""
        from methods.recadam.optimizer import RecAdamW, Schedule

        recipe, config = run.cell.recipe, self.config
        share = config.t0 / max(1, run.steps) if config.t0 else config.t0_fraction
        if share > _LATE and config.anneal != "constant" and config.anneal_task:
            run.notes.append(
                f"recadam's t0 is at {share:.0%} of the run's {run.steps} steps: until then the "
                "task has the smaller part in every step"
            )
        width = config.k_fraction and config.k_fraction * max(1, run.steps)
        schedule = Schedule(
            anneal=config.anneal,
            k=1 / width if width else config.k,
            t0=config.t0 or max(1, round(config.t0_fraction * run.steps)),
            floor=config.floor,
        )
        return RecAdamW(
            run.parameter_groups(),
            anchor=run.anchor,
            schedule=schedule,
            gamma=self.gamma(recipe),
            anneal_task=config.anneal_task,
            compiled=recipe.compile,
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
        )

    def after_step(self, run: TrainingContext) -> None:
        """Log λ(t)."""
        if run.logging:
            run.log(recadam_lambda=run.optimizer.optimizer.last_lambda)
