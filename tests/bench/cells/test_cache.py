"""Work that cells share: computed once, and charged to all at its first price."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cells import cache as module
from bench.cells.cache import Cache


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless somebody sets it."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_a_value_is_computed_once_and_its_price_kept(tmp_path: Path, clock: list[float]) -> None:
    def slow() -> list[int]:
        clock[0] += 3.0
        return [1, 2]

    first, second = Cache(tmp_path), Cache(tmp_path)
    assert first.json("text", {"seed": 0}, slow) == [1, 2]
    assert second.json("text", {"seed": 0}, slow) == [1, 2]
    assert (clock, first.saved_seconds, second.saved_seconds) == ([3.0], 0.0, 3.0)
    second.json("text", {"seed": 1}, slow)
    second.json("other", {"seed": 0}, slow)
    assert clock == [9.0]


def test_a_price_holds_what_others_had_computed_for_it(tmp_path: Path, clock: list[float]) -> None:
    def base() -> int:
        clock[0] += 5.0
        return 1

    def above(cache: Cache) -> int:
        clock[0] += 2.0
        return cache.json("base", 0, base) + 1

    Cache(tmp_path).json("base", 0, base)
    cache = Cache(tmp_path)
    assert cache.json("above", 0, lambda: above(cache)) == 2
    (price,) = tmp_path.glob("above-*.seconds")
    assert json.loads(price.read_text())["seconds"] == 7.0


def test_compilation_is_in_no_price(tmp_path: Path, clock: list[float]) -> None:
    cache = Cache(tmp_path)

    def compiled() -> int:
        clock[0] += 10.0
        cache.compile_seconds += 8.0
        return 1

    for seed in (0, 1):  # and the first one's compilation is in the second's price no more
        cache.json("text", seed, compiled)
    prices = [json.loads(path.read_text()) for path in tmp_path.glob("*.seconds")]
    assert [price["seconds"] for price in prices] == [2.0, 2.0]


def test_another_version_of_the_suite_computes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cache(tmp_path).json("text", 0, lambda: "old")
    monkeypatch.setattr(module, "SCORES_VERSION", "99")
    assert Cache(tmp_path).json("text", 0, lambda: "new") == "new"


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    import torch

    value = torch.arange(6.0).reshape(2, 3).t()  # not contiguous
    for _ in range(2):
        found = Cache(tmp_path).tensors("fisher", 0, lambda: {"w": value})
        assert torch.equal(found["w"], value)


_DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "cut": lambda entry, price: os.truncate(entry, 5),
    "empty": lambda entry, price: os.truncate(entry, 0),
    "one bit": lambda entry, price: entry.write_bytes(entry.read_bytes()[:-1] + b"\x5c"),
    "a cut price": lambda entry, price: os.truncate(price, 3),
    "a price that is no number": lambda entry, price: price.write_text('{"seconds": "x"}'),
    "a price without a digest": lambda entry, price: price.write_text("3.0"),
    "an endless price": lambda entry, price: price.write_text(
        price.read_text().replace("0.0", "Infinity")
    ),
}


@pytest.mark.parametrize("damage", _DAMAGES)
@pytest.mark.parametrize("kind", ["json", "tensors"])
@pytest.mark.usefixtures("clock")
def test_a_damaged_entry_is_named_and_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, damage: str
) -> None:
    import torch

    calls: list[int] = []

    def compute() -> dict[str, torch.Tensor] | dict[str, int]:
        calls.append(1)
        return {"a": torch.ones(2)} if kind == "tensors" else {"a": 1}

    def find() -> dict[str, torch.Tensor] | dict[str, int]:
        found: dict[str, torch.Tensor] | dict[str, int] = getattr(Cache(tmp_path), kind)(
            "some", 0, compute
        )
        return found

    find()
    (entry,) = (path for path in tmp_path.iterdir() if path.suffix != ".seconds")
    _DAMAGES[damage](entry, entry.with_suffix(".seconds"))
    for _ in range(2):
        assert torch.as_tensor(find()["a"]).flatten()[0] == 1
        assert len(calls) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"{entry} is damaged (") and said.endswith(") and computed again\n")


@pytest.mark.parametrize("in_step", [False, True])
@pytest.mark.usefixtures("clock")
def test_an_entry_whose_price_is_not_written_yet_is_none_and_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_step: bool
) -> None:
    """Of two processes in step one looks while the other writes."""
    Cache(tmp_path).json("some", 0, lambda: 1)
    (price,) = tmp_path.glob("*.seconds")
    price.unlink()
    assert Cache(tmp_path, in_step).json("some", 0, lambda: 2) == 2
    assert capsys.readouterr().err == ""


_COMPUTES = """\
import sys, time
from pathlib import Path
from bench.cells.cache import Cache

folder = Path(sys.argv[1])
(folder / sys.argv[2]).touch()
while len(list(folder.glob("started*"))) < 2:
    time.sleep(0.01)

def slow():
    with (folder / "calls").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    return 7

cache = Cache(folder / "cache")
start = time.perf_counter()
assert cache.json("text", 0, slow) == 7
took = time.perf_counter() - start
print(took + cache.saved_seconds)
"""


def test_two_processes_never_compute_one(tmp_path: Path) -> None:
    """Both are charged what it costs, and not their wait."""
    two = [
        subprocess.Popen(
            [sys.executable, "-c", _COMPUTES, str(tmp_path), f"started{number}"],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]
    prices = [float(process.communicate(timeout=60)[0]) for process in two]
    assert (tmp_path / "calls").read_text() == "x"
    assert all(0.5 <= price < 0.9 for price in prices)
    assert not list((tmp_path / "cache").glob("*.lock"))
