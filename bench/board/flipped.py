"""Which rows were answered otherwise after tuning: right before and wrong now, or the reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.board.grouping import MethodKey, method_of
from bench.cells.result import CellResult, Predictions
from bench.scoring.predictions import right


@dataclass
class Flip:
    """One dev row, and in how many seeds each method lost or gained it."""

    id: str
    gold: Any
    before: Any
    lost: dict[str, int] = field(default_factory=dict)  # method -> seeds
    gained: dict[str, int] = field(default_factory=dict)

    def order(self, seeds: Mapping[str, int]) -> tuple[float, float, str]:
        """What sorts rows: first those of which methods make most different things, by the share
        of `seeds` that lost less that which gained; of these the most often flipped."""
        net = [(self.gained.get(m, 0) - self.lost.get(m, 0)) / n for m, n in seeds.items()]
        often = sum(self.lost.values()) + sum(self.gained.values())
        return min(net) - max(net), -often, self.id


@dataclass(frozen=True)
class TaskFlips:
    """The rows of a task that flipped in any cell, in the order of `Flip.order`."""

    task: str
    title: str
    data_hash: str
    letters: bool  # whether choices were made by letter
    stages: tuple[str, ...]
    seeds: dict[str, int]  # method -> seeds whose answers are there
    rows: tuple[Flip, ...]


def flips_of(
    cells: Iterable[CellResult],
    names: Mapping[MethodKey, str],
    answers: Callable[[CellResult], Predictions | None],
) -> tuple[TaskFlips, ...]:
    """A record per task whose answers are right or wrong, and were kept."""
    groups: dict[str, list[tuple[CellResult, Predictions]]] = {}
    for cell in cells:
        if cell["flips"] is not None and (given := answers(cell)) is not None:
            groups.setdefault(cell["cell"]["task"], []).append((cell, given))
    return tuple(_of_task(found, names) for _, found in sorted(groups.items()))


def _of_task(
    found: list[tuple[CellResult, Predictions]], names: Mapping[MethodKey, str]
) -> TaskFlips:
    rows: dict[str, Flip] = {}
    seeds: dict[str, int] = {}
    for cell, given in found:
        name = names[method_of(cell)]
        seeds[name] = seeds.get(name, 0) + 1
        was, now = (right(given["gold"], given[when]) for when in ("before", "after"))
        for i in (i for i in range(len(was)) if was[i] != now[i]):
            id = given["id"][i]
            flip = rows.setdefault(id, Flip(id, given["gold"][i], given["before"][i]))
            into = flip.lost if was[i] else flip.gained
            into[name] = into.get(name, 0) + 1
    first = found[0][0]
    task = first["cell"]["task"]
    return TaskFlips(
        task=task,
        title=first["labels"].get("task", task),
        data_hash=first["cell"]["data"]["hash"],
        letters=first["cell"]["training"].get("choices") == "letter",
        stages=tuple(first["cell"].get("stages", ())),
        seeds=dict(sorted(seeds.items())),
        rows=tuple(sorted(rows.values(), key=lambda flip: flip.order(seeds))),
    )
