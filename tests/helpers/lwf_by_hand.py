"""A run of LWF written out, to hold the method against."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.network.batches import IGNORE, collate, step_batches
from bench.network.likelihood import example_losses
from bench.running.session import CellSession
from bench.training.method import Method
from bench.training.schedule import rate_factor
from methods.lwf.method import LWF
from methods.shared.answers import turn_of


class ByHand:
    """A run of LWF written out, from its D_U on: two losses, a clip, and AdamW."""

    def __init__(self, stage: CellSession, method: Method) -> None:
        assert isinstance(method, LWF)
        self.run, self.config = stage.run, method.config
        self.recipe, self.answers = stage.cell.training, method.gather(stage.run)
        self.base, self.net = method.base, stage.run.net
        self.optimizer = self.adamw()

    def adamw(self) -> torch.optim.Optimizer:
        groups = [{k: v for k, v in g.items() if k != "names"} for g in self.run.parameter_groups()]
        betas = self.recipe.beta1, self.recipe.beta2
        return torch.optim.AdamW(
            groups, lr=self.recipe.lr, betas=betas, eps=self.recipe.eps, fused=True
        )

    def add(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def learn(self, step: int) -> None:
        """The task's gradient."""
        rows, cell = self.run.train_rows, self.run.cell
        where = cell.task.name, cell.seed, step, step + 1
        (indices,) = step_batches(rows, self.recipe, *where)
        batch = collate(rows, indices, self.run.tokenizer.pad_token_id)
        tokens = int((batch.targets != IGNORE).sum())
        self.add(example_losses(self.run.task_model, batch).sum() * (1 / tokens))

    def unlearn(self, turn: int) -> bool:
        """The answers' gradient; whether there is any."""
        config = self.config
        indices = turn_of(self.run, self.answers, config.batch_size, turn)
        batch = self.answers.batch(indices, self.run.tokenizer.pad_token_id)
        losses, pushes = example_losses(self.run.task_model, batch), []
        lengths = [len(self.answers.answers[i]) for i in indices]
        for loss, length, i in zip(losses.tolist(), lengths, indices, strict=True):
            rise = loss / length - float(self.base[i])
            cap = math.inf if config.max_rise is None else config.max_rise
            pushes.append(min(1.0, 1 - rise / cap) if config.taper else float(rise < cap))
        weighted = (torch.tensor(pushes) * losses).sum() / sum(lengths)
        if any(pushes):
            self.add(-config.weight * weighted)
        return any(pushes)

    def update(self, step: int) -> None:
        """Clip, and move the weights at the rate of a learning step."""
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.move(self.recipe.lr * rate_factor(self.recipe, step, self.run.steps))
        self.net.zero_grad()

    def move(self, rate: float) -> None:
        """The optimizer's rule."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def train(self, when: list[int]) -> dict[str, Tensor]:
        """`when`: the learning steps, from 1, that have a turn; all 0: before the first."""
        self.net.train()
        if self.config.ascent == "own" and not any(when):
            for turn in range(len(when)):
                if self.unlearn(turn):
                    self.update((turn + 1) * self.config.interval - 1)
            self.optimizer = self.adamw()
        for step in range(self.run.steps):
            self.learn(step)
            joins = self.config.ascent == "joint" and step + 1 in when
            if joins:
                self.unlearn(when.index(step + 1))
            self.update(step)
            follows = self.config.ascent == "own" and step + 1 in when
            if follows and self.unlearn(when.index(step + 1)):
                self.update(step)
        return {name: p.detach().clone() for name, p in self.net.named_parameters()}
