"""The settings of Learning With Forgetting."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.settings import Range, setting


@dataclass(frozen=True)
class LWFConfig:
    """Settings of Learning With Forgetting."""

    samples: int = setting(256, "prompts of the forgetting task that the model answers", low=1)
    keep: str = setting(
        "wrong", "which answers may be unlearned: the wrong ones or all", choices=("wrong", "all")
    )
    max_new_tokens: int = setting(32, "length of an answer, in tokens", low=1)
    temperature: float = setting(1.0, "of sampling", above=0.0)
    top_p: float = setting(1.0, "of sampling", above=0.0, high=1.0)
    alpha: float | None = setting(
        None, "α, the size of the step from θ0; none: the learning rate", low=0.0
    )
    fisher: bool = setting(True, "weigh by F_L; false: F = 1")
    fisher_rows: int = setting(256, "rows of the learning task that F_L is a mean over", low=1)
    theta_l_steps: int | None = setting(
        None, "steps of the run that θ*_L is the end of; none: plain fine-tuning, whole", low=1
    )
    share: float = setting(
        0.5,
        "share of the answers, by confidence, to unlearn",
        above=0.0,
        high=1.0,
        search=Range(0.1, 1.0),
    )
    select: str = setting(
        "high",
        "which end of the answers, by confidence, to unlearn; or random ones",
        choices=("high", "low", "random"),
    )
    interval: int = setting(
        8, "learning steps between unlearning steps", low=1, search=Range(2, 32, log=True)
    )
    schedule: str = setting(
        "periodic",
        "when: after every `interval` learning steps, or as often after random ones, or as often "
        "before the first",
        choices=("periodic", "random", "ahead"),
    )
    batch_size: int = setting(16, "answers per unlearning step", low=1)
    weight: float = setting(
        0.05, "what the negated loss is scaled by", low=0.0, search=Range(0.01, 0.2, log=True)
    )
    max_unlearn_nll: float | None = setting(
        None, "nats per token from which an answer batch counts as unlearned; none: ln |V|", low=0.0
    )
