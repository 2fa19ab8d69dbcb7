"""What a dry run says a grid will take, against what it then takes; and in bench.render.memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.memory import IMPORTED_MIB, Footprint, training_mib
from bench.planning.options import read
from bench.planning.plan import Forecast
from bench.render.plan import forecast_text
from bench.running import forecast
from bench.running.estimates import ALIKE, HERE, PROBED
from bench.running.finishing import finished
from bench.running.forecast import ARITHMETIC, forecasts
from bench.running.job import Job, planned
from bench.running.room import here
from bench.selfcheck.world import World
from tests.conftest import Run

FACTOR = 3.0  # of the time of cells that take a fraction of a second


def job_of(world: World, folder: Path, **more: object) -> Job:
    given = {"methods": ["l2sp"], "tasks": ["cola"], "model": [str(world.models["causal"])]}
    given |= {"data": str(world.data), "retention": str(world.text), "jobs": 1, "out": folder}
    small = {"train": {"retention_tokens": 256, "forget_rows": 8}}
    return planned(read({"settings": small, "seeds": 1, "steps": 40, **given, **more}))


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_dry_run_is_held_against_the_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a probe, by shorter cells, and by cells of another seed."""
    folder, told = tmp_path / "run", list[str]()
    monkeypatch.setattr(forecast, "_SAY_SECONDS", 1e9)
    before = forecasts(job_of(world, folder), probe=False, tell=told.append, place=here())
    assert [(one.seconds, one.memory_by) for one in before] == [(None, ARITHMETIC)] * 2
    probed = forecasts(job_of(world, folder), probe=True, tell=told.append, place=here())
    assert told == [f"probe: 6 steps of {name} x cola x seed 0" for name in ("finetune", "l2sp")]
    assert not folder.exists()
    monkeypatch.setattr(forecast, "_SAY_SECONDS", -1.0)
    forecasts(job_of(world, folder), False, told.append, here())
    assert told[2:] == [
        "memory by arithmetic: 0 of 2 methods, then finetune",
        "memory by arithmetic: 1 of 2 methods, then l2sp",
    ]
    results = finished(job_of(world, folder), quiet=True).results
    taken = {r["labels"]["method"]: r["costs"] for r in results}
    longer = forecasts(job_of(world, folder, steps=80), False, told.append, here())
    others = forecasts(job_of(world, folder, first_seed=1), False, told.append, here())
    for found, sure in ((probed, PROBED), (longer, ALIKE), (others, HERE)):
        assert [(one.method, one.cells, one.time_by) for one in found] == [
            ("finetune", 1, sure),
            ("l2sp", 1, sure),
        ]
        for one in found:
            costs = taken[one.method]
            assert costs is not None and one.seconds is not None and one.memory_mib is not None
            assert costs["peak_memory_mib"] is not None
            longest = 2 * costs["total"] if sure == ALIKE else costs["total"]
            assert longest / FACTOR / 2 < one.seconds < longest * FACTOR
            assert 0.5 < one.memory_mib / costs["peak_memory_mib"] < 2


def test_memory_by_arithmetic() -> None:
    """By hand: 12 layers of 768 without words have 12 · 12 · 768² parameters."""
    count, hidden = 12 * 12 * 768**2, 768
    weights = count * 4 * 4 / 2**20
    assert training_mib(count, hidden, 4, 0, 1, on_gpu=True) == pytest.approx(weights)
    assert training_mib(count, 0, 4, 8, 128, on_gpu=False) == pytest.approx(weights + IMPORTED_MIB)
    layer = 17 * 768 * 128 + 2.5 * 12 * 128**2  # values of a row of 128 tokens, 12 heads
    kept = 4 * 8 * 12 * layer / 2**20
    assert training_mib(count, hidden, 4, 8, 128, on_gpu=True) == pytest.approx(weights + kept)


def test_what_is_printed_of_it(run: Run, world: World, tmp_path: Path) -> None:
    known = Forecast("lwf", 6, 90.0, 700.0, HERE, HERE)
    sizes = dict.fromkeys(("weights", "gradients", "moments", "theta0", "passes"), 2.0**20)
    none = dict.fromkeys(("importance", "star", "teacher", "process"), 0.0)
    held = Footprint(at="train", **sizes, **none, host=2.0**30, operations=3e15)
    ewc = Forecast("ewc", 6, None, 512.0, "", ARITHMETIC, held)
    text = forecast_text([known, ewc], 2, ["ewc on m (cola): it takes more"], 80)
    assert "ewc     train        1       1      1   1       1    5  1024      3" in text
    assert "θ*" not in text and "no room: ewc on m (cola): it takes more" in text
    assert "12 cells, more than 1:30 one after the other, about 45 s with --jobs 2" in text
    assert all(word in text for word in ("lwf", "1:30", "700", "measured here", "arithmetic", "?"))
    assert max(map(len, text.splitlines())) <= 80 and "columns" not in text
    narrow = " ".join(forecast_text([ewc], 1, (), 50).split())
    assert "no room in 50 columns for passes, host, PFLOP; a wider window" in narrow
    assert forecast_text([], 1) == "nothing is to run"
    code, _, err = run("--methods", "l2sp", "--tasks", "cola", "--probe")
    assert (code, err) == (2, "run_bench.py: --probe is for --dry-run.\n")
