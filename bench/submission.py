"""Answers to GLUE's test rows, and the zip file of them that its server takes."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, unknown_name
from bench.store import atomic_write_bytes, atomic_write_text
from tasks.base import Row, Task
from tasks.files import records

if TYPE_CHECKING:
    from bench.spec import AnyCell, Cell

FOLDER = "submission"


@dataclass(frozen=True)
class Sheet:
    """One file of the zip, and the classic file whose rows it answers."""

    name: str  # in the zip
    source: str  # below the folder with GLUE's tasks
    rows: int


# What gluebenchmark.com asks for; the diagnostic set is answered by the model of MNLI.
SHEETS = {
    "cola": (Sheet("CoLA.tsv", "CoLA/test.tsv", 1063),),
    "sst2": (Sheet("SST-2.tsv", "SST-2/test.tsv", 1821),),
    "mrpc": (Sheet("MRPC.tsv", "MRPC/test.tsv", 1725),),
    "stsb": (Sheet("STS-B.tsv", "STS-B/test.tsv", 1379),),
    "qqp": (Sheet("QQP.tsv", "QQP/test.tsv", 390_965),),
    "mnli": (
        Sheet("MNLI-m.tsv", "MNLI/test_matched.tsv", 9796),
        Sheet("MNLI-mm.tsv", "MNLI/test_mismatched.tsv", 9847),
        Sheet("AX.tsv", "diagnostic/diagnostic.tsv", 1104),
    ),
    "qnli": (Sheet("QNLI.tsv", "QNLI/test.tsv", 5463),),
    "rte": (Sheet("RTE.tsv", "RTE/test.tsv", 3000),),
    "wnli": (Sheet("WNLI.tsv", "WNLI/test.tsv", 146),),
}


def test_rows(task: Task, data: str) -> dict[str, list[Row]]:
    """The unlabelled rows of each of the task's sheets, by its name; none for other tasks.

    Raises:
        BenchError: a file is not there, is malformed or has not the server's number of rows.
    """
    found = {}
    for sheet in SHEETS.get(task.name, ()):
        classic = task.classic
        assert classic is not None, "every task of GLUE has a classic layout"
        root = Path(data).expanduser()
        places = [root / classic.group / sheet.source, root / sheet.source]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            looked = " and ".join(map(str, places))
            raise BenchError(f"no test rows for {sheet.name}; looked at {looked}.")
        # a test file has a header even where the others have none (CoLA)
        columns = {c: classic.columns[c] if classic.header else c for c in task.columns}
        layout = dataclasses.replace(classic, header=True, columns=columns, skip_short=False)
        found[sheet.name] = [
            {"id": str(i), **values, "label": 0}
            for i, (_, values) in enumerate(records(layout, path))
        ]
        if len(found[sheet.name]) != sheet.rows:
            raise BenchError(
                f"{path} has {len(found[sheet.name])} rows; the server wants {sheet.rows}."
            )
    return found


def spelled(task: Task, answers: Sequence[Any]) -> list[str]:
    """Predictions (`bench.predictions.predict`) as the server reads them."""
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
    document = {"method": cell.label, "seed": cell.seed, "task": cell.name, "sheets": answers}
    atomic_write_text(path_of(folder, cell), json.dumps(document))


def write_zip(folder: Path, method: str, seed: int, out: Path) -> tuple[list[str], list[str]]:
    """The zip of one method and seed of a run's folder: (files in it, files that it lacks).

    Raises:
        BenchError: the run has no such answers, or two of them for one task.
    """
    found = [json.loads(p.read_text("utf-8")) for p in sorted((folder / FOLDER).glob("*.json"))]
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
