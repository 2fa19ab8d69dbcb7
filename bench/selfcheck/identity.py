"""Checks that need no second opinion: where a run must equal another one, bit for bit or nearly."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.settings import allowed
from bench.planning.method_names import chosen
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.scoring.evaluation import drift
from bench.selfcheck.checks import (
    NotApplicableError,
    Subject,
    assigned,
    difference,
    expect,
    same,
    starts_at_the_base,
)
from bench.selfcheck.world import World, only_cell, stage_for, weights, workspace_for
from bench.training.loop import train
from bench.training.stack import build

STEPS = 8
STOPS = (3, 7, 8)  # in the first epoch, of 5 steps, in the second, and before it is scored


def zero_steps(subject: Subject, world: World, folder: Path) -> None:
    """Without a step, every score and every weight is the base model's."""
    plan = subject.plan(world, "train.steps=0")
    starts_at_the_base(build(only_cell(plan).method))
    result, predictions, _ = run_cell(only_cell(plan), workspace_for(plan, folder), False)
    scores, retention, forgotten = result["scores"], result["retention"], result["forgotten"]
    assert scores and retention and predictions, "a new cell with a text has all"
    expect(result["drift"] == 0, f"the weights moved by a squared distance of {result['drift']}")
    expect(scores["before"] == scores["after"], f"the scores changed: {scores}")
    expect(predictions["before"] == predictions["after"], "answers changed")
    expect(retention["before"] == retention["after"], f"the retention loss changed: {retention}")
    if forgotten is not None:
        unchanged = forgotten["loss_before"] == forgotten["loss_after"]
        expect(unchanged, f"the loss on the forgetting task changed: {forgotten}")


def trains(subject: Subject, world: World, folder: Path) -> None:
    """Training moves every matrix that the method gives the optimizer."""
    stage = subject.trained(world, folder)
    base, after = stage.loaded.base, weights(stage)
    names = {name for group in stage.run.optimizer.param_groups for name in group["names"]}
    still = sorted(
        name
        for name in names & base.keys() & after.keys()
        if after[name].ndim > 1 and same(after[name], base[name])
    )
    expect(not still, f"{len(still)} of {len(names)} matrices did not move, {still[:1]}")
    expect(drift(stage.loaded) > 0, "no pretrained weight moved")


def off_is_finetune(subject: Subject, world: World, folder: Path) -> None:
    """Switched off it is plain fine-tuning, bit for bit; switched on it is not."""
    off = subject.off()
    plain = Subject("finetune", subject.kind).ends(world, folder)
    without = subject.ends(world, folder, *off)
    expect(same(without, plain), difference(without, plain))
    expect(not same(subject.ends(world, folder), plain), "switched on it is finetune, too")


def holds_the_base(subject: Subject, world: World, folder: Path) -> None:
    """At its strongest it keeps the weights within a tenth of finetune's squared distance."""
    holds = subject.cls.holds
    if holds is None:
        raise NotApplicableError("the class names no settings that hold the weights (`holds`)")
    # Adam's steps have one size whatever the gradient, so the way back takes a few of them
    words = "train.steps=40", "train.warmup=0"
    free = drift(Subject("finetune", subject.kind).trained(world, folder, *words).loaded)
    held = drift(subject.trained(world, folder, *words, *assigned(subject.cls, holds)).loaded)
    expect(held < 0.1 * free, f"squared distance {held:.3g}, finetune's is {free:.3g}")


def resumes(subject: Subject, world: World, folder: Path) -> None:
    """Stopped and resumed it ends as if it had run through, bit for bit: weights, optimizer,
    curve."""
    steps = f"train.steps={STEPS}"
    whole = stage_for(subject.plan(world, steps), folder / "whole")
    expected = train(whole.run, whole.method, None)
    for stop in (*STOPS, None):
        # a method that knows nothing yet, as in a new process
        part = stage_for(subject.plan(world, steps), folder / "parts")
        record = train(part.run, part.method, folder / "checkpoint", stop_at=stop)
        if stop == STEPS:  # the call after it only finishes, with an optimizer that knows nothing
            reached = _optimizer_state(part)
    expect(record["resumes"] == len(STOPS), f"resumed {record['resumes']} of {len(STOPS)} times")
    found, wanted = weights(part), weights(whole)
    expect(same(found, wanted), difference(found, wanted))
    expect(same(reached, _optimizer_state(whole)), "the optimizer's state differs")
    expect(record["curve"] == expected["curve"], "the curve differs")


def _optimizer_state(stage: CellSession) -> Any:
    return stage.run.optimizer.optimizer.state_dict()


def state_goes_round(subject: Subject, world: World, folder: Path) -> None:
    """What `state_dict` gives, `load_state_dict` takes, and it is all tensors."""
    import torch

    state = subject.trained(world, folder).method.state_dict()
    other = build(only_cell(subject.plan(world)).method)
    wrong = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    expect(not wrong, f"{wrong[:1]} in state_dict is no tensor")
    other.load_state_dict({name: value.clone() for name, value in state.items()})
    expect(same(other.state_dict(), state), "state_dict differs after load_state_dict")


def accumulates(subject: Subject, world: World, folder: Path) -> None:
    """Eight examples at once and four times two are one step, within rounding."""
    if subject.kind == "encoder":
        raise NotApplicableError("dropout draws other masks for smaller batches")
    words = "train.eps=1e-4", "train.steps=6"
    whole = stage_for(subject.plan(world, *words), folder)
    parts = stage_for(subject.plan(world, *words, "train.micro_batch=2"), folder)
    curves = [train(stage.run, stage.method, None)["curve"] for stage in (whole, parts)]
    for one, other in zip(*curves, strict=True):
        near = one.keys() == other.keys() and all(
            math.isclose(one[key], other[key], rel_tol=1e-4, abs_tol=1e-12) for key in one
        )
        expect(near, f"the curve differs: {one} at once, {other} in parts")
    found = weights(parts)
    for name, wanted in weights(whole).items():
        moved = float((wanted - whole.run.anchor.get(name, 0.0)).norm())
        gap = float((found[name] - wanted).norm())
        expect(gap <= 1e-3 * moved, f"{name} moved by {moved:.3g}, and in parts by {gap:.3g} more")


def seeds(subject: Subject, world: World, folder: Path) -> None:
    """The same seed ends with the same weights, another seed with others."""
    plan = subject.plan(world)

    def ends(place: str, seed: int) -> dict[str, Any]:
        cell = dataclasses.replace(only_cell(subject.plan(world)), seed=seed)
        stage = CellSession(cell, workspace_for(plan, folder / place))
        train(stage.run, stage.method, None)
        return weights(stage)

    first, again = ends("a", 0), ends("b", 0)
    expect(same(again, first), "the same seed again: " + difference(again, first))
    expect(not same(ends("a", 1), first), "another seed ends with the same weights")


def bad_settings(subject: Subject, world: World, folder: Path) -> None:
    """A setting out of its range, of another kind or unknown is named, with what is allowed."""
    cls = subject.cls
    known = [field.name for field in dataclasses.fields(cls.Config)]
    _refused(subject, world, "no_such_setting", "1", [f"unknown setting of {cls.name}", *known])
    for field in dataclasses.fields(cls.Config):
        where = f"{cls.name}.{field.name} = "
        rules = field.metadata
        expect(bool(rules.get("help")), f"{field.name} has no help text (bench.setting)")
        _refused(subject, world, field.name, "?!", [where + "'?!'"])
        for value in _outside(rules):
            _refused(subject, world, field.name, value, [where, str(value), allowed(rules)])


def _outside(rules: Any) -> Iterator[Any]:
    """A value just outside each end of a setting's range."""
    if rules["choices"]:
        yield "sideways"
    if rules["low"] is not None:
        yield int(rules["low"]) - 1
    if rules["high"] is not None:
        yield int(rules["high"]) + 1
    if rules["above"] is not None:
        yield int(rules["above"])


def _refused(subject: Subject, world: World, field: str, value: Any, says: list[str]) -> None:
    word = f"{subject.cls.name}.{field}={value}"
    try:
        world.plan(subject.cls.name, subject.kind, word)
    except BenchError as error:
        silent = [part for part in says if part not in str(error)]
        expect(not silent, f"--set {word} is answered without {silent[:1]}: {error}")
    else:
        expect(isinstance(value, str) and _is_text(subject, field), f"--set {word} is accepted")


def _is_text(subject: Subject, field: str) -> bool:
    """Whether a setting takes any text."""
    (found,) = (f for f in dataclasses.fields(subject.cls.Config) if f.name == field)
    return "str" in str(found.type) and not found.metadata.get("choices")


def whole_card(subject: Subject, world: World, folder: Path) -> None:
    """The card says everything, and variants are what they claim."""
    cls = subject.cls
    empty = [
        f.name for f in dataclasses.fields(cls.card) if not str(getattr(cls.card, f.name)).strip()
    ]
    expect(not empty, f"the card's {', '.join(empty)} is empty")
    expect(bool((cls.__doc__ or "").strip()), "the class has no docstring")
    for variant in cls.variants:
        label = chosen([f"{cls.name}:{variant}"], {})[0].label
        expect(
            label.startswith(f"{cls.name}:{variant}"),
            f"{cls.name}:{variant} is labelled {label}: its settings are the defaults or another's",
        )


ON_MODELS = (
    *(zero_steps, trains, off_is_finetune, holds_the_base, resumes),
    *(state_goes_round, accumulates, seeds),
)
ON_CLASSES = bad_settings, whole_card
