"""Results as the runner would leave them, with figures that a test chooses."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bench.cells.result import SCHEMA_VERSION, CellResult, Predictions
from bench.core.version import SCORES_VERSION

TITLES = {
    "cola": ("CoLA", "matthews_correlation"),
    "rte": ("RTE", "accuracy"),
    "cola>rte": ("CoLA>RTE", "average"),
}


def result(
    method: str = "finetune",
    task: str = "cola",
    seed: int = 0,
    after: float = 0.5,
    *,
    before: float = 0.25,
    seconds: float = 10.0,
    error: str | None = None,
    label: str | None = None,
    data_name: str = "data",
    model_name: str = "stories260K",
    twin: str | None = None,
    generated: bool = False,
    **parts: Any,
) -> CellResult:
    """A finished cell, or a failed one where `error` is given; `parts` replace parts of `cell`."""
    others = [name for name in TITLES if name != task and ">" not in name]
    cell = {
        "suite_version": SCORES_VERSION,
        "method": method,
        "settings": {},
        "task": task,
        "task_hash": f"task-{task}",
        "seed": seed,
        "model": {"kind": "causal", "hash": "0123456789abcdef"},
        "data": {"hash": f"rows-{task}"},
        "training": {"lr": 0.0005, "steps": 100, "max_train": None},
        "forget": {"tasks": others, "hash": f"rows-{others}"},
        **parts,
    }
    title, metric = TITLES.get(task, (task, "accuracy"))
    done = error is None
    return CellResult(
        schema_version=SCHEMA_VERSION,
        status="done" if done else "failed",
        error=error,
        hash=hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest(),
        cell=cell,
        labels={
            "model": model_name,
            "data": data_name,
            "method": label or method,
            "task": title,
            **({"twin": twin} if twin else {}),
        },
        generated=generated,
        scores={"primary": metric, "before": {metric: before}, "after": {metric: after}}
        if done
        else None,
        chance=None,
        sequence=None,
        flips={"lost": 0.1, "gained": 0.2} if done else None,
        retention={"text": "sampled", "tokens": 8192, "before": 1.5, "after": 1.625}
        if done
        else None,
        forgotten={
            "tasks": others,
            "rows": 256,
            "loss_before": 2.0,
            "loss_after": 1.75,
            "accuracy_before": 0.5,
            "accuracy_after": 0.5,
        }
        if done
        else None,
        retain_tasks=None,
        path=None,
        probe=None,
        measured={
            "scores": {"rows": None},
            "retention": {"text": None, "tokens": 8192},
            "forgotten": {"tasks": others, "hash": f"rows-{others}", "rows": 256},
        }
        if done
        else {},
        earlier=[],
        elicited=None,
        lm_eval=None,
        facts=None,
        ceiling=None,
        drift=0.03125 if done else None,
        curve=[],
        costs={
            "load": 1.0,
            "score_before": 1.0,
            "prepare": 0.0,
            "train": seconds,
            "finish": 0.0,
            "score_after": 1.0,
            "method": seconds,
            "total": seconds + 3.0,
            "steps": 100,
            "steps_per_second": 100 / seconds,
            "peak_memory_mib": 512.0 + seed,
        }
        if done
        else None,
        data={"train_rows": 100, "dev_rows": 50, "truncated_rows": 0},
        provenance={},
    )


def predictions(of: CellResult) -> Predictions:
    """Two rows of answers that belong to `of`."""
    return Predictions(
        schema_version=SCHEMA_VERSION,
        hash=of["hash"],
        id=["a", "b"],
        gold=[0, 1],
        before=[0, 0],
        after=[0, 1],
        scores_after=[[-0.1, -2.0], [-2.0, -0.1]],
    )


def with_answers(of: CellResult) -> CellResult:
    """`of` as it is stored with its answers: the digest is of the file's text."""
    text = json.dumps(predictions(of), indent=1) + "\n"
    name = f"{of['cell']['method']}-{of['cell']['task']}-seed{of['cell']['seed']}-{of['hash'][:12]}"
    return {**of, "answers": {f"{name}.rows.json": hashlib.sha256(text.encode()).hexdigest()}}
