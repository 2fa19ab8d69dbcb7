"""Which cell results belong together: on one board, in one table, in one row of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from bench.cells import measured
from bench.cells.measured import On, at, held, merged, without
from bench.cells.result import CellResult
from bench.core.errors import BenchError
from bench.core.settings import typed

# What may differ inside a board. All else that a cell is made of must be equal, also what a later
# version adds to it: forgetting to list a new part here splits boards, it never mixes them.
OWN_PARTS = frozenset(
    {"method", "settings", "tuned", "versions", "text", "task", "task_hash", "stages", "data"}
) | {"forget", "seed"}


class MethodKey(NamedTuple):
    """A method with its settings, or the search for them (canonical JSON), the text it reads and
    the versions of its code among them: one row of a table."""

    method: str
    settings: str


class Variant(NamedTuple):
    """A task as it was set: its definition, its rows, and what is to be forgotten."""

    task: str
    definition: str  # hash
    data: str  # hash of its rows
    forget: str  # canonical JSON

    @property
    def forgets(self) -> tuple[str, ...]:
        """The forgetting tasks that the method reads; none where it reads none."""
        return tuple(json.loads(self.forget)["tasks"])


def shared_part(result: CellResult) -> dict[str, Any]:
    """What a cell has in common with all others of its board."""
    return {k: v for k, v in result["cell"].items() if k not in OWN_PARTS}


def distinct(results: Iterable[CellResult]) -> list[CellResult]:
    """The results by hash, one per cell, a finished one rather than a failed one; with all that was
    measured of it."""
    chosen: dict[str, CellResult] = {}
    for result in sorted(results, key=lambda r: (r["hash"], r["status"], canonical(r["costs"]))):
        first = chosen.setdefault(result["hash"], result)  # "done" sorts before "failed"
        if result["status"] == "done" and first is not result:
            try:
                chosen[result["hash"]] = merged(first, result)
            except BenchError as error:
                text = f"cell {result['hash']} has two results with different scores"
                raise BenchError(f"{text}: {error}.") from None
    return list(chosen.values())


def by_dev_rows(results: Iterable[CellResult]) -> list[list[CellResult]]:
    """The results with equal shared parts and equal dev rows: a finished one in a group for each
    number of rows that it was scored on, one without scores in all groups of its shared part. Of
    groups of the same cells, that of the last scores is left."""
    kin: dict[str, list[CellResult]] = {}
    for result in results:
        kin.setdefault(canonical(shared_part(result)), []).append(result)
    return [group for alike in kin.values() for group in _by_dev_rows(alike)]


def _by_dev_rows(results: Sequence[CellResult]) -> list[list[CellResult]]:
    done = [result for result in results if result["status"] == "done"]
    others = [result for result in results if result["status"] != "done"]
    if not done:
        return [others]
    groups: dict[str, dict[str, CellResult]] = {}
    last = Counter[str](canonical(result["measured"]["scores"]) for result in done)
    for result in done:
        for view in measured.by_dev_rows(result):
            on = canonical(view["measured"]["scores"])
            groups.setdefault(on, {})[result["hash"]] = view
    kept: list[str] = []
    for name in sorted(groups, key=lambda name: (-len(groups[name]), -last[name], name)):
        if not any(groups[name].keys() <= groups[other].keys() for other in kept):
            kept.append(name)
    return [[*groups[name].values(), *others] for name in kept]


def scored_on(results: Iterable[CellResult]) -> On:
    """The dev rows of a group's scores; nothing where no cell has any."""
    return next((r["measured"]["scores"] for r in results if "scores" in r["measured"]), {})


def on_equal_terms(
    results: Sequence[CellResult], part: str, fits: Callable[[On], bool] = lambda on: True
) -> list[CellResult]:
    """The results with one measurement of a part at their tops, that which most of them hold, of
    equals which more have last; those that lack it without any. Only what `fits` is looked at."""
    found = [[canonical(on) for on in held(result, part) if fits(on)] for result in results]
    counts = Counter(name for names in found for name in names)
    last = Counter(names[0] for names in found if names)
    if not counts:
        return [without(result, part) for result in results]
    on = json.loads(min(counts, key=lambda name: (-counts[name], -last[name], name)))
    return [at(result, part, on) or without(result, part) for result in results]


def sources_of(results: Sequence[CellResult]) -> dict[Variant, str]:
    """Each task variant -> the name of the data that it came from."""
    return dict(sorted((variant_of(result), result["labels"]["data"]) for result in results))


def families(sources: Mapping[Variant, str]) -> list[frozenset[Variant]]:
    """The largest sets of task variants that make one board, each task in one variant only.

    Tasks belong together that forget the same tasks (`--forget rte`), or each all the others of one
    set of tasks ("mixed"). A variant that fits both stands on two boards.
    """
    kin: dict[tuple[str, tuple[str, ...]], set[Variant]] = {}
    reading = {variant for variant in sources if variant.forgets}
    for variant in reading:
        forget = set(variant.forgets)
        kin.setdefault(("same", tuple(sorted(forget))), set()).add(variant)
        if variant.task not in forget:
            kin.setdefault(("mixed", tuple(sorted({*forget, variant.task}))), set()).add(variant)
    # a task that only methods without a forgetting task learned stands on every board
    alone = {one for one in sources if not any(one[:3] == other[:3] for other in reading)}
    groups = [
        family | {one for one in alone if one.task not in {other.task for other in family}}
        for family in kin.values()
    ]
    families = {one for group in groups or [alone] for one in _without_conflict(group, sources)}
    return [one for one in families if not any(one < other for other in families)]


def belongs(result: CellResult, family: Set[Variant]) -> bool:
    """Whether a result stands on the board of `family`: one that reads no forgetting task does,
    whatever the others of its task forget."""
    mine = variant_of(result)
    return mine in family or (not mine.forgets and any(mine[:3] == one[:3] for one in family))


def _without_conflict(
    family: set[Variant], sources: Mapping[Variant, str]
) -> list[frozenset[Variant]]:
    """`family`, divided where a task stands in it twice: by data, else one variant by itself."""
    counts = Counter(variant.task for variant in family)
    twice = {variant for variant in family if counts[variant.task] > 1}
    if not twice:
        return [frozenset(family)]
    names = {sources[variant] for variant in family}
    if len(names) == 1:
        settled = [frozenset(family - twice)] if family - twice else []
        return settled + [frozenset({variant}) for variant in twice]
    parts = ({variant for variant in family if sources[variant] == name} for name in names)
    return [one for part in parts for one in _without_conflict(part, sources)]


def method_names(results: Sequence[CellResult]) -> dict[MethodKey, str]:
    """What each row is called. Equal labels of different settings get what differs added."""
    labels: dict[MethodKey, str] = {}
    for result in sorted(results, key=lambda r: r["labels"]["method"]):
        labels.setdefault(method_of(result), result["labels"]["method"])
    names: dict[MethodKey, str] = {}
    for key, label in sorted(labels.items()):
        twins = [json.loads(other.settings) for other, its in labels.items() if its == label]
        mine = json.loads(key.settings)
        differ = [k for k in mine if any(twin.get(k) != mine[k] for twin in twins)]
        names[key] = label + "".join(f" {k}={typed(mine[k])}" for k in differ)
    return names


def method_of(result: CellResult) -> MethodKey:
    """Its method; tuned cells are of one, whatever was chosen on each task."""
    cell = result["cell"]
    settings = dict(cell.get("tuned", cell["settings"]))
    if text := cell.get("text"):
        settings["reads"] = text[:8]
    if versions := cell.get("versions"):
        settings["version"] = ", ".join(f"{name} {each}" for name, each in versions.items())
    return MethodKey(cell["method"], canonical(settings))


def variant_of(result: CellResult) -> Variant:
    cell = result["cell"]
    forget = canonical(cell["forget"])
    return Variant(cell["task"], cell["task_hash"], cell["data"]["hash"], forget)


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
