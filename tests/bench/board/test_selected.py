"""Who is selected, counted over seeds."""

from __future__ import annotations

import itertools

from bench.board.grouping import method_names
from bench.board.selected import Counted, histograms, selected
from tests.helpers import rich
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


def test_a_histogram_counts_every_answer_once() -> None:
    cells = [cell for cell in rich.cells(2) if cell["cell"]["task"] == "cola"]
    (found,) = histograms(cells, method_names(cells))
    assert (found.method, found.seeds, len(found.edges)) == ("lwf", 2, 21)
    pairs = list(itertools.pairwise(found.edges))
    for counts, scores in ((found.kept, rich.SCORES), (found.unlearned, rich.SCORES[50:])):
        slow = [2 * sum(low <= score < high for score in scores) for low, high in pairs]
        slow[0] += 2 * sum(score < found.edges[0] for score in scores)
        slow[-1] += 2 * sum(score >= found.edges[-1] for score in scores)
        assert list(counts) == slow and sum(counts) == 2 * len(scores)
    assert found.edges[0] == sorted(rich.SCORES * 2)[4]
    assert histograms([result("lwf")], method_names([result("lwf")])) == ()


def test_equal_confidences_have_a_histogram() -> None:
    (cell,) = (
        c for c in rich.cells(1) if c["cell"]["method"] == "lwf" and c["cell"]["task"] == "rte"
    )
    assert cell["elicited"]
    cell["elicited"]["weighed"] = {
        **rich.WEIGHED,
        "scores_kept": [0.0] * 9,
        "scores_unlearned": [0.0],
    }
    (found,) = histograms([cell], method_names([cell]))
    assert sum(found.kept) == 9 and found.edges[0] < found.edges[-1]
