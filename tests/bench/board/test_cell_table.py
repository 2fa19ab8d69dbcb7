"""Records of cells, against figures that were worked out by hand."""

from __future__ import annotations

from typing import Any

from bench.board.cell_table import records
from tests.helpers.made_up import result


def found(*cells: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {(each["variant"], each["task"], each["seed"]): each for each in records(cells)}


def test_what_is_set_against_the_reference_is_so_seed_by_seed() -> None:
    table = found(
        result(seed=0, after=0.5, seconds=10.0),
        result(seed=1, after=0.25, seconds=20.0),
        result("ewc", seed=0, after=0.75, seconds=15.0),
        result("ewc", seed=1, after=0.125, seconds=10.0),
        result("ewc", seed=2, after=0.5),
    )
    gains = {key: each["gain"] for key, each in table.items()}
    assert gains == {
        ("finetune", "cola", 0): None,
        ("finetune", "cola", 1): None,
        ("ewc", "cola", 0): 0.25,
        ("ewc", "cola", 1): -0.125,
        ("ewc", "cola", 2): None,  # no reference
    }
    ratios = [each["time_ratio"] for each in table.values()]
    assert ratios == [1.5, 0.5, None, 1.0, 1.0]  # by method and seed
    one = table["ewc", "cola", 0]
    assert (one["before"], one["after"], one["retention"]) == (0.25, 0.75, 0.125)
    assert (one["forgotten"], one["drift"], one["seconds"]) == (-0.25, 0.03125, 15.0)
    assert one["after.matthews_correlation"] == 0.75


def test_another_recipe_task_or_model_is_no_reference() -> None:
    other = {"lr": 0.1, "steps": 100, "max_train": None}
    table = found(
        result(after=0.5),
        result("ewc", after=0.75, training=other),
        result("l2sp", "rte", after=0.75),
        result("lwf", after=0.75, model={"kind": "causal", "hash": "another"}),
    )
    assert [each["gain"] for each in table.values()] == [None, None, None, None]
    assert table["ewc", "cola", 0]["train.lr"] == 0.1


def test_a_cell_without_scores_has_its_names_and_settings_alone() -> None:
    nested = {"ewc": {"strength": 0.5}, "bss": {"k": 1}}
    failed = result("bss+ewc", error="the loss is nan", settings=nested)
    (one,) = records([failed])
    assert (one["status"], one["method"], one["metric"]) == ("failed", "bss+ewc", None)
    assert (one["settings.ewc.strength"], one["settings.bss.k"]) == (0.5, 1)
    assert one["after"] is one["gain"] is one["drift"] is one["seconds"] is None
    assert "after.matthews_correlation" not in one
