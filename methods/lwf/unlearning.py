"""What Learning With Forgetting does with tensors: elicit, weigh, select, ascend."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.core.errors import CellError
from bench.core.hashing import digest
from bench.gradients.collect import Losses
from bench.gradients.fisher import Confidence, forgetting_confidence
from bench.network.batches import IGNORE, Batch
from bench.network.generation import sample
from bench.network.likelihood import example_losses
from bench.network.limits import vocabulary
from bench.rows.task import task_hash
from bench.scoring.predictions import is_right
from bench.training.loop import rate_factor
from methods.shared.answers import AnswerSet, turn_of
from methods.shared.task_fisher import task_fisher

if TYPE_CHECKING:
    from bench.cells.result import Elicited, Judged
    from bench.rows.task import Row, Task
    from bench.training.context import TrainingContext
    from methods.lwf.settings import LWFConfig

_BATCH = 16


def elicit(run: TrainingContext, config: LWFConfig) -> tuple[AnswerSet, list[int]]:
    """D_self: the base model's own, sampled answers to prompts of the forgetting task(s), drawn
    evenly from the rows that `run.prompt_rows` gives; and the indices of those that may be
    unlearned: with `keep = "wrong"` their text does not begin with the right answer.

    Raises:
        CellError: none may be unlearned.
    """
    cell = run.cell
    key = [
        cell.model.hash,
        cell.identity()["forget"],
        [task_hash(task) for task in run.forget],
        run.max_length,
        run.seed("elicit"),
        [config.samples, config.max_new_tokens, config.temperature, config.top_p],
    ]
    found = run.cache.json("self-answers", key, lambda: _elicit(run, config))
    kept = [i for i, wrong in enumerate(found["wrong"]) if wrong or config.keep == "all"]
    if not kept:
        raise CellError(
            f"none of the model's {config.samples} answers is left to unlearn; "
            "try lwf.keep=all, more lwf.samples or another --forget"
        )
    return AnswerSet(found["prompts"], found["answers"]), kept


def _elicit(run: TrainingContext, config: LWFConfig) -> dict[str, list[Any]]:
    prompts: list[list[int]] = []
    asked: list[tuple[Task, Row]] = []
    share = math.ceil(config.samples / len(run.forget))
    for task in run.forget:
        name, rows = task.name, run.prompt_rows(task)
        rng = random.Random(run.seed(f"elicit {name}"))
        count = min(share, len(rows), config.samples - len(prompts))
        if count == 0:  # fewer samples than forgetting tasks
            break
        chosen = rng.sample(rows, count)
        prompts += run.encode_forget(chosen, name, config.max_new_tokens).prompts
        asked += [(task, row) for row in chosen]

    def report(done: int, of: int) -> None:
        run.progress("elicit answers", done, of, None)

    answers = sample(
        run.net,
        run.tokenizer,
        prompts,
        seed=run.seed("elicit"),
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        progress=report,
    )
    said = [i for i, answer in enumerate(answers) if answer]
    return {
        "prompts": [prompts[i] for i in said],
        "answers": [answers[i] for i in said],
        "wrong": [not is_right(*asked[i], run.tokenizer.decode(answers[i])) for i in said],
    }


def confidence(run: TrainingContext, config: LWFConfig, answers: AnswerSet) -> Confidence:
    """FC of every answer, with F_L and θ*_L of the learning task."""
    alpha = run.cell.recipe.lr if config.alpha is None else config.alpha
    identity = run.cell.identity()
    key = [
        [identity[part] for part in ("model", "task_hash", "data", "seed", "training")],
        run.steps,
        [config.theta_l_steps, config.fisher, config.fisher_rows, alpha],
        digest([answers.prompts, answers.answers]),
    ]

    def compute() -> dict[str, Tensor]:
        star = {n: v.to(run.device) for n, v in run.finetuned(config.theta_l_steps).items()}
        star = {name: star[name] for name in run.loaded.base}
        fisher = _fisher_at(run, star, config)
        run.progress("forgetting confidence", 0, 1, None)
        order = sorted(range(len(answers)), key=lambda i: len(answers.prompts[i]))
        pad = run.tokenizer.pad_token_id
        parts = [answers.batch(order[i : i + _BATCH], pad) for i in range(0, len(order), _BATCH)]
        found = forgetting_confidence(run.net, parts, _mean_losses(run), fisher, star, alpha)
        change = torch.empty_like(found.change)
        change[order] = found.change
        return {"constant": torch.tensor(found.constant, dtype=torch.float64), "change": change}

    found = run.cache.tensors("confidence", key, compute)
    return Confidence(float(found["constant"]), found["change"])


def _mean_losses(run: TrainingContext) -> Losses:
    """Per-example loss as a mean over the answer's tokens, so that long answers weigh no more."""

    def losses(net: nn.Module, batch: Batch) -> Tensor:
        tokens = (batch.targets != IGNORE).sum(1).to(run.device)
        return run.example_losses(net, batch) / tokens

    return losses


def _fisher_at(
    run: TrainingContext, star: dict[str, Tensor], config: LWFConfig
) -> dict[str, Tensor]:
    """F_L at θ*_L, or all ones."""
    if not config.fisher:
        return {name: torch.ones_like(value) for name, value in star.items()}
    with _weights(run, star):
        return task_fisher(run, config.fisher_rows)


@contextmanager
def _weights(run: TrainingContext, values: dict[str, Tensor]) -> Iterator[None]:
    """Put other values into the pretrained parameters, and their own back."""
    parameters = dict(run.loaded.pretrained())
    own = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(values[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(own[name])


def select(
    run: TrainingContext, config: LWFConfig, found: Confidence, kept: list[int]
) -> list[int]:
    """D_U: the share of the answers `kept` with the highest confidence, or the lowest, or drawn
    at random; at least one."""
    count = max(1, round(config.share * len(kept)))
    if config.select == "random":
        return random.Random(run.seed("select")).sample(kept, count)
    highest = config.select == "high"
    order = found.change[kept].argsort(descending=highest, stable=True)[:count].tolist()
    return [kept[i] for i in order]


def judge(
    run: TrainingContext, answers: AnswerSet, found: Confidence, kept: list[int], chosen: list[int]
) -> Elicited:
    """What is known to be true or not among all answers, those `kept` and those `chosen`, and how
    well the confidence tells them apart."""
    truths: list[bool | None] = [None] * len(answers)
    truth = run.source.truth()
    if truth is not None:
        pairs = zip(answers.prompts, answers.answers, strict=True)
        texts = run.tokenizer.batch_decode([p + a for p, a in pairs], skip_special_tokens=True)
        told = map(truth, texts)
        truths = [None if one is None else one.conflicting for one in told]

    def count(indices: Sequence[int]) -> Judged:
        there = [truths[i] for i in indices]
        told = truth is not None
        return {
            "answers": len(there),
            "conflicting": there.count(True) if told else None,
            "true": there.count(False) if told else None,
        }

    everything = range(len(answers))
    return {
        "all": count(everything),
        "kept": count(kept),
        "unlearned": count(chosen),
        "auc": _auc(found.change, truths, everything),
        "auc_kept": _auc(found.change, truths, kept),
    }


def _auc(scores: Tensor, truths: list[bool | None], indices: Sequence[int]) -> float | None:
    """ROC AUC of the scores for `truths`; None unless both truths occur."""
    from sklearn.metrics import roc_auc_score

    known = [i for i in indices if truths[i] is not None]
    labels = [truths[i] for i in known]
    if len(set(labels)) < 2:
        return None
    return float(roc_auc_score(labels, scores[known].cpu().numpy()))


def turn_after(run: TrainingContext, config: LWFConfig) -> int | None:
    """Which ascent, from 0, follows the learning step just done; None: none does."""
    if config.schedule == "periodic":
        turn, rest = divmod(run.step, config.interval)
        return None if rest else turn - 1
    if config.schedule == "random":
        return _random_turns(run.seed("unlearning steps"), run.steps, config.interval).get(run.step)
    return None


@lru_cache(maxsize=1)
def _random_turns(seed: int, steps: int, interval: int) -> dict[int, int]:
    """Learning steps, drawn at random, as many as a periodic schedule has -> 0, 1, 2, ..."""
    drawn = random.Random(seed).sample(range(1, steps + 1), steps // interval)
    return {step: turn for turn, step in enumerate(sorted(drawn))}


def ascend_ahead(run: TrainingContext, config: LWFConfig, answers: AnswerSet) -> None:
    """All ascents of a periodic schedule at once, at the learning rates they would have had there,
    with an optimizer of their own."""
    optimizer, recipe = run.adamw(), run.cell.recipe
    run.optimizer = run.accelerator.prepare(optimizer)
    for turn in range(run.steps // config.interval):
        last_step = (turn + 1) * config.interval - 1
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * rate_factor(recipe, last_step, run.steps)
        ascend(run, config, answers, turn)


def ascend(run: TrainingContext, config: LWFConfig, answers: AnswerSet, turn: int) -> float:
    """One step of gradient ascent, through the run's own optimizer, on the `turn`-th batch of D_U
    (a new shuffle each time round); returns the batch's loss before it, in nats per token.

    A batch whose loss has reached the bound is passed over: ascent has no end of its own.

    Raises:
        CellError: the loss is not a finite number.
    """
    batch = answers.batch(
        turn_of(run, answers, config.batch_size, turn), run.tokenizer.pad_token_id
    ).to(run.device)
    tokens = (batch.targets != IGNORE).sum()
    loss = example_losses(run.model, batch).sum() / tokens
    value = float(loss.detach())
    if not math.isfinite(value):
        raise CellError(
            f"the loss of the answers to unlearn is {value} at step {run.step} of {run.steps}; "
            "a smaller learning rate, lwf.weight or lwf.max_unlearn_nll may help"
        )
    bound = config.max_unlearn_nll
    if value < (math.log(vocabulary(run.net.config)) if bound is None else bound):
        run.accelerator.backward(-config.weight * loss)
        run.update()
    return value
