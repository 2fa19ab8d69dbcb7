"""What a row says beside the others': differences to finetune, and what leads a column."""

from __future__ import annotations

import pytest
from scipy import stats as scipy_stats

from bench.board.leaderboard import boards
from bench.board.measures import MEASURES
from bench.board.rows import Row
from bench.cells.result import CellResult
from bench.render import terminal, tidy
from tests.bench.board.test_leaderboard import SCORES, SEEDS, grid, row, sequence
from tests.helpers.made_up import result

RISES = {"finetune": (0.5, 0.75, 0.7), "ewc": (0.25, 0.3, 0.5), "lwf": (0.5, 0.5, 1.0)}


def rows(cells: list[CellResult]) -> dict[str, Row]:
    """The rows of the first table, by method."""
    return {each.method: each for each in boards(cells)[0].tables[0].rows}


def remembering() -> list[CellResult]:
    """grid(), each method with its own losses of retention."""
    cells = grid()
    for cell in cells:
        rise = RISES[cell["cell"]["method"]][cell["cell"]["seed"]]
        cell["retention"] = {"text": "sampled", "tokens": 1, "before": 1.0, "after": 1.0 + rise}
    return cells


def test_every_mean_is_set_against_finetune_on_the_same_seeds() -> None:
    found = rows(remembering())
    for name, values in RISES.items():
        estimate = found[name].values["retention"]
        assert estimate is not None and estimate.sd == pytest.approx(scipy_stats.tstd(values))
    for name in ("ewc", "lwf"):
        apart = found[name].against["retention"]
        test = scipy_stats.ttest_rel(RISES[name], RISES["finetune"])
        assert apart is not None and apart.p == pytest.approx(test.pvalue)
        low, high = test.confidence_interval(0.95)
        assert apart.difference.half == pytest.approx((high - low) / 2)
    assert set(found["finetune"].against.values()) == {None}
    assert found["ewc"].against["gain"] is found["ewc"].against["peak_mib"] is None
    assert found["ewc"].against["after"] is not None
    assert found["ewc"].against["after"].difference == found["ewc"].values["gain"]


def test_csv_holds_the_spread_and_the_difference_of_every_mean() -> None:
    (ewc,) = (
        each
        for each in tidy.records(boards(remembering()))
        if (each["task"], each["method"]) == ("cola", "ewc")
    )
    differences = [a - b for a, b in zip(RISES["ewc"], RISES["finetune"], strict=True)]
    assert ewc["retention_difference"] == pytest.approx(sum(differences) / 3)
    assert ewc["retention_sd"] == pytest.approx(scipy_stats.tstd(RISES["ewc"]))
    for name in ("forgotten", "lost", "gained", "drift", "seconds"):
        assert ewc[f"{name}_difference"] == ewc[f"{name}_half_width"] == 0.0
    assert "gain" in ewc and "after_difference" not in ewc


def test_the_best_and_what_is_not_told_from_it_lead() -> None:
    leading = {name: "after" in each.leading for name, each in rows(grid()).items()}
    apart = scipy_stats.ttest_rel(SCORES["lwf"]["cola"], SCORES["ewc"]["cola"]).pvalue
    from_reference = scipy_stats.ttest_rel(SCORES["lwf"]["cola"], SCORES["finetune"]["cola"]).pvalue
    assert leading == {"lwf": True, "ewc": apart >= 0.05, "finetune": from_reference >= 0.05}
    assert not leading["finetune"]
    lines = [line.split() for line in terminal.render(boards(grid())).splitlines()]
    shown = {line[0]: line[3] for line in reversed(lines) if line and line[0] in SCORES}
    assert {name for name, after in shown.items() if after.startswith("*")} == {
        name for name, leads in leading.items() if leads
    }


def test_less_is_better_of_losses_and_nothing_leads_on_one_seed() -> None:
    cells = remembering()
    for cell in cells:  # ewc forgets less on every seed, by the same amount
        loss = {"finetune": 0.5, "ewc": 0.25, "lwf": 0.75}[cell["cell"]["method"]]
        cell["retention"] = {"text": "s", "tokens": 1, "before": 1.0, "after": 1.0 + loss}
    assert {name: "retention" in each.leading for name, each in rows(cells).items()} == {
        "finetune": False, "ewc": True, "lwf": False,
    }  # fmt: skip
    assert not any("forgotten" in each.leading for each in rows(cells).values())
    assert not any(each.leading for each in rows([result(), result("ewc", after=0.9)]).values())


def test_a_perplexity_has_the_other_arrow() -> None:
    cells = []
    for method, value in (("finetune", 20.0), ("ewc", 10.0)):
        for seed in SEEDS:
            cell = result(method, "text", seed)
            scores = {"perplexity": value + seed}
            cell["scores"] = {"primary": "perplexity", "before": scores, "after": scores}
            cells.append(cell)
    assert rows(cells)["ewc"].leading and "after" in rows(cells)["ewc"].leading
    assert "after" not in rows(cells)["finetune"].leading
    heads = terminal.render(boards(cells)).split("text: perplexity")[1].splitlines()[1:4]
    assert "↓" in heads[1] and "↑" not in heads[1]
    assert "↑" in terminal.render(boards(grid()))
    assert "^ more is better, v less" in " ".join(terminal.render(boards(grid()), "ascii").split())


def test_a_sequence_is_set_against_finetune_too() -> None:
    matrix = [[0.1, 0.5], [0.6, 0.5], [0.2, 0.7]]
    cells = [sequence(method, seed, matrix) for method in ("finetune", "ewc") for seed in (0, 1)]
    apart = row(boards(cells)[0].tables[0], "ewc").against["forgetting"]
    assert apart is not None and apart.difference.mean == 0.0


def timed(seconds: dict[str, tuple[float, ...]]) -> list[CellResult]:
    return [
        result(method, seconds=each, seed=seed)
        for method, values in seconds.items()
        for seed, each in enumerate(values)
    ]


def test_a_ratio_of_times_has_the_interval_of_a_ratio_estimator() -> None:
    ours, theirs = (21.0, 30.0, 24.0, 33.0), (10.0, 14.0, 12.0, 16.0)
    found = rows(timed({"finetune": theirs, "ewc": ours}))
    ratio = found["ewc"].values["time_ratio"]
    share = sum(ours) / sum(theirs)
    rest = [a - share * b for a, b in zip(ours, theirs, strict=True)]
    low, high = scipy_stats.t.interval(0.95, 3, loc=0.0, scale=scipy_stats.sem(rest) / 13.0)
    assert ratio is not None and ratio.mean == pytest.approx(share)
    assert ratio.half == pytest.approx((high - low) / 2) and ratio.half > 0
    own = found["finetune"].values["time_ratio"]
    assert own is not None and (own.mean, own.half) == (1.0, None)


def test_a_reference_that_took_no_time_has_no_ratio() -> None:
    cells = timed({"finetune": (1.0, 2.0), "ewc": (1.0, 2.0)})
    for cell in cells:
        if cell["costs"] and cell["cell"]["method"] == "finetune":
            cell["costs"]["method"] = 0.0
    found = rows(cells)
    assert found["ewc"].values["time_ratio"] is None


def test_every_mean_over_seeds_has_a_column_for_its_interval() -> None:
    without = {"before", "compile_seconds", "above_model_mib", "peak_mib"}
    assert {m.name for m in MEASURES if not m.interval} == without
