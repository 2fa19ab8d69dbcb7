"""What is measured later stands beside the training, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cells.measured import PARTS, asked, at, held, merged, missing, with_part, without
from bench.cells.result import CellResult, Measured
from bench.core.errors import BenchError
from bench.selfcheck.world import World, cells_of, plan_for
from tests.helpers.made_up import result

FULL: dict[str, Any] = {"rows": None}
TEXT = {"text": "a" * 64, "tokens": 64}
LOSS = {"text": "a.txt", "tokens": 64, "before": 1.0, "after": 3.0}


def with_text(one: CellResult) -> CellResult:
    """Scored on another text since."""
    return with_part(one, "retention", TEXT, {"retention": LOSS})


def test_every_part_has_its_keys() -> None:
    assert PARTS.keys() == Measured.__annotations__.keys()
    assert {name for names in PARTS.values() for name in names} <= CellResult.__annotations__.keys()


def test_the_last_measurement_is_at_the_top_and_the_first_is_kept() -> None:
    one = result()
    both = with_text(one)
    assert (both["retention"], both["measured"]["retention"]) == (LOSS, TEXT)
    assert both["scores"] == one["scores"] and both["costs"] == one["costs"]
    (first, _) = reversed(held(both, "retention"))
    again = at(both, "retention", first)
    assert again is not None and again["retention"] == one["retention"]
    assert at(again, "retention", TEXT) == both, "there and back"
    assert at(one, "retention", TEXT) is None
    assert one == result(), "nothing was changed in place"
    bare = without(both, "retention")
    assert bare["retention"] is None and bare["scores"] == one["scores"]


def test_what_is_missing() -> None:
    wanted = {"scores": FULL, "retention": TEXT, "path": {"points": 5}}
    assert missing(result(), wanted) == ["retention", "path"]
    assert missing(with_text(result()), wanted) == ["path"]


def test_merging_takes_what_is_new_and_keeps_the_rest() -> None:
    old, new = result(seconds=1.0), with_text(result(seconds=9.0))
    found = merged(old, new)
    assert (found["costs"], found["retention"]) == (old["costs"], LOSS)
    assert merged(found, new) == merged(new, new) | {"costs": old["costs"]}
    assert merged(old, result(seconds=9.0)) == old
    other = result(after=0.75)
    with pytest.raises(BenchError, match="other scores"):
        merged(old, other)
    other["measured"] = {"scores": {"rows": 8}}
    assert [on["rows"] for on in held(merged(old, other), "scores")] == [8, None]


def test_what_is_asked(world: World) -> None:
    words = {"retain_tasks": ("rte", "sst2"), "path": 3, "retention": str(world.text)}
    plan = plan_for(["finetune"], ["rte", "rte>cola"], "micro", "micro", **words)
    single, sequence = map(asked, plan.spec.cells())
    assert single["retain_tasks"]["tasks"].keys() == {"sst2"}, "what is learned is no other task"
    assert single["path"] == {
        "points": 3,
        **{part: single[part] for part in ("scores", "retention", "retain_tasks")},
    }
    assert sequence.keys() == {"scores", "retention", "retain_tasks"}
    encoder = world.plan("finetune", "encoder")
    assert asked(cells_of(encoder)[0]).keys() == {"scores", "retention", "facts"}
