"""The cells that are trained or scored here, and its rows as Hugging Face models take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError

if TYPE_CHECKING:
    import argparse

    from torch import Tensor

    from bench.cells.cell import Cell
    from bench.cells.grid import RunSpec
    from bench.network.batches import Encoded
    from bench.running.workspace import Workspace

BATCH = 16


def make_cells(
    given: argparse.Namespace, methods: list[str], folder: Path, **train: Any
) -> tuple[RunSpec, Workspace]:
    """A cell for each method, and the rows and tokens that its runs share."""
    from bench.planning.options import read
    from bench.planning.plan import make_plan
    from bench.running.workspace import Workspace

    train = {"batch_size": BATCH, "forget_rows": 1, **train}
    asked = {"methods": methods, "tasks": [given.task], "model": [given.model], "data": given.data}
    plan = make_plan(read({**asked, "seeds": 1, "settings": {"train": train}}))
    return plan.spec, Workspace(folder, lambda *progress: None, plan.material)


def one_cell(given: argparse.Namespace, folder: Path, **train: Any) -> tuple[Cell, Workspace]:
    """The cell of plain fine-tuning, as `make_cells` makes it."""
    from bench.cells.cell import Cell
    from bench.planning.plugins import load_builtin

    load_builtin()
    spec, workspace = make_cells(given, ["finetune"], folder, **train)
    cell = next(spec.cells())
    assert isinstance(cell, Cell), "no sequence was asked for"
    return cell, workspace


def examples_of(rows: Encoded) -> list[dict[str, Tensor]]:
    """Examples as Hugging Face models take them: labels of -100 where nothing is predicted.

    Raises:
        BenchError: an encoder's multiple choice, which is several inputs an example.
    """
    import torch

    if rows.choices > 1:
        raise BenchError(
            "bare loops read one input for each example, and an encoder's multiple choice has one "
            "for each choice: take another --task, or a causal --model."
        )
    found = []
    for i, (prompt, gold) in enumerate(zip(rows.prompts, rows.gold, strict=True)):
        answer = rows.answers[i][gold] if rows.answers else []
        values = {"input_ids": prompt + answer, "attention_mask": [1] * len(prompt + answer)}
        if rows.types:
            values["token_type_ids"] = rows.types[i]
        example = {name: torch.tensor(value) for name, value in values.items()}
        labels = torch.tensor([-100] * len(prompt) + answer if answer else gold)
        found.append({**example, "labels": labels})
    return found


def padded(examples: list[dict[str, Tensor]], pad: int) -> dict[str, Tensor]:
    """A batch of examples, padded to the longest."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    fill = {"input_ids": pad, "labels": -100}
    batch = {}
    for name in examples[0]:
        column = [example[name] for example in examples]
        rows = column[0].ndim > 0
        batch[name] = pad_sequence(column, True, fill.get(name, 0)) if rows else torch.stack(column)
    return batch
