"""A finished cell's model as an ordinary Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell, training_hash
from bench.cells.result import CellResult
from bench.cells.store import Store
from bench.cells.weights import Kept, Weights
from bench.core.errors import BenchError
from bench.core.files import atomic_write_text, check_writable
from bench.core.hashing import derive_seed


def export(path: Path, folder: Path) -> Cell:
    """Write the tuned model of the cell whose result is at `path` (RUN/cells/NAME.json): weights,
    configuration, tokenizer and a model card.

    Raises:
        BenchError: there is no such finished result; its weights were not kept; the folder holds
            something, or cannot be written.
    """
    if not path.is_file():
        raise BenchError(f"{path} is no result of a cell: name a file in a run's cells folder.")
    run = path.parent.parent
    result = next((r for r in Store(run).all() if path.stem.endswith(r["hash"][:12])), None)
    if result is None or result["status"] != "done":
        raise BenchError(f"{path} is no finished cell.")
    found = _kept(run, result)
    if folder.exists() and any(folder.iterdir()):
        raise BenchError(f"{folder} is not empty: nothing was written.")
    check_writable(folder)
    _write(found, folder)
    atomic_write_text(folder / "README.md", card(result))
    return found.cell


def card(result: CellResult) -> str:
    """The model card: what it was made of, by what, and how it scored."""
    cell, labels, scores = result["cell"], result["labels"], result["scores"]
    assert scores is not None, "a finished cell has scores"
    before, after = scores["before"], scores["after"]
    rows = [f"| {name} | {before[name]:.4f} | {after[name]:.4f} |" for name in after]
    training = {name: value for name, value in cell["training"].items() if value is not None}
    task = labels.get("task", cell["task"])
    lines = [
        f"# {labels['model']}, fine-tuned on {task} with {labels['method']}",
        f"Seed {cell['seed']}, data: {labels['data']}, suite version {cell['suite_version']}, "
        f"cell {result['hash'][:12]}.",
        "| metric on dev | before | after |\n|---|---:|---:|\n" + "\n".join(rows),
        _listed(f"Settings of {cell['method']}", cell["settings"]),
        _listed("Recipe", training),
    ]
    return "\n\n".join(lines) + "\n"


def _listed(title: str, values: Mapping[str, Any]) -> str:
    words = ", ".join(f"{name}={json.dumps(value)}" for name, value in values.items())
    return f"{title}: {words or 'none'}."


def _kept(run: Path, result: CellResult) -> Kept:
    """The weights of a result."""
    if found := Weights(run).read(training_hash(result["cell"])):
        return found
    raise BenchError(
        f"the weights of {result['labels']['method']} x {result['cell']['task']} x seed "
        f"{result['cell']['seed']} were not kept: run it with --keep-weights all."
    )


def _write(found: Kept, folder: Path) -> None:
    import torch

    from bench.network.loading import load, load_tokenizer

    cell = found.cell
    head_seed = derive_seed(cell.task.name, cell.seed, "head")
    net = load(cell.model, found.outputs, head_seed, weights=cell.training.weights).net
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(found.tensors[name])
    net.save_pretrained(folder)
    load_tokenizer(cell.model).save_pretrained(folder)
