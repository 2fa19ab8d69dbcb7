"""Answers to GLUE's test rows, and the zip file of them that its server takes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from bench.cells.reading import parsed
from bench.core.errors import BenchError, unknown_name
from bench.core.files import atomic_write_bytes, atomic_write_text
from bench.core.shapes import check_of
from bench.rows.source import load_rows, source_named
from bench.rows.task import Row, Task

if TYPE_CHECKING:
    from bench.cells.cell import AnyCell, Cell

FOLDER = "submission"
_SPLIT = "test"


class Answers(TypedDict):
    """A cell's answers to its test rows, as `submission/HASH.json`."""

    method: str
    seed: int
    task: str
    sheets: dict[str, list[str]]  # a sheet's name -> answers, in the order of its rows


@dataclass(frozen=True)
class Sheet:
    """One file of the zip, and where the rows lie that it answers."""

    name: str  # in the zip
    rows: int
    split: str = "test"  # on the hub; in the classic layout the file of this name
    diagnostic: bool = False  # whether they are not the task's own but the diagnostic set's


# What gluebenchmark.com asks for; the diagnostic set is answered by the model of MNLI.
SHEETS = {
    "cola": (Sheet("CoLA.tsv", 1063),),
    "sst2": (Sheet("SST-2.tsv", 1821),),
    "mrpc": (Sheet("MRPC.tsv", 1725),),
    "stsb": (Sheet("STS-B.tsv", 1379),),
    "qqp": (Sheet("QQP.tsv", 390_965),),
    "mnli": (
        Sheet("MNLI-m.tsv", 9796, "test_matched"),
        Sheet("MNLI-mm.tsv", 9847, "test_mismatched"),
        Sheet("AX.tsv", 1104, diagnostic=True),
    ),
    "qnli": (Sheet("QNLI.tsv", 5463),),
    "rte": (Sheet("RTE.tsv", 3000),),
    "wnli": (Sheet("WNLI.tsv", 146),),
}


def test_rows(task: Task, data: str) -> dict[str, list[Row]]:
    """The unlabelled rows of each of the task's sheets, by its name; none for other tasks.

    Raises:
        BenchError: there are none, they are malformed or not of the server's number.
    """
    found = {}
    for sheet in SHEETS.get(task.name, ()):
        if source_named(data).generated:
            raise BenchError(f"--submission: {data} has no test rows: choose another --data.")
        try:
            rows = found[sheet.name] = load_rows(_unlabelled(task, sheet), data, _SPLIT)
        except BenchError as error:
            raise BenchError(f"--submission, {sheet.name}: {error}") from None
        if len(rows) != sheet.rows:
            raise BenchError(
                f"--submission, {sheet.name}: {data} has {len(rows)} test rows; the server wants "
                f"{sheet.rows}."
            )
    return found


def _unlabelled(task: Task, sheet: Sheet) -> Task:
    """The task whose one split are the sheet's rows."""
    classic, hub = task.classic, task.hub
    assert classic is not None and hub is not None, "as every task of the server"
    files = replace(
        classic,
        folder="diagnostic" if sheet.diagnostic else classic.folder,
        layouts=({_SPLIT: "diagnostic.tsv" if sheet.diagnostic else f"{sheet.split}.tsv"},),
        header=True,  # even where the other files have none (CoLA)
        columns={c: classic.columns[c] if classic.header else c for c in task.columns},
        skip_short=False,
    )
    config = "ax" if sheet.diagnostic else hub.config
    columns = {c: hub.columns[c] for c in task.columns}
    saved = replace(hub, config=config, splits={_SPLIT: sheet.split}, columns=columns)
    # a task with a target has no labels to be read
    return replace(task, name=config, classic=files, hub=saved, target=task.columns[0])


def spelled(task: Task, answers: Sequence[Any]) -> list[str]:
    """Predictions (`bench.scoring.predictions.predict`) as the server reads them."""
    if task.kind == "regression":
        low, high = float(task.labels[0]), float(task.labels[-1])
        return [f"{min(max(answer, low), high):.3f}" for answer in answers]
    assert task.classic is not None
    return [str(task.classic.label_spellings[answer]) for answer in answers]


def path_of(folder: Path, cell: AnyCell) -> Path:
    """Where the answers of a cell to its test rows lie in a run's folder."""
    return folder / FOLDER / f"{cell.hash[:24]}.json"


def lacks_answers(folder: Path, cell: AnyCell) -> bool:
    """Whether a cell has test rows and its answers to them are not there."""
    return cell.name in SHEETS and not path_of(folder, cell).is_file()


def keep(folder: Path, cell: Cell, answers: dict[str, list[str]]) -> None:
    """Write a cell's answers, by sheet."""
    document = Answers(method=cell.label, seed=cell.seed, task=cell.name, sheets=answers)
    atomic_write_text(path_of(folder, cell), json.dumps(document))


def _answers(path: Path) -> Answers:
    """What `keep` has written; raises BenchError where that is not what is there."""
    document = parsed(path)
    problem = check_of(Answers)(document)
    names = [sheet.name for group in SHEETS.values() for sheet in group]
    if not problem and (unknown := document["sheets"].keys() - set(names)):
        problem = f".sheets must be of the server's, not {min(unknown)!r}"
    if problem:
        raise BenchError(f"{path}: {problem.lstrip('. ')}.")
    return cast(Answers, document)


def write_zip(folder: Path, method: str, seed: int, out: Path) -> tuple[list[str], list[str]]:
    """The zip of one method and seed of a run's folder: (files in it, files that it lacks).

    Raises:
        BenchError: the run has no such answers, or two of them for one task, or a file is damaged.
    """
    found = [_answers(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    if not found:
        raise BenchError(f"{folder} holds no answers to test rows: run it with --submission.")
    if method not in (methods := {document["method"] for document in found}):
        raise unknown_name(f"method in {folder}", method, methods)
    chosen = [d for d in found if (d["method"], d["seed"]) == (method, seed)]
    if not chosen:
        seeds = sorted({d["seed"] for d in found if d["method"] == method})
        raise BenchError(f"{method} has no answers for seed {seed}; it has {seeds}.")
    sheets: dict[str, list[str]] = {}
    for document in chosen:
        if twice := sheets.keys() & document["sheets"].keys():
            raise BenchError(f"{folder} holds {min(twice)} twice: from two recipes or models.")
        sheets |= document["sheets"]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, answers in sheets.items():
            lines = ["index\tprediction", *(f"{i}\t{a}" for i, a in enumerate(answers))]
            archive.writestr(name, "\n".join(lines) + "\n")
    atomic_write_bytes(out, buffer.getvalue())
    wanted = [sheet.name for group in SHEETS.values() for sheet in group]
    return list(sheets), [name for name in wanted if name not in sheets]
