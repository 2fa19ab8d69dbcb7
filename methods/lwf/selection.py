"""How much learning the task is expected to change each answer, and which are unlearned for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.core.errors import CellError
from bench.core.hashing import digest
from bench.gradients.fisher import Confidence, forgetting_confidence
from bench.network.batches import Batch
from methods.shared.auxiliary_rows import losses_now, reference_losses, tokens_of
from methods.shared.task_fisher import task_fisher

if TYPE_CHECKING:
    from bench.gradients.collect import Losses
    from bench.rows.source import Told
    from bench.training.context import TrainingContext
    from methods.lwf.settings import LWFConfig
    from methods.shared.answers import AnswerSet

_BATCH = 16


@dataclass(frozen=True)
class Weighed:
    """What learning the task does to each of N answers."""

    confidence: Confidence  # FC, what is expected
    rise: Tensor  # float32 [N]: what happens to its loss from θ0 to θ*_L, in nats per token


def weigh(run: TrainingContext, config: LWFConfig, answers: AnswerSet) -> Weighed:
    """FC of every answer, with F_L and θ*_L of the learning task, and the rise that it stands for.
    Neither F_L nor θ*_L outlives the call."""
    alpha = run.cell.recipe.lr if config.alpha is None else config.alpha
    identity = run.cell.identity()
    key = [
        [identity[part] for part in ("model", "task_hash", "data", "seed", "training")],
        run.steps,
        [config.theta_l_steps, config.fisher, config.fisher_rows],
        digest([answers.prompts, answers.answers]),
    ]
    found = run.cache.tensors("confidence", key, lambda: _weigh(run, config, answers))
    parts = float(found["constant"]), found["linear"], found["square"]
    return Weighed(Confidence(*parts, alpha), found["tuned"] - base_losses(run, answers).cpu())


def base_losses(run: TrainingContext, answers: AnswerSet) -> Tensor:
    """Loss of every answer under the base model, [N], in nats per token."""
    return _per_token(reference_losses(run, answers), answers)


def _per_token(losses: Tensor, answers: AnswerSet) -> Tensor:
    return losses / torch.tensor([len(a) for a in answers.answers], device=losses.device)


def _weigh(run: TrainingContext, config: LWFConfig, answers: AnswerSet) -> dict[str, Tensor]:
    """The parts of FC, and every answer's loss at θ*_L."""
    star = {n: v.to(run.device) for n, v in run.finetuned(config.theta_l_steps).items()}
    star = {name: star[name] for name in run.loaded.base}
    with run.loaded.holding(star):
        tuned = _per_token(losses_now(run, answers), answers)
        fisher = (
            task_fisher(run, config.fisher_rows)
            if config.fisher
            else {name: torch.ones_like(value) for name, value in star.items()}
        )
    run.progress("forgetting confidence", 0, 1, None)
    order = sorted(range(len(answers)), key=lambda i: len(answers.prompts[i]))
    pad = run.tokenizer.pad_token_id
    parts = [answers.batch(order[i : i + _BATCH], pad) for i in range(0, len(order), _BATCH)]
    found = forgetting_confidence(run.net, parts, _mean_losses(run), fisher, star, alpha=0.0)
    back = torch.tensor(order).argsort()
    constant = torch.tensor(found.constant, dtype=torch.float64)
    linear, square = found.linear.cpu()[back], found.square.cpu()[back]
    return {"constant": constant, "linear": linear, "square": square, "tuned": tuned}


def _mean_losses(run: TrainingContext) -> Losses:
    """Per-example loss as a mean over the answer's tokens, so that long answers weigh no more."""

    def losses(net: nn.Module, batch: Batch) -> Tensor:
        return run.example_losses(net, batch) / tokens_of(batch).to(run.device)

    return losses


def select(
    run: TrainingContext,
    config: LWFConfig,
    kept: list[int],
    score: Tensor,
    told: Sequence[Told | None],
) -> list[int]:
    """D_U: of the answers `kept` the share with the highest `score` [N] (or, where it is a
    confidence, the lowest), or drawn at random, at least one; or all of them; or those that are
    `told` to be outdated.

    Raises:
        CellError: none is.
    """
    if config.select == "all":
        return kept
    if config.select == "oracle":
        outdated = [i for i in kept if (its := told[i]) is not None and its.conflicting]
        if not outdated:
            raise CellError(
                f"none of the model's {len(kept)} answers that may be unlearned is outdated"
            )
        return outdated
    count = max(1, round(config.share * len(kept)))
    if config.select == "random":
        return random.Random(run.seed("select")).sample(kept, count)
    order = score[kept].argsort(descending=config.select != "low", stable=True)[:count].tolist()
    return [kept[i] for i in order]
