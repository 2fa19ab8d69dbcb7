"""What papers report: rows of figures from `results/published`, each with who ran it, what it is a
statistic of, and how well it is known. What could not be read is empty there, and None here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cells.cell import THEN
from bench.core.errors import BenchError, unknown_name
from bench.core.settings import kinds, parse, setting
from bench.rows.files import read_toml
from bench.rows.task import TASKS
from bench.training.method import METHODS

FOLDER = Path(__file__).parents[2] / "results" / "published"
"""Where the repository keeps them; an installed package has none."""

Value = float | tuple[float, float] | None
"""A figure, a range of them, or None where it could not be read."""


@dataclass(frozen=True)
class _Words:
    """What a row says in single words and numbers."""

    name: str = setting("", "as the source calls it")
    method: str = setting("", "this suite's method; empty where it has none")
    model: str = setting("", "the beginning of the model's name; empty: not known")
    measure: str = setting(
        "score", "the figure", choices=("score", "gain", "relative gain", "forgetting")
    )
    statistic: str = setting("", "of the runs", choices=("mean", "median", "max", ""))
    runs: int = setting(0, "how many; 0: not known", low=0)
    split: str = setting("", "of the task", choices=("dev", "test", ""))
    selection: str = setting(
        "", "of what is reported of a run", choices=("last", "best-on-dev", "")
    )
    lab: str = setting("", "who ran it")
    source: str = setting("", "where it stands")
    known: str = setting("", "how well", choices=("seen", "secondary", "derived"))
    forget: str = setting("", "the forgetting task")
    caveat: str = setting("", "why it cannot be compared, whatever is run")
    spread_is: str = setting("", "what ± is; empty: not said", choices=("sd", ""))


_REQUIRED = (
    *("name", "method", "model", "statistic", "runs", "split", "selection"),
    *("lab", "source", "known"),
)
_TABLES = ("settings", "values", "averages", "spread")


@dataclass(frozen=True)
class Row(_Words):
    """One method's figures in a table, with all that they are figures of."""

    best_of: tuple[str, ...] = ()  # settings of which the best on the reported split is reported
    settings: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)  # by task
    averages: Mapping[str, Value] = field(default_factory=dict)  # by name
    spread: Mapping[str, Value] = field(default_factory=dict)  # by task or average


@dataclass(frozen=True)
class Published:
    """A file of rows."""

    about: str
    rows: tuple[Row, ...]
    metrics: Mapping[str, str]  # of tasks with several metrics; "" where that could not be read
    averages: Mapping[str, tuple[str, ...]]  # name -> the tasks that it is over


def published_in(name: str | None, preset: str) -> Published:
    """The figures that a preset is set against: a file of the repository's, or of ours.

    Raises:
        BenchError: none are named, or there is no such file.
    """
    if name is None:
        raise BenchError(f"{preset} names no published figures: of its source none could be read.")
    path = Path(name).expanduser() if name.endswith(".toml") else FOLDER / f"{name}.toml"
    known = sorted(each.stem for each in FOLDER.glob("*.toml"))
    if not path.is_file() and not known:
        raise BenchError(
            f"published figures are in the repository's results/published, not {path}."
        )
    if not path.is_file():
        raise unknown_name("published figures", name, known)
    return read_published(path)


def read_published(path: Path) -> Published:
    """The figures of a TOML file; results/published/README.md explains its keys.

    Raises:
        BenchError: it cannot be read, or says something that cannot be: an unknown key, method,
            task, metric or average, a word or figure out of its range, a row without its source.
    """
    whole = read_toml(path, "published figures")
    _check_keys(whole, ("about", "metrics", "averages", "elsewhere", "row"), str(path))
    averages = {
        name: _words(tasks, f"{path}: the average {name!r}")
        for name, tasks in _table(whole, "averages", path).items()
    }
    elsewhere = _table(whole, "elsewhere", path)
    known = {*TASKS.names(), *elsewhere}
    for name, tasks in averages.items():
        _check_tasks(tasks, known, f"{path}: the average {name!r}")
    metrics = _table(whole, "metrics", path)
    for task, metric in metrics.items():
        _check_tasks([task], TASKS.names(), f"{path}: metrics")
        if metric != "" and metric not in TASKS.get(task).metrics:
            where = f"metric of {task} in {path}"
            raise unknown_name(where, str(metric), TASKS.get(task).metrics)
    rows = whole.get("row", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BenchError(f"{path}: rows are tables that begin with [[row]].")
    return Published(
        about=str(whole.get("about", "")),
        rows=tuple(
            _row(row, known, averages, f"{path}: row {number}")
            for number, row in enumerate(rows, 1)
        ),
        metrics=metrics,
        averages=averages,
    )


def _row(
    given: dict[str, Any], known: Collection[str], averages: Collection[str], where: str
) -> Row:
    where = f"{where} ({given['name']})" if given.get("name") else where
    names = (*_Words.__dataclass_fields__, "best_of", *_TABLES)
    _check_keys(given, names, where)
    for name in _REQUIRED:
        if name not in given:
            raise BenchError(f'{where} has no {name}; what is not known is empty: {name} = "".')
    tables = {name: _table(given, name, where) for name in _TABLES}
    words = {k: v for k, v in given.items() if k not in (*_TABLES, "best_of")}
    read = parse(_Words, words, where)
    if not (read.lab and read.source):
        raise BenchError(f"{where}: a figure needs its lab and its source.")
    fields = kinds(METHODS.get(read.method).Config) if read.method else {}
    best_of = _words(given.get("best_of", []), f"{where}: best_of")
    for name in (*tables["settings"], *best_of):
        if name not in fields:
            raise unknown_name(f"setting of {read.method} in {where}", name, fields)
    for name in (*tables["values"], *tables["spread"], *tables["averages"]):
        if name in tables["averages"] and name not in averages:
            raise unknown_name(f"average of {where}", name, averages)
        if name not in averages:
            _check_tasks(name.split(THEN), known, where)
    if read.forget and read.forget != "mixed":
        _check_tasks([read.forget], known, where)
    figures: dict[str, Any] = {
        name: {key: _value(value, f"{where}: {key}") for key, value in tables[name].items()}
        for name in ("values", "averages", "spread")
    }
    plain = {name: getattr(read, name) for name in _Words.__dataclass_fields__}
    return Row(**plain, best_of=best_of, settings=tables["settings"], **figures)


def _value(given: Any, where: str) -> Value:
    """A number, two of them, or nothing."""
    if given == "":
        return None
    if _is_number(given):
        return float(given)
    if isinstance(given, list) and len(given) == 2 and all(map(_is_number, given)):
        low, high = map(float, given)
        if low <= high:
            return low, high
    raise BenchError(f'{where} = {given!r} is no number, no range [LOW, HIGH] and not empty ("").')


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _table(of: Mapping[str, Any], name: str, where: object) -> dict[str, Any]:
    found = of.get(name, {})
    if not isinstance(found, dict):
        raise BenchError(f"{where}: {name} is a table, not {found!r}.")
    return found


def _words(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise BenchError(f"{where} is a list of names, not {given!r}.")
    return tuple(given)


def _check_keys(given: Mapping[str, Any], names: Collection[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise unknown_name(f"key of {where}", name, names)


def _check_tasks(tasks: Collection[str], known: Collection[str], where: str) -> None:
    for task in tasks:
        if task not in known:
            listing = "See run_bench.py list tasks; others are named under [elsewhere]."
            raise unknown_name(f"task in {where},", str(task), known, listing)
