"""One measurement of how cost grows, in a process of its own: `python -m bench.speed.sizes`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.memory import peak_memory_mib, reset_peak_memory

if TYPE_CHECKING:
    from bench.planning.plan import Plan

MODELS = {1: (128, 5), 5: (256, 6), 30: (512, 10), 135: (768, 19)}
"""Millions of parameters, about -> hidden size and blocks."""
_MIDDLING = {"parameters": 5, "length": 64, "rows": 128}
_BATCH, _STEPS = 8, 6
_FEW = {"lwf": {"samples": 16, "fisher_rows": 16}}
"""Of what methods look at before they train, which is not timed where steps are."""
_PROGRAM = "import sys; from bench.cli.main import main; sys.exit(main(sys.argv[1:]))"
_TASK = """\
name = "grown"
kind = "classification"
columns = {{ text = "text", label = "label" }}
prompt = "{{text}}\\nTrue? Answer:"
metrics = ["accuracy"]
[labels]
no = "no"
yes = "yes"
[files]
train = "{train}"
dev = "{dev}"
"""


def measured(axis: str, size: int, method: str) -> dict[str, float]:
    """Seconds and peak MiB: of six steps by parameters or length, of a whole cell by rows, of a
    folder's boards by its cells; of a grid by jobs the seconds alone."""
    with tempfile.TemporaryDirectory() as folder:
        return _KINDS[axis](Path(folder), axis, size, method)


def _trained(folder: Path, axis: str, size: int, method: str) -> dict[str, float]:
    from bench.cells.cell import Cell
    from bench.running.session import CellSession
    from bench.running.workspace import Workspace
    from bench.training.loop import train

    plan = _plan(folder, method, **{**_MIDDLING, axis: size})
    cell = next(plan.spec.cells())
    assert isinstance(cell, Cell), "no sequence was asked for"
    workspace = Workspace(folder / "run", lambda *_: None, plan.material)
    for steps in (2, _STEPS):  # the first warms up, and prepares
        stage = CellSession(replace(cell, steps=steps), workspace)
        reset_peak_memory()
        record = train(stage.run, stage.method, None)
    return {"seconds": record["train"], "mib": peak_memory_mib() or 0.0}


def _whole(folder: Path, axis: str, size: int, method: str) -> dict[str, float]:
    from bench.cells.cell import Cell
    from bench.running.single import run_cell
    from bench.running.workspace import Workspace

    plan = _plan(folder, method, parameters=1, length=32, rows=size, steps=None)
    cell = next(plan.spec.cells())
    assert isinstance(cell, Cell), "no sequence was asked for"
    start = time.perf_counter()
    run_cell(cell, Workspace(folder / "run", lambda *_: None, plan.material), False)
    return {"seconds": time.perf_counter() - start, "mib": peak_memory_mib() or 0.0}


def _boards(folder: Path, axis: str, size: int, method: str) -> dict[str, float]:
    """What `table` takes of so many cells, which are one cell under many seeds."""
    from bench.board.leaderboard import boards
    from bench.cells.cell import Cell
    from bench.cells.store import Store
    from bench.render import terminal
    from bench.running.executor import run_in_process

    plan = _plan(folder, method, parameters=1, length=32, rows=32, steps=2)
    cell = next(plan.spec.cells())
    assert isinstance(cell, Cell), "no sequence was asked for"
    run_in_process(plan, [cell], Store(folder / "one"), folder / "one", quiet=True)
    store = Store(folder / "one")
    (result,) = store.all()
    predictions, many = store.predictions(result), Store(folder / "many")
    for seed in range(size):
        its = replace(cell, seed=seed)
        identity: Any = {**result["cell"], "seed": seed}
        many.write({**result, "cell": identity, "hash": its.hash}, predictions)
    reset_peak_memory()
    start = time.perf_counter()
    terminal.render(boards(many.all(), many.predictions), "utf-8", 100)
    return {"seconds": time.perf_counter() - start, "mib": peak_memory_mib() or 0.0}


def _grid(folder: Path, axis: str, size: int, method: str) -> dict[str, float]:
    task = _write(folder, _MIDDLING["length"], 64)
    words = ["--task-file", task, "--methods", method, "--tasks", "grown", "--seeds", 8]
    words += ["--steps", 60, "--jobs", size, "--out", folder / "run", "--model", "micro"]
    words += ["--no-reference", "--keep-weights", "none", "--forget", "cola"]
    start = time.perf_counter()
    command = [sys.executable, "-c", _PROGRAM, *map(str, words)]
    subprocess.run(command, capture_output=True, check=True)
    return {"seconds": time.perf_counter() - start}


_KINDS = {
    "parameters": _trained,
    "length": _trained,
    "rows": _whole,
    "cells": _boards,
    "jobs": _grid,
}


def _plan(
    folder: Path, method: str, parameters: int, length: int, rows: int, steps: int | None = _STEPS
) -> Plan:
    """One cell of a random Llama on rows of about so many tokens."""
    from bench.planning.options import read
    from bench.planning.plan import make_plan
    from bench.planning.plugins import load_all

    own = load_all([], [_write(folder, length, rows)])
    model = _model(folder, *MODELS[parameters])
    recipe = {"batch_size": _BATCH, "forget_rows": 16, "retention_tokens": 1024}
    given = {"methods": [method], "tasks": own, "model": [str(model)], "seeds": 1}
    given |= {"no_reference": True, "forget": ["cola"], "settings": {"train": recipe}}
    if steps is not None:
        few = {name: values for name, values in _FEW.items() if name == method}
        given |= {"steps": steps, "settings": {"train": recipe, **few}}
    return make_plan(read(given))


def _model(folder: Path, hidden: int, blocks: int) -> Path:
    import torch
    import transformers as hf

    from bench.rows.source import embedded_models

    tokenizer = hf.AutoTokenizer.from_pretrained(embedded_models()["micro"].folder)
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 43 // 16,
        num_hidden_layers=blocks,
        num_attention_heads=hidden // 64,
        max_position_embeddings=640,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    hf.LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def _write(folder: Path, tokens: int, rows: int) -> Path:
    """A task whose rows have about so many tokens of micro's text."""
    import transformers as hf

    from bench.planning.plugins import load_builtin
    from bench.rows.source import embedded_models, source_named

    load_builtin()
    tokenizer = hf.AutoTokenizer.from_pretrained(embedded_models()["micro"].folder)
    text = source_named("micro").retention_text() or ""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    for split, count in (("train", rows), ("dev", max(2, rows // 4))):
        lines = ["text,label"]
        for i in range(count):
            start = i * tokens % (len(ids) - tokens)
            said = " ".join(tokenizer.decode(ids[start : start + tokens]).split())
            lines.append(f'"{i} {said.replace(chr(34), " ")}",{"no" if i % 2 else "yes"}')
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "grown.toml"
    path.write_text(_TASK.format(train="train.csv", dev="dev.csv"), encoding="utf-8")
    return path


if __name__ == "__main__":
    asked_axis, asked_size, asked_method = sys.argv[1:]
    print(json.dumps(measured(asked_axis, int(asked_size), asked_method)))
