"""The suite in Python: `compare` runs a grid, `load` opens what one has left."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.board.cell_table import NAMES, named, records
from bench.cells.gathering import gathered, whole_answers
from bench.cells.store import Store
from bench.planning.method_names import registered
from bench.planning.options import read
from bench.planning.plugins import add_task, load_builtin
from bench.rows.task import Task
from bench.running.finishing import finished
from bench.running.job import planned
from bench.training.method import Method

if TYPE_CHECKING:
    import pandas as pd

    from bench.board.leaderboard import Board
    from bench.cells.result import CellResult, Predictions


def compare(
    methods: str | Method | Sequence[str | Method] = (),
    tasks: str | Task | Sequence[str | Task] = (),
    *,
    progress: bool = True,
    **options: Any,
) -> Runs:
    """Run methods on tasks, over seeds, and return what came out. What is done already in the
    folder `out` is not run again.

    Methods are names as on the command line (`"lwf:ahead"`, `"ewc+lwf"`) or instances
    (`EWC(EWC.Config(strength=1.0))`), whose class is registered if it has a `name` and is not yet;
    tasks are names or instances of `Task`. All options of the command line are taken by the same
    words, with _ for - (`--as` is `kind`): `model`, `data`, `seeds`, `forget`, `lr`, `steps`, ...,
    and `settings={"lwf": {"interval": 8}}` for --set.

    `out` is the folder of the results; left out, it is results/local/MODEL under the current
    folder, as on the command line. With `progress=False` only failures are said. Cells run one at a
    time in this process, unless `jobs` says how many others run them; those know the methods of
    files (`plugin`) and packages, not what a notebook defines.

    No signal handler stays behind: as in any training, Ctrl-C (a notebook's stop) waits for the
    step and leaves a checkpoint, from which the same call goes on.

    Raises:
        BenchError: a mistake in what was asked for, in one line. A cell that fails raises nothing;
            it is in `failed` of what is returned.
    """
    load_builtin()
    asked = {"jobs": 1, "methods": methods, "tasks": tasks, **options}
    given = {name: _known(value) for name, value in asked.items()}
    job = planned(read(given))
    done = finished(job, quiet=not progress)
    return Runs(tuple(done.results), job.folder, left=tuple(map(str, done.left)))


def load(folder: str | Path, *others: str | Path) -> Runs:
    """Everything that runs have left in a folder, or in several; archives of `pack` are taken too.
    A file that is damaged is set aside, and named in `set_aside`, as is a cell that contradicts
    the same cell of a folder before it.

    Raises:
        BenchError: there is no such folder, or it holds no results.
    """
    first, *rest = (Path(place).expanduser() for place in (folder, *others))
    found = gathered([first, *rest])
    return Runs(tuple(found.results), first, tuple(found.set_aside), found.places)


@dataclass(frozen=True)
class Failure:
    """A cell that has no scores."""

    method: str  # as boards call it
    task: str
    seed: int
    status: str  # "failed", or "refused" where the method does not fit
    error: str
    log: Path | None  # the traceback, where there is one


@dataclass(frozen=True, repr=False)
class Runs:
    """The cells of a grid, and the folder where they are kept."""

    results: tuple[CellResult, ...]
    folder: Path  # of several the first
    set_aside: tuple[str, ...] = ()  # a line for each file that cannot be read
    places: Mapping[str, Path] = field(default_factory=dict)  # hash -> folder, of those in others
    left: tuple[str, ...] = ()  # the cells that `time_limit` left to the next call

    def __repr__(self) -> str:
        bad = f", {len(self.failed)} failed or refused" if self.failed else ""
        return f"<Runs: {len(self.results)} cells{bad}, in {self.folder}>"

    def frame(self) -> pd.DataFrame:
        """One row per cell, as `bench.board.cell_table.records` describes it: names are
        categories, all figures float64, missing ones NaN."""
        return _frame(records(self.results))

    def board(self) -> Boards:
        """What the command line prints."""
        from bench.board.leaderboard import boards

        said: list[str] = []
        found = boards(self.results, lambda r: whole_answers(self._store(r), r, said))
        return Boards(tuple(found), tuple(said))

    def page(self, data: str = "micro") -> str:
        """The boards as one HTML page, which needs no network; `data` is where the rows lie (as
        --data names it), for the texts of answers that changed. Their tasks must be known."""
        from bench.render.page import Shown, render
        from bench.rows.lookup import Lookup

        found = self.board()
        aside = [*self.set_aside, *found.set_aside]

        def answers(result: CellResult) -> Predictions | None:
            return whole_answers(self._store(result), result, aside)

        return render(Shown(self.folder.resolve().name, found.boards, answers, Lookup(data), aside))

    def curves(self) -> pd.DataFrame:
        """One row per logged point of training: the cell's names, `step`, `loss`, `lr`, and what
        the method logged."""
        return _frame(
            [{**named(result), **point} for result in self.results for point in result["curve"]]
        )

    def predictions(self) -> pd.DataFrame:
        """One row per dev example of each finished cell: the cell's names, `id`, `gold`, and the
        answers of the base model (`before`) and of the tuned one (`after`).

        Raises:
            BenchError: a file of answers is damaged.
        """
        import pandas as pd

        found = []
        for result in self.results:
            if rows := self._store(result).predictions(result):
                answers = zip(rows["id"], rows["gold"], rows["before"], rows["after"], strict=True)
                found += [(*named(result).values(), *each) for each in answers]
        names = [*(named(self.results[0]) if self.results else ())]
        table = pd.DataFrame(found, columns=[*names, "id", "gold", "before", "after"])
        return table.astype({name: "category" for name in names if name in NAMES})

    def _store(self, result: CellResult) -> Store:
        """Where a cell and its answers lie."""
        return Store(self.places.get(result["hash"], self.folder))

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The cells that failed or were refused, each with its reason."""
        return tuple(self._failure(result) for result in self.results if result["status"] != "done")

    def _failure(self, result: CellResult) -> Failure:
        cell, log = result["cell"], self._store(result).log(result)
        return Failure(
            result["labels"]["method"],
            cell["task"],
            cell["seed"],
            result["status"],
            str(result["error"]),
            log if log.is_file() else None,
        )


@dataclass(frozen=True, repr=False)
class Boards:
    """Boards to look at: text in a terminal, tables in a notebook."""

    boards: tuple[Board, ...]
    set_aside: tuple[str, ...] = ()  # a line for each file of answers that cannot be read

    def __repr__(self) -> str:
        from bench.render import terminal
        from bench.render.layout import window

        return terminal.render(self.boards, sys.stdout.encoding or "ascii", window())

    def _repr_html_(self) -> str:
        from bench.render import html

        return html.render(self.boards)

    def frame(self) -> pd.DataFrame:
        """The rows of all tables, as in leaderboard.csv."""
        from bench.render import tidy

        return _frame(tidy.records(self.boards))


def _known(value: Any) -> Any:
    """An option's value; tasks in it are registered and become their names, methods are, too."""
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    if isinstance(value, Task):
        return add_task(value)
    return registered(value) if isinstance(value, Method) else value


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of records: figures are float64 (NaN where one is missing), but for seeds; names and
    what else is words are categories. Names and measures, scores, settings, the recipe and where it
    was run stand in this order, whichever record has them."""
    import pandas as pd

    columns = dict.fromkeys(key for row in rows for key in row)
    return pd.DataFrame(
        {
            name: _column([row.get(name) for row in rows], name)
            for name in sorted(columns, key=_rank)
        }
    )


def _rank(column: str) -> int:
    """The place of a column's kind: 0 for what is no score, setting or part of the recipe."""
    kinds = ("before", "after", "settings", "tuned", "tuning", "train", "measured", "provenance")
    kind, dot, _ = column.partition(".")
    return 1 + kinds.index(kind) if dot and kind in kinds else 0


def _column(values: list[Any], name: str) -> pd.Series[Any]:
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    if name == "seed":
        return pd.Series(values, dtype="int64")
    if name in NAMES or str in kinds:
        return pd.Series(values, dtype="object").astype("category")
    return pd.Series(values, dtype="boolean" if bool in kinds else "float64")
