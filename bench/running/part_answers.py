"""What is kept, row by row and block by block, of the parts of a result that its dev rows do not
give, so that anybody can compute them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.cells.measured import On
from bench.cells.result import Answered, PartAnswers, ReadText
from bench.network.batches import Encoded
from bench.rows.task import Task
from bench.running.measuring import Measured, Measuring
from bench.scoring.metrics import on_split
from bench.scoring.predictions import (
    NORMALISED,
    Outputs,
    correct,
    gold_losses,
    normalised,
    predict,
)

if TYPE_CHECKING:
    from bench.network.running_text import TextLoss

Models = Mapping[str, Measured]
"""What a model is called -> what was measured of it."""


def part_answers(
    measuring: Measuring,
    asked: Mapping[str, On],
    before: Measured,
    after: Measured,
    path: Mapping[float, Measured],
) -> list[PartAnswers]:
    """Those of the parts that were asked for and measured, but for the probe's, which keeps its
    own; `path` is by α."""
    both = {"before": before, "after": after}
    walk = {f"{alpha:g}": found for alpha, found in path.items()}
    found: dict[str, tuple[dict[str, Answered], ReadText | None]] = {
        "scores": (_scores(measuring, both), None),
        "retention": ({}, _text(both)),
        "forgotten": (_forgotten(measuring, both), None),
        "facts": (_facts(measuring, both), None),
        "retain_tasks": (_retained(measuring, both), None),
        "path": (_dev(measuring, walk) | _retained(measuring, walk), _text(walk)),
    }
    return [
        {"part": part, "on": dict(asked[part]), "rows": rows, "text": text}
        for part, (rows, text) in found.items()
        if part in asked and (rows or text)
    ]


def _scores(measuring: Measuring, models: Models) -> dict[str, Answered]:
    """What is not in the cell's predictions: choices by likelihood per byte, by metric, and answers
    with the planted one struck out."""
    found: dict[str, Answered] = {}
    for split, rows in measuring.dev.items():
        by_byte = {
            name: likeliest
            for name, m in models.items()
            if split in m.outputs
            and (likeliest := normalised(measuring.task, rows, m.outputs[split])) is not None
        }
        if by_byte:
            name = on_split(split, NORMALISED)
            found[name] = {"id": rows.ids, "gold": rows.gold, "answers": by_byte}
    struck = {name: measuring.struck_out(m) for name, m in models.items()}
    if answers := {name: each for name, each in struck.items() if each}:
        ids, gold = map(list, zip(*measuring.disputed, strict=True))
        found["ceiling"] = {"id": ids, "gold": gold, "answers": answers}
    return found


def _text(models: Models) -> ReadText | None:
    found = {name: m.retention for name, m in models.items() if m.retention is not None}
    return read_text(found) if found else None


def _forgotten(measuring: Measuring, models: Models) -> dict[str, Answered]:
    """With the losses of the right answers; answers only where they are right or wrong."""
    found = {}
    for task, rows, said in _said(measuring.forget, {n: m.forget for n, m in models.items()}):
        found[task.name] = one = answered(task, rows, said)
        one["losses"] = {name: shortened(gold_losses(rows, each)) for name, each in said.items()}
        if correct(task, rows, rows.references) is None:
            one["answers"] = {}
    return found


def _retained(measuring: Measuring, models: Models) -> dict[str, Answered]:
    found = {}
    for task, rows, said in _said(measuring.retain, {n: m.retained for n, m in models.items()}):
        found[task.name] = one = answered(task, rows, said)
        one["choices"] = [len(scores) for scores in next(iter(said.values())).scores]
    return found


def _said(
    tasks: Iterable[tuple[Task, Encoded]], models: Mapping[str, Mapping[str, Outputs]]
) -> Iterator[tuple[Task, Encoded, dict[str, Outputs]]]:
    """Each task that was asked, its rows, and what models said to them."""
    for task, rows in tasks:
        said = {name: each[task.name] for name, each in models.items() if task.name in each}
        if said:
            yield task, rows, said


def _dev(measuring: Measuring, models: Models) -> dict[str, Answered]:
    task = measuring.task
    said = {name: m.outputs["dev"] for name, m in models.items() if "dev" in m.outputs}
    return {task.name: answered(task, measuring.dev["dev"], said)} if said else {}


def _facts(measuring: Measuring, models: Models) -> dict[str, Answered]:
    asked = measuring.questions
    outputs = {name: m.facts for name, m in models.items() if m.facts is not None}
    if asked is None or not outputs:
        return {}
    whole = answered(asked.task, asked.encoded, outputs)
    return {
        name: _only(whole, [i for i, row in enumerate(asked.rows) if row["disputed"] is disputed])
        for name, disputed in (("settled", False), ("disputed", True))
    }


def _only(found: Answered, places: Sequence[int]) -> Answered:
    return {
        "id": [found["id"][i] for i in places],
        "gold": [found["gold"][i] for i in places],
        "answers": {n: [each[i] for i in places] for n, each in found["answers"].items()},
    }


def answered(task: Task, rows: Encoded, outputs: Mapping[str, Outputs]) -> Answered:
    """The answers of several models, by what they are called."""
    return {
        "id": rows.ids,
        "gold": rows.references,
        "answers": {name: predict(task, rows, found) for name, found in outputs.items()},
    }


def read_text(models: Mapping[str, TextLoss]) -> ReadText:
    """The losses of several models on a text."""
    tokens = next(iter(models.values())).tokens
    return {"tokens": tokens, "nats": {name: shortened(m.nats) for name, m in models.items()}}


def shortened(losses: Iterable[float]) -> list[float]:
    """Losses with ten significant digits: their sum is that of the whole ones to 1e-9 of it."""
    return [float(f"{loss:.10g}") for loss in losses]
