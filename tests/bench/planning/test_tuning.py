"""The same search for every method: what is proposed, what is chosen, and that it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.board.leaderboard import boards
from bench.board.tuning_table import Searched
from bench.cells.cell import AnyCell, Cell, from_json, is_trial, to_json
from bench.cells.result import CellResult
from bench.cells.state import state_of
from bench.cells.store import Store
from bench.cells.tuned import Tuned
from bench.core.errors import BenchError
from bench.planning.method_names import chosen
from bench.planning.options import read
from bench.planning.tuning import SEED, settled, tuning_of
from bench.render import terminal
from bench.render.status import status
from bench.running import executor
from bench.running.blank import blank_result
from bench.running.finishing import finished
from bench.running.job import planned
from bench.selfcheck.world import World, plan_for
from bench.training.stack import build

Score = Callable[[Cell], float | None]


def options(world: World, out: Path, **others: Any) -> Any:
    given = {
        "methods": ["l2sp"],
        "tasks": ["rte"],
        "model": [str(world.models["encoder"])],
        "data": str(world.data),
        "seeds": 1,
        "out": out,
        "tune": 3,
        "jobs": 1,
        "settings": {"train": {"steps": 3, "batch_size": 8, "validation": 0.2, "lr": 5e-3}},
    }
    return read({**given, **others})


def made_up(score: Score, known: int = 10**6) -> Callable[[AnyCell], CellResult | None]:
    """What results would be of trials with a number below `known`."""

    def result(cell: AnyCell) -> CellResult | None:
        assert isinstance(cell, Cell) and cell.trial is not None
        if cell.trial >= known:
            return None
        found, value = blank_result(cell), score(cell)
        if value is None:
            found["status"] = "failed"
            return found
        scores = {"validation_accuracy": value}
        found["scores"] = {"primary": "validation_accuracy", "before": scores, "after": scores}
        return found

    return result


def searched(
    world: World, method: str, trials: int, score: Score, known: int = 10**6, *words: str
) -> tuple[Any, list[Cell]]:
    """The grid after a search with made-up scores, and its trials."""
    plan = plan_for([method], ["rte"], world.models["encoder"], world.data, *words)
    tuning = tuning_of(list(map(build, plan.spec.methods)), trials, 1.0, [], {})
    spec, cells = settled(plan.spec, tuning, made_up(score, known))
    return spec, [cell for cell in cells if isinstance(cell, Cell)]


def test_the_first_trial_is_as_asked_for_and_the_others_are_in_the_space(world: World) -> None:
    _, cells = searched(world, "recadam", 9, lambda cell: 0.5)
    assert [cell.trial for cell in cells] == list(range(9)) and {c.seed for c in cells} == {SEED}
    first, *others = cells
    base = first.training.lr
    assert first.method.label == "recadam" and first.training.score == "validation"
    for cell in others:
        settings = cell.method.settings
        assert 0.1 * base <= settings["lr"] <= 10 * base
        assert 0.02 <= settings["t0_fraction"] <= 0.5
        assert 0.99e-3 <= settings["lr"] * settings["gamma"] < 1  # stable at its own rate
        assert cell.training == first.training
    assert len({json.dumps(cell.method.settings) for cell in cells}) == 9


def test_a_search_that_was_stopped_anywhere_is_the_same(world: World) -> None:
    """Trials known after any number of results are the first ones of the whole search; those
    behind the first eleven wait for all before them, and depend on them."""

    def score(cell: Cell) -> float | None:
        rate = cell.recipe.lr
        return None if cell.trial == 4 else 1 / (1 + abs(rate - 1e-3))

    whole, cells = searched(world, "l2sp", 14, score)
    hashes = [cell.hash for cell in cells]
    assert len(hashes) == 14 and not whole.searched
    for known in (0, 3, 10, 11, 12, 13):
        spec, some = searched(world, "l2sp", 14, score, known)
        assert [cell.hash for cell in some] == hashes[: max(11, known + 1)] and spec.searched
        assert not list(spec.cells())  # nothing is reported at settings that are not known yet
    _, other = searched(world, "l2sp", 14, lambda cell: cell.recipe.lr)
    assert [cell.hash for cell in other][:11] == hashes[:11]
    assert [cell.hash for cell in other][12:] != hashes[12:]


def test_the_best_is_chosen_the_first_of_equal_ones(world: World) -> None:
    scores = [0.5, 0.7, None, 0.9, 0.9]
    spec, cells = searched(world, "l2sp", 5, lambda cell: scores[cell.trial or 0])
    (cell,) = spec.cells()
    tuned = cell.method.tuned
    assert isinstance(tuned, Tuned) and (tuned.best, tuned.worst, tuned.failed) == (0.9, 0.5, 1)
    assert cell.method.settings == cells[3].method.settings and cell.label == "l2sp tuned"
    assert tuned.chosen == {n: cells[3].method.settings[n] for n in ("lr", "alpha")}
    assert cell.identity()["tuned"]["trials"] == 5 and cell.seed == 0 and cell.trial is None
    assert from_json(json.loads(json.dumps(to_json(cell)))) == cell
    spec, _ = searched(world, "l2sp", 3, lambda cell: None)
    (cell,) = spec.cells()
    assert cell.method.tuned is not None and cell.method.tuned.best is None
    assert "lr" not in cell.method.settings  # as asked for, where all have failed


def test_a_stack_is_searched_over_its_parts_and_one_rate(world: World) -> None:
    spec, cells = searched(world, "l2sp+child_tuning", 3, lambda cell: float(cell.trial or 0))
    settings = cells[2].method.settings
    rates = [part for part, its in settings.items() if "lr" in its]
    assert len(rates) == 1 and settings["l2sp"]["alpha"] != 0.01
    assert 0.1 <= settings["child_tuning"]["p"] <= 0.5 != settings["child_tuning"]["p"]
    (cell,) = spec.cells()
    assert cell.method.lr == cells[2].recipe.lr


def test_what_is_given_is_not_searched() -> None:
    (method,) = chosen(["l2sp"], {"l2sp": {"alpha": "0.01"}})
    given = {"l2sp": {"alpha": "0.01"}}
    names = [d.name for d in tuning_of([method], 2, 1.0, [], given).dimensions["l2sp"]]
    assert names == ["lr"]
    with pytest.raises(BenchError, match=r"--tune: nothing of l2sp is left to search"):
        tuning_of([method], 2, 1.0, ["l2sp.alpha"], given)
    names = [d.name for d in tuning_of([method], 2, 1.0, ["l2sp.alpha"], {}).dimensions["l2sp"]]
    assert names == ["alpha"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"search": "l2sp.alfa"}, r"search space 'l2sp.alfa'.*Did you mean 'l2sp.alpha'"),
        ({"search": "ewc.strength"}, "unknown search space 'ewc.strength'"),
        ({"tune": 0}, "tune = 0 is out of range: it must be >= 1"),
        ({"tune_share": 0}, r"tune_share = 0.0 is out of range"),
        ({"first_seed": SEED}, "seed 1000 is that of trials"),
        ({"tune": None, "search": "lr"}, "--search lr: say how often, as in --tune 8"),
        ({"settings": {"train": {"validation": 0.01}}}, "rte would have no validation rows"),
    ],
)
def test_mistakes(world: World, tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        planned(options(world, tmp_path, **others))
    assert not list(tmp_path.iterdir())


def test_a_run_without_validation_rows_gets_some_and_says_so(world: World, tmp_path: Path) -> None:
    job = planned(options(world, tmp_path, settings={"train": {"steps": 3}}))
    assert job.plan.spec.training[0].validation == 0.1
    assert any("10% of the training rows" in note for note in job.plan.notes)


def test_killed_in_the_midst_it_goes_on_to_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the third trial, gone on with on two workers: the same as on one, unstopped; the
    choice is that of a slow look through the files; nothing runs again."""
    whole = finished(planned(options(world, tmp_path / "whole")), quiet=True).results
    ran = executor._run
    count = [0]

    def stops(cell: AnyCell, *rest: Any) -> Any:
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        return ran(cell, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(executor, "_run", stops)
        with pytest.raises(KeyboardInterrupt):
            finished(planned(options(world, tmp_path / "killed")), quiet=True)
    job = planned(options(world, tmp_path / "killed", jobs=2))
    assert sum(map(is_trial, job.todo)) == len(job.todo) == 4
    again = finished(job, quiet=True).results
    assert [(r["hash"], r["scores"], r["status"]) for r in again] == [
        (r["hash"], r["scores"], r["status"]) for r in whole
    ]
    trials = {
        name: {r["hash"]: r["scores"] for r in Store(tmp_path / name).all()}
        for name in ("whole", "killed")
    }
    assert trials["whole"] == trials["killed"] and len(trials["whole"]) == 6 + 2
    assert not planned(options(world, tmp_path / "killed")).todo
    everything = Store(tmp_path / "whole").all()
    for result in whole:
        mine = [
            r
            for r in everything
            if "trial" in r["labels"] and r["cell"]["method"] == result["cell"]["method"]
        ]
        mine.sort(key=lambda r: int(r["labels"]["trial"]))
        scores = [r["scores"]["after"]["validation_accuracy"] for r in mine if r["scores"]]
        best = scores.index(max(scores))
        assert result["cell"]["settings"] == mine[best]["cell"]["settings"]
        assert result["tuning"]["best"] == max(scores)
        assert result["tuning"]["worst"] == min(scores)
        spent = [r["costs"]["method"] for r in mine if r["costs"]]
        assert result["tuning"]["seconds"] == pytest.approx(sum(spent))
    (board,) = boards(everything)
    text = terminal.render([board], width=200)
    assert all(isinstance(one, Searched) and one.cells for one in board.searches)
    said = status(state_of(tmp_path / "whole", {}), tmp_path / "whole")
    assert "finetune trials" in said and "lr=" not in said
    assert [row.method for row in board.tables[0].rows] == ["finetune tuned", "l2sp tuned"]
    assert "How settings were chosen" in text and f"seed {SEED}" in text and "alpha" in text


def test_what_more_trials_and_more_seeds_run(world: World, tmp_path: Path) -> None:
    out = tmp_path / "run"
    finished(planned(options(world, out, tune=2)), quiet=True)
    more = planned(options(world, out, tune=3))
    assert [cell.trial for cell in more.todo if isinstance(cell, Cell)] == [2, 2]
    seeds = planned(options(world, out, tune=2, seeds=2))
    assert [cell.seed for cell in seeds.todo if isinstance(cell, Cell)] == [1, 1]


def test_a_trial_may_have_a_share_of_the_steps(world: World, tmp_path: Path) -> None:
    job = planned(options(world, tmp_path, tune_share=0.5))
    assert {cell.steps for cell in job.todo if isinstance(cell, Cell)} == {2}
    assert {cell.training.steps for cell in job.todo if isinstance(cell, Cell)} == {2}
