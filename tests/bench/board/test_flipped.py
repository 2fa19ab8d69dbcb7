"""Rows that flipped, counted by a slow loop."""

from __future__ import annotations

from typing import Any

from bench.board.flipped import flips_of
from bench.board.grouping import method_names
from bench.cells.result import CellResult, Predictions
from tests.helpers.made_up import predictions, result

GOLD = [0, 1, 0, 1]
BEFORE = [0, 0, 0, 1]
AFTER: dict[tuple[str, int], list[int]] = {
    ("finetune", 0): [0, 1, 0, 1],
    ("finetune", 1): [1, 1, 0, 1],
    ("lwf", 0): [1, 1, 0, 0],
    ("lwf", 1): [1, 1, 0, 0],
}


def answers(cell: CellResult) -> Predictions | None:
    after = AFTER.get((cell["cell"]["method"], cell["cell"]["seed"]))
    given: dict[str, Any] = {"id": [f"dev-{i}" for i in range(4)], "gold": GOLD, "before": BEFORE}
    return {**predictions(cell), **given, "after": after} if after else None  # type: ignore[typeddict-item]


def test_each_row_has_the_seeds_in_which_a_method_lost_or_gained_it() -> None:
    cells = [result(method, seed=seed) for method, seed in [*AFTER, ("ewc", 0)]]
    (found,) = flips_of(cells, method_names(cells), answers)
    assert found.seeds == {"finetune": 2, "lwf": 2}
    slow: dict[str, dict[str, list[int]]] = {}
    for (method, _), after in AFTER.items():
        for i, (gold, was, now) in enumerate(zip(GOLD, BEFORE, after, strict=True)):
            counts = slow.setdefault(f"dev-{i}", {}).setdefault(method, [0, 0])
            counts[0] += was == gold and now != gold
            counts[1] += was != gold and now == gold
    for row in found.rows:
        assert {m: [row.lost.get(m, 0), row.gained.get(m, 0)] for m in found.seeds} == slow[row.id]
    assert [row.id for row in found.rows] == ["dev-3", "dev-0", "dev-1"]  # 1, 1/2 and 0 apart


def test_losses_and_cells_without_answers_have_no_flips() -> None:
    text = result("lwf")
    text["flips"] = None
    assert flips_of([text, result("ewc")], method_names([text, result("ewc")]), answers) == ()
