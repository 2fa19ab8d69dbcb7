"""What Learning With Forgetting does with tensors: elicit, weigh, select, ascend."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.data import IGNORE, Batch, answer_batch, epoch_order
from bench.errors import CellError
from bench.fisher import Confidence, fisher_diagonal, forgetting_confidence
from bench.generation import sample
from bench.gradients import Losses
from bench.likelihood import example_losses
from bench.spec import digest, task_hash

if TYPE_CHECKING:
    from bench.run import Run
    from methods.lwf import LWFConfig

_BATCH = 16


@dataclass
class AnswerSet:
    """Answers of the model itself, as tokens, each behind its prompt."""

    prompts: list[list[int]]
    answers: list[list[int]]

    @classmethod
    def empty(cls) -> AnswerSet:
        """No answers."""
        return cls([], [])

    def __len__(self) -> int:
        return len(self.answers)

    def batch(self, indices: Sequence[int], pad: int) -> Batch:
        """These answers as targets behind their prompts."""
        return answer_batch([(self.prompts[i], self.answers[i]) for i in indices], pad)

    def to_tensors(self) -> dict[str, Tensor]:
        """All tokens in a row, and the lengths to cut them by."""
        flat = [t for pair in zip(self.prompts, self.answers, strict=True) for p in pair for t in p]
        lengths = [(len(p), len(a)) for p, a in zip(self.prompts, self.answers, strict=True)]
        return {
            "tokens": torch.tensor(flat, dtype=torch.long),
            "lengths": torch.tensor(lengths, dtype=torch.long).view(-1, 2),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> AnswerSet:
        """The inverse of `to_tensors`."""
        tokens = iter(tensors["tokens"].tolist())
        pairs = [
            ([next(tokens) for _ in range(p)], [next(tokens) for _ in range(a)])
            for p, a in tensors["lengths"].tolist()
        ]
        return cls([p for p, _ in pairs], [a for _, a in pairs])


def elicit(run: Run, config: LWFConfig) -> AnswerSet:
    """D_self: the base model's own, sampled answers to prompts of the forgetting task(s), drawn
    evenly from their training rows. With `keep = "wrong"` those that begin with the gold answer
    are left out.

    Raises:
        CellError: no answer is left.
    """
    cell = run.cell
    key = [
        cell.model.hash,
        cell.identity()["forget"],
        [task_hash(task) for task in cell.forget],
        run.max_length,
        run.seed("elicit"),
        [config.samples, config.keep, config.max_new_tokens, config.temperature, config.top_p],
    ]
    found = run.cache.json("self-answers", key, lambda: _elicit(run, config))
    if not found["answers"]:
        raise CellError(
            f"none of the model's {config.samples} answers is left to unlearn; "
            "try lwf.keep=all, more lwf.samples or another --forget"
        )
    return AnswerSet(found["prompts"], found["answers"])


def _elicit(run: Run, config: LWFConfig) -> dict[str, list[list[int]]]:
    prompts: list[list[int]] = []
    gold: list[list[int]] = []
    share = math.ceil(config.samples / len(run.forget_rows))
    for name, rows in run.forget_rows.items():
        rng = random.Random(run.seed(f"elicit {name}"))
        count = min(share, len(rows), config.samples - len(prompts))
        if count == 0:  # fewer samples than forgetting tasks
            break
        encoded = run.encode_forget(rng.sample(rows, count), name, config.max_new_tokens)
        prompts += encoded.prompts
        gold += [words[label] for words, label in zip(encoded.answers, encoded.gold, strict=True)]

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
    kept = [
        i
        for i, answer in enumerate(answers)
        if answer and (config.keep == "all" or answer[: len(gold[i])] != gold[i])
    ]
    return {"prompts": [prompts[i] for i in kept], "answers": [answers[i] for i in kept]}


def confidence(run: Run, config: LWFConfig, answers: AnswerSet) -> Confidence:
    """FC of every answer, with F_L and θ*_L of the learning task."""
    alpha = run.cell.training.lr if config.alpha is None else config.alpha
    identity = run.cell.identity()
    key = [
        [identity[part] for part in ("model", "task_hash", "data", "seed", "training")],
        run.steps,
        [config.theta_l_steps, config.fisher_rows, alpha],
        digest([answers.prompts, answers.answers]),
    ]

    def compute() -> dict[str, Tensor]:
        star = {n: v.to(run.device) for n, v in run.finetuned(config.theta_l_steps).items()}
        star = {name: star[name] for name in run.loaded.base}
        run.progress("Fisher of the learning task", 0, 1, None)
        fisher = _fisher_at(run, star, config.fisher_rows)
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


def _mean_losses(run: Run) -> Losses:
    """Per-example loss as a mean over the answer's tokens, so that long answers weigh no more."""

    def losses(net: nn.Module, batch: Batch) -> Tensor:
        tokens = (batch.targets != IGNORE).sum(1).to(run.device)
        return run.example_losses(net, batch) / tokens

    return losses


def _fisher_at(run: Run, star: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
    """F_L: the empirical Fisher diagonal at θ*_L over rows of the learning task."""
    count = len(run.train_rows)
    chosen = random.Random(run.seed("fisher rows")).sample(range(count), min(rows, count))
    with _weights(run, star):
        batches = run.batches(chosen, _BATCH)
        return fisher_diagonal(run.net, batches, run.example_losses, names=set(star))


@contextmanager
def _weights(run: Run, values: dict[str, Tensor]) -> Iterator[None]:
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


def select(answers: AnswerSet, found: Confidence, share: float) -> AnswerSet:
    """D_U: the share of the answers with the highest confidence, at least one."""
    count = max(1, round(share * len(answers)))
    chosen = found.change.argsort(descending=True, stable=True)[:count].tolist()
    return AnswerSet([answers.prompts[i] for i in chosen], [answers.answers[i] for i in chosen])


def ascend(run: Run, config: LWFConfig, answers: AnswerSet, turn: int) -> float:
    """One step of gradient ascent, through the run's own optimizer, on the `turn`-th batch of D_U
    (a new shuffle each time round); returns the batch's loss before it, in nats per token.

    A batch whose loss has reached the bound is passed over: ascent has no end of its own.

    Raises:
        CellError: the loss is not a finite number.
    """
    lengths = [len(answer) for answer in answers.answers]
    per_round = math.ceil(len(answers) / config.batch_size)
    order = epoch_order(
        lengths,
        config.batch_size,
        "random",
        run.cell.task.name,
        run.cell.seed,
        "unlearn",
        turn // per_round,
    )
    batch = answers.batch(order[turn % per_round], run.tokenizer.pad_token_id).to(run.device)
    tokens = (batch.targets != IGNORE).sum()
    loss = example_losses(run.model, batch).sum() / tokens
    value = float(loss.detach())
    if not math.isfinite(value):
        raise CellError(
            f"the loss of the answers to unlearn is {value} at step {run.step} of {run.steps}; "
            "a smaller learning rate, lwf.weight or lwf.max_unlearn_nll may help"
        )
    bound = config.max_unlearn_nll
    if value < (math.log(run.net.config.vocab_size) if bound is None else bound):
        run.accelerator.backward(-config.weight * loss)
        run.update()
    return value
