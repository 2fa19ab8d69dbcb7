"""The recipe that every method of a run shares."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from bench.core.settings import setting

MEASURED = ("max_eval", "retention_tokens", "forget_rows", "score", "eval_every")
"""Fields of the recipe that say what is scored, and leave no trace in the weights (but those by
which they are selected)."""
LATER = (
    *("select", "eval_every", "validation", "checkpointing", "weights"),
    *("tf32", "importance", "scoring"),
)
"""Fields of the recipe that came after the first results with these scores: an identity has them
where they are not the default, so that those results keep their hashes."""
BEST_ON_VALIDATION, BEST_ON_DEV = "best-on-validation", "best-on-dev"


@dataclass(frozen=True)
class Training:
    """The recipe that every method of a run shares."""

    lr: float = setting(
        5e-4, "peak learning rate; 2e-5 unless the model is small", above=0.0, option=True
    )
    batch_size: int = setting(16, "examples per optimizer step", low=1, option=True)
    micro_batch: int | None = setting(
        None, "examples per backward pass; none: the whole batch at once", low=1
    )
    epochs: float = setting(
        1.0, "passes over the training rows (unless steps is set)", above=0.0, option=True
    )
    steps: int | None = setting(None, "optimizer steps; none: from epochs", low=0, option=True)
    warmup: float = setting(0.06, "share of the steps that the rate rises over", low=0.0, high=1.0)
    schedule: str = setting(
        "linear", "how the rate falls after warm-up", choices=("linear", "cosine", "constant")
    )
    weight_decay: float = setting(0.01, "decoupled decay of matrices", low=0.0)
    beta1: float = setting(0.9, "Adam's first moment", low=0.0, high=0.9999)
    beta2: float = setting(0.999, "Adam's second moment", low=0.0, high=0.99999)
    eps: float = setting(1e-8, "Adam's epsilon", above=0.0)
    clip: float = setting(1.0, "largest norm of the gradient; 0: no clipping", low=0.0)
    max_length: int = setting(
        512, "tokens per example, the model's own limit at most", low=8, option=True
    )
    max_train: int | None = setting(None, "training rows used; none: all", low=1, option=True)
    max_eval: int | None = setting(None, "dev rows scored; none: all", low=1, option=True)
    validation: float | None = setting(
        None,
        "training rows split off to choose settings on: a share below 1, or so many",
        above=0.0,
        option=True,
        metavar="SHARE|N",
    )
    select: str = setting(
        "last",
        "which weights are kept: the last, or those that score best, at each epoch or look, on "
        "validation rows, or on dev, as papers do: then the score is chosen on what it is reported "
        "on",
        choices=("last", BEST_ON_VALIDATION, BEST_ON_DEV),
        option=True,
    )
    eval_every: int | None = setting(
        None,
        "look at the model every K steps: a curve of scores on a few dev rows and some retention "
        "text, and what select chooses from; none: no curve, and it chooses at each epoch",
        low=1,
        option=True,
        metavar="K",
    )
    score: str = setting(
        "dev",
        "rows that are scored: dev (and validation's), or validation's alone, to choose settings",
        choices=("dev", "validation"),
        option=True,
    )
    batching: str = setting(
        "bucketed",
        "bucketed: batches of like length; random: the papers' recipe",
        choices=("bucketed", "random"),
        option=True,
    )
    precision: str = setting(
        "float32",
        "arithmetic of the training passes; weights and the optimizer stay float32",
        choices=("float32", "bfloat16"),
    )
    scoring: str = setting(
        "float32",
        "arithmetic of the passes that score, and of those that Fisher information is made of",
        choices=("float32", "bfloat16"),
    )
    weights: str = setting(
        "float32",
        "what they are held in, with their gradients and θ0; moments, differences to θ0, Fisher "
        "and losses stay float32",
        choices=("float32", "bfloat16"),
    )
    tf32: bool = setting(
        False, "let NVIDIA's GPUs round the factors of float32 products to TF32, while training"
    )
    importance: str = setting(
        "float32", "what F and Ω of ewc and mas are held in", choices=("float32", "bfloat16")
    )
    checkpointing: bool = setting(
        False, "compute activations again in the backward pass: less memory, the same gradients"
    )
    compile: bool = setting(
        False,
        "torch.compile the network's blocks for training, and RecAdam's update; costs.compile and "
        "a column of the board have the warm-up, the time has not",
    )
    shots: int = setting(0, "answered training rows in front of every prompt", low=0, option=True)
    choices: str = setting(
        "likelihood",
        "how a choice is made: by its text's likelihood, or by its letter, which is written",
        choices=("likelihood", "letter"),
    )
    retention_tokens: int = setting(8192, "tokens of retention text that are scored", low=64)
    forget_rows: int = setting(256, "dev rows of the forgetting task that are scored", low=1)

    @property
    def identity(self) -> dict[str, Any]:
        """The recipe as a part of identities."""
        selected = {"last": (), BEST_ON_DEV: ("max_eval", "eval_every")}
        measured = set(MEASURED).difference(selected.get(self.select, ("eval_every",)))
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if field.name not in measured
            and ((value := getattr(self, field.name)) != field.default or field.name not in LATER)
        }

    def total_steps(self, rows: int) -> int:
        """Optimizer steps for a task with `rows` training rows."""
        if self.steps is not None:
            return self.steps
        used = min(rows, self.max_train or rows)
        return math.ceil(math.ceil(used / self.batch_size) * self.epochs)
