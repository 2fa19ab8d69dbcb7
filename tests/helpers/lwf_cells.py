"""Cells of LWF, and what is elicited and unlearned in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.planning.plan import Plan
from bench.running.session import CellSession
from bench.selfcheck.world import stage_for
from methods.lwf import elicitation
from methods.lwf.method import LWF
from methods.lwf.settings import LWFConfig
from methods.shared.answers import AnswerSet

Make = Callable[..., Plan]


def config_of(stage: CellSession) -> LWFConfig:
    config = stage.method.config
    assert isinstance(config, LWFConfig)
    return config


def elicited(plan: Plan, folder: Path) -> AnswerSet:
    """D_self of the plan's only cell, what may not be unlearned left out."""
    return kept_answers(stage_for(plan, folder))


def kept_answers(stage: CellSession) -> AnswerSet:
    answers, kept = elicitation.elicit(stage.run, config_of(stage))
    return answers.subset(kept)


def pairs(answers: AnswerSet) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(tuple(p), tuple(a)) for p, a in zip(answers.prompts, answers.answers, strict=True)]


def gold_answers(stage: CellSession, split: str) -> dict[tuple[int, ...], list[int]]:
    """Prompt -> gold answer of the rows of RTE, as tokens."""
    rte = stage.run.forget[0]
    rows = stage.workspace.rows_of(rte, stage.cell.data.source, split)
    found = stage.run.encode_forget(rows, "rte", 4)
    answers = [words[label] for words, label in zip(found.answers, found.gold, strict=True)]
    return dict(zip(map(tuple, found.prompts), answers, strict=True))


def prepared(stage: CellSession) -> LWF:
    method = stage.method
    assert isinstance(method, LWF)
    method.prepare(stage.run)
    return method


def prepared_answers(stage: CellSession) -> AnswerSet:
    method = stage.method
    assert isinstance(method, LWF)
    return method.rows
