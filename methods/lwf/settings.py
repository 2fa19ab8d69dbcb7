"""The settings of Learning With Forgetting."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.settings import Range, setting


@dataclass(frozen=True)
class LWFConfig:
    """Settings of Learning With Forgetting. `lwf.ascent=own lwf.max_rise=none lwf.weight=0.05
    lwf.interval=8 lwf.temperature=1` is what this suite ran up to version 0.4.0, but for its bound
    of ln |V| nats on a batch's loss."""

    samples: int = setting(256, "prompts of the forgetting task that the model answers", low=1)
    keep: str = setting(
        "wrong", "which answers may be unlearned: the wrong ones or all", choices=("wrong", "all")
    )
    max_new_tokens: int = setting(32, "length of an answer, in tokens", low=1)
    temperature: float = setting(
        0.0, "of sampling the answers; 0: the likeliest token each time", low=0.0
    )
    top_p: float = setting(1.0, "of sampling", above=0.0, high=1.0)
    alpha: float | None = setting(
        None,
        "α, the size of the step from θ0; none: the learning rate; 0: rank by the limit α → 0",
        low=0.0,
    )
    fisher: bool = setting(True, "weigh by F_L; false: F = 1")
    fisher_rows: int = setting(256, "rows of the learning task that F_L is a mean over", low=1)
    theta_l_steps: int | None = setting(
        None, "steps of the run that θ*_L is the end of; none: plain fine-tuning, whole", low=1
    )
    share: float = setting(
        0.5,
        "share of the answers that may be unlearned to unlearn",
        above=0.0,
        high=1.0,
        search=Range(0.1, 1.0),
    )
    select: str = setting(
        "high",
        "which: those with the highest or the lowest confidence, or that the base model is least "
        "sure of (unsure), or random ones; or, whatever the share, all, or (oracle) those that are "
        "known to be outdated",
        choices=("high", "low", "unsure", "random", "all", "oracle"),
    )
    ascent: str = setting(
        "joint",
        "add the ascent's gradient to the learning step's (joint), or take steps of its own (own)",
        choices=("joint", "own"),
    )
    interval: int = setting(4, "learning steps to one ascent", low=1, search=Range(1, 16, log=True))
    schedule: str = setting(
        "periodic",
        "when: at every `interval`-th learning step (own: after it), or as often at random ones, "
        "or as often ahead: at the first ones (own: before the first)",
        choices=("periodic", "random", "ahead"),
    )
    batch_size: int = setting(16, "answers per ascent", low=1)
    weight: float = setting(
        0.2, "w, what the negated loss is scaled by", low=0.0, search=Range(0.02, 1.0, log=True)
    )
    max_rise: float | None = setting(
        2.3,
        "the cap: where ascent on an answer ends, in nats per token above its loss under the base "
        "model; none: no cap, and nothing to taper to",
        above=0.0,
    )
    taper: bool = setting(
        True,
        "let w fall linearly to zero at the cap and turn negative behind it; false: all of w below "
        "the cap, nothing behind it",
    )
