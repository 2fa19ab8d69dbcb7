"""Who is selected, counted over seeds."""

from __future__ import annotations

from bench.board.grouping import method_names
from bench.board.selected import Counted, selected
from tests.helpers.made_up import result


def test_answers_are_counted_at_each_stage_over_seeds() -> None:
    cells = [result("lwf", seed=seed) for seed in (0, 1)]
    for seed, one in enumerate(cells):
        one["elicited"] = {
            "all": {"answers": 100 + seed, "conflicting": 20, "true": 50},
            "kept": {"answers": 40, "conflicting": 20 + seed, "true": 0},
            "unlearned": {"answers": 20, "conflicting": None, "true": None},
            "auc": None,
            "auc_kept": None,
        }
    (found,) = selected([*cells, result()], method_names([*cells, result()]))
    assert (found.title, found.method, found.seeds) == ("CoLA", "lwf", 2)
    assert found.stages == {
        "all": Counted(100.5, 20, 50),
        "kept": Counted(40, 20.5, 0),
        "unlearned": Counted(20, None, None),
    }
