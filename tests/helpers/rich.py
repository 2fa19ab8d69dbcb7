"""Cells with everything that a page can show, and with names that would do harm."""

from __future__ import annotations

import math
from typing import Any

from bench.board.leaderboard import boards
from bench.cells.result import CellResult, Predictions
from bench.render.page import Shown
from bench.rows.lookup import Lookup
from tests.helpers.made_up import predictions, result

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"
STEPS = range(1, 41)
SCORES = [0.1 * i - 3 for i in range(100)]
WEIGHED: Any = {
    "rise_kept": 0.5, "rise_unlearned": 1.0, "rank_rise": 0.3, "rank_limit": 1.0, "taught": None,
    "untaught": None, "scores_kept": SCORES, "scores_unlearned": SCORES[50:],
}  # fmt: skip
_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "finetune": ("finetune", {}),
    "ewc": ("ewc", {"strength": 0.01}),
    "lwf": ("lwf", {"share": 0.5}),
    "recadam": ("recadam", {"k": 0.1}),
    "recadam[k=0.5]": ("recadam", {"k": 0.5}),
}


def cell(label: str, task: str, seed: int) -> CellResult:
    """A finished cell with curves, path and probe."""
    method, settings = _METHODS.get(label, (label, {}))
    place = list(_METHODS).index(label) if label in _METHODS else 9
    score = 0.5 + 0.03 * place + 0.01 * seed * (-1) ** place + 0.1 * (task == "rte")
    found = result(method, task, seed, score, settings=settings, label=label)
    found["retention"] = {
        "text": "sampled", "tokens": 512, "before": 2.0, "after": 2.2 - 0.02 * place + 0.01 * seed,
    }  # fmt: skip
    found["curve"] = [_point(method, settings, step, seed) for step in STEPS]
    found["path"] = [
        {"alpha": a, "score": 0.25 + a * (score - 0.25), "retention": 2.0 + 0.2 * a * a,
         "retain_tasks": {}}
        for a in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]  # fmt: skip
    found["probe"] = {
        "rows": 20,
        "tokens": 128,
        "points": [
            {"step": s, "score": 0.25 + s / 100, "loss": 1.0, "retention": 2.0 + s / 400}
            for s in (0, 20, 40)
        ],
    }
    found["provenance"] = {
        "commit": "abc123", "dirty": True, "python": "3.11.7", "cores": 2,
        "packages": {"torch": "2.6"}, "started": "2026-11-26T00:00:00",
    }  # fmt: skip
    return found


def _point(method: str, settings: dict[str, Any], step: int, seed: int) -> dict[str, float]:
    point = {"step": float(step), "loss": 1 / step + 0.05 * seed, "lr": 0.1}
    if method == "recadam":
        point["recadam_lambda"] = 1 / (1 + math.exp(-settings["k"] * (step - 20)))
    if method == "lwf" and step % 8 == 0:
        point["unlearned_nll"] = 1.0 + step / 40 + 0.1 * seed
    return point


def cells(seeds: int = 3) -> list[CellResult]:
    """Five methods on two tasks; a cell that failed and one that was refused."""
    found = [cell(label, t, s) for label in _METHODS for t in ("cola", "rte") for s in range(seeds)]
    for one in found:
        if one["cell"]["method"] == "lwf":
            judged = {"answers": 256, "conflicting": 64, "true": 128}
            one["elicited"] = {"all": judged, "kept": judged, "unlearned": judged, "auc": 0.6,
                               "auc_kept": None, "weighed": WEIGHED}  # type: ignore[typeddict-item]  # fmt: skip
    refused = result("lora", "rte", error="does not fit an encoder")
    return [*found, result("lora", error="loss is nan"), {**refused, "status": "refused"}]


def hostile() -> list[CellResult]:
    """The same, of a model, data and a method whose names are markup, and which failed so."""
    found = [*cells(), cell(HOSTILE, "cola", 0), result(HOSTILE, "rte", error=HOSTILE)]
    for one in found:
        one["labels"] |= {"model": HOSTILE, "data": HOSTILE}
        one["provenance"] = {"processor": HOSTILE, HOSTILE: HOSTILE}
    return found


def answers(of: CellResult) -> Predictions | None:
    """Two rows, the ids of which are markup; of lwf one is lost."""
    if of["status"] != "done":
        return None
    found = predictions(of)
    lost = [1, 1] if of["cell"]["method"] == "lwf" else [0, 1]
    return {**found, "id": ["dev-0", HOSTILE], "gold": [0, 1], "before": [0, 0], "after": lost}


def shown(found: list[CellResult], name: str = "rich") -> Shown:
    """What a page is made of."""
    return Shown(name, boards(found), answers, Lookup("micro"))
