"""Files as strangers, disks and editors leave them: changed at random, they end in one line.

python -m tests.faults.strangers 100000      how many inputs of each kind, and what they did
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.text import printable
from tests.faults.damage import document, garbled, mutated, toml
from tests.helpers import rich
from tests.helpers.made_up import predictions, result

_CELLS = [rich.cell(method, task, 0) for method in ("finetune", "lwf") for task in ("cola", "rte")]
Target = Callable[[random.Random, Path], None]


def cells(rng: random.Random, folder: Path) -> None:
    """A damaged cell among good ones: tables, states, records, every form of a board, the page."""
    from bench.api import load
    from bench.board.cell_table import records
    from bench.board.verification import verify
    from bench.cells.state import state_of
    from bench.render import cell, latex, markdown, terminal, tidy
    from bench.render.status import status
    from bench.rows.lookup import Lookup

    damaged = rng.randrange(4)
    (folder / "cells").mkdir()
    for number, one in enumerate(_CELLS):
        content = document(one, rng) if number == damaged else json.dumps(one).encode()
        (folder / "cells" / f"{number}.json").write_bytes(content)
    runs = load(folder)
    assert len(runs.results) >= 3, "a bad file hides good ones"
    found = runs.board().boards
    text = terminal.render(found) + markdown.render(found) + tidy.to_csv(tidy.records(found))
    text += latex.render(found) + status(state_of(folder, {}), folder)
    for one in runs.results:
        text += terminal.page_text(cell.page(one))
        verify(one, None, Lookup("micro"))
    tidy.to_json(found).encode()
    records(runs.results)
    if rng.randrange(2):  # it takes as long as all of the above
        runs.page().encode()
    assert all(printable(line) == line for line in text.encode().decode().split("\n"))


def answers(rng: random.Random, folder: Path) -> None:
    """Damaged rows of answers."""
    from bench.cells.store import Store

    made = result()
    store = Store(folder)
    store.cells.mkdir()
    store._rows(made).write_bytes(document(predictions(made), rng))
    store.has_predictions(made)
    store.predictions(made)


def archives(rng: random.Random, folder: Path) -> None:
    """A damaged archive of good cells, or a good one of damaged cells."""
    import zipfile

    from bench.api import load
    from bench.cells.archive import MANIFEST

    path, damaged = folder / "x.zip", rng.randrange(3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {
            f"cells/{n}.json": document(one, rng) if damaged == n == 1 else json.dumps(one).encode()
            for n, one in enumerate(_CELLS[:2])
        }
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = {"format": 1, "suite_version": "0.5.0", "files": digests}
        files[MANIFEST] = document(manifest, rng) if damaged == 2 else json.dumps(manifest).encode()
        for name, content in files.items():
            archive.writestr(name, content)
    if damaged == 0:
        path.write_bytes(garbled(path.read_bytes(), rng))
    load(path).board()


def submissions(rng: random.Random, folder: Path) -> None:
    """A damaged file of answers to test rows."""
    import zipfile

    from bench.scoring.glue_server import SHEETS, write_zip

    given = {"method": "ewc", "seed": 0, "task": "rte", "sheets": {"RTE.tsv": ["a", "b"]}}
    (folder / "submission").mkdir()
    (folder / "submission" / "x.json").write_bytes(document(given, rng))
    write_zip(folder, "ewc", 0, folder / "x.zip")
    names = {sheet.name for group in SHEETS.values() for sheet in group}
    assert set(zipfile.ZipFile(folder / "x.zip").namelist()) <= names


_RUN = """\
methods = ["lwf", "ewc"]
tasks = "cola"
seeds = 3
out = "x"
lr = 3e-4
[train]
warmup = 0.1
[lwf]
interval = 4
"""


def run_files(rng: random.Random, folder: Path) -> None:
    """A damaged file for --config."""
    from bench.planning.options import read

    path = folder / "run.toml"
    path.write_bytes(garbled(_RUN.encode(), rng))
    read({}, path)


_PRESET = """\
about = "two budgets"
notes = ["short"]
published = "recadam-init"
methods = ["recadam", "l2sp"]
data = "./x"
[recadam]
gamma = [50.0, 500.0]
[[part]]
tasks = "cola"
steps = 2000
[[part]]
tasks = ["rte", "mrpc"]
forget = "mixed"
"""


def presets(rng: random.Random, folder: Path) -> None:
    """A damaged file for --preset, or a changed one."""
    from bench.planning import presets
    from bench.planning.plugins import load_all

    load_all((), ())
    path = folder / "mine.toml"
    path.write_bytes(toml(_PRESET, rng))
    preset = presets.load(str(path))
    presets.wanted(preset, {})
    assert printable(preset.name) == preset.name


_PUBLISHED = """\
about = "a table"
metrics = {mrpc = "accuracy"}
elsewhere = {squad = "another suite"}
averages = {all = ["rte", "cola"]}
[[row]]
name = "ours"
method = "recadam"
lab = "a"
source = "b"
known = "seen"
statistic = "median"
runs = 5
split = "dev"
selection = "last"
model = "bert"
settings = {gamma = 5000.0}
best_of = ["k"]
values = {rte = 70.1, cola = [60.0, 61.0]}
averages = {all = 65.0}
spread = {rte = ""}
"""


def published(rng: random.Random, folder: Path) -> None:
    """A damaged file of published figures, or a changed one."""
    from bench.board.published import read_published
    from bench.planning.plugins import load_all

    load_all((), ())
    path = folder / "published.toml"
    path.write_bytes(toml(_PUBLISHED, rng))
    read_published(path)


def configs(rng: random.Random, folder: Path) -> None:
    """The damaged config.json of a model's folder."""
    from bench.planning.model_info import describe
    from bench.rows.source import embedded_models

    model = embedded_models()["micro"].folder
    for path in model.iterdir():
        (folder / path.name).symlink_to(path)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.unlink()
    path.write_bytes(document(config, rng))
    info = describe(str(folder))
    assert printable(info.name) == info.name


def run_values(rng: random.Random, folder: Path) -> None:
    """Options of odd kinds, as a notebook or a TOML file may give them."""
    from bench.planning.options import read

    given = {"methods": ["lwf"], "tasks": ["cola"], "seeds": 3, "lr": 0.1, "steps": 5}
    given |= {"settings": {"lwf": {"interval": 4}}, "plugin": ["a.py"], "model": ["micro"]}
    read(mutated(given, rng))


_TASK = """\
name = "weather"
kind = "classification"
columns = {text = "sentence"}
prompt = "{text} This is"
labels = {bad = "bad", good = "good"}
metrics = ["accuracy"]
files = {train = "t.EXT", dev = "t.EXT"}
"""
_ROWS = [{"sentence": f"row {i}, so", "label": ("good", "bad")[i % 2]} for i in range(4)]


def task_files(rng: random.Random, folder: Path) -> None:
    """A damaged description of a task."""
    from bench.rows.task_file import read_task

    (folder / "t.csv").write_text("sentence,label\na,good\n")
    path = folder / "task.toml"
    path.write_bytes(garbled(_TASK.replace("EXT", "csv").encode(), rng))
    task = read_task(path)
    assert printable(task.name) == task.name


def rows(rng: random.Random, folder: Path) -> None:
    """Damaged files of rows in every form."""
    from bench.rows.task import Files
    from bench.rows.task_file import read_task, rows

    kind = rng.choice(["csv", "tsv", "json", "jsonl", "parquet"])
    path = folder / f"t.{kind}"
    changed = mutated(_ROWS, rng) if rng.random() < 0.6 else _ROWS
    path.write_bytes(_table(kind, changed, folder))
    if changed is _ROWS:
        path.write_bytes(garbled(path.read_bytes(), rng))
    (folder / "task.toml").write_text(_TASK.replace("EXT", kind))
    task = read_task(folder / "task.toml")
    assert isinstance(task.files, Files)
    for row in rows(task, task.files, "train"):
        assert isinstance(row["text"], str) and row["label"] in (0, 1)


def _table(kind: str, changed: list[Any], folder: Path) -> bytes:
    if kind == "json":
        return json.dumps(changed).encode()
    if kind == "jsonl":
        return "\n".join(map(json.dumps, changed)).encode()
    if kind in ("csv", "tsv"):
        mark = "," if kind == "csv" else "\t"
        lines = [mark.join(("sentence", "label"))]
        for one in changed:
            values = list(one.values()) if isinstance(one, dict) else [one]
            quoted = (f'"{v}"' if kind == "csv" else str(v) for v in values)
            lines.append(mark.join(quoted))
        return "\n".join(lines).encode(errors="surrogatepass")
    import pyarrow as pa
    from pyarrow import parquet

    place = folder / "made.parquet"
    try:
        parquet.write_table(
            pa.Table.from_pylist([r for r in changed if isinstance(r, dict)]), place
        )
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        parquet.write_table(pa.table({"sentence": [b"\xff"], "label": [[1]]}), place)
    return place.read_bytes()


TARGETS: tuple[Target, ...] = (
    *(cells, answers, archives, submissions, run_files, run_values, presets, published),
    *(task_files, rows, configs),
)


def attempt(target: Target, seed: int) -> str:
    """What one input does: "read", "refused" in one line, or where it crashes."""
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        try:
            target(random.Random(seed), Path(folder))
        except BenchError as error:
            text = str(error)
            return "refused" if printable(text) == text else f"CRASH of several lines: {text!r}"
        except BaseException as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                return "refused"  # at the door: bench.cli.main
            frames = traceback.extract_tb(error.__traceback__)
            last = next((f for f in reversed(frames) if "/bench/" in f.filename), frames[-1])
            return (
                f"CRASH {type(error).__name__} at {Path(last.filename).name}:{last.lineno} {error}"[
                    :200
                ]
            )
    return "read"


def _fast() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(total: int) -> int:
    """Try `total` inputs, shared out over the kinds; the number of crashes."""
    crashes = 0
    for target in TARGETS:
        each = total // len(TARGETS)
        seen = Counter(attempt(target, seed) for seed in range(each))
        bad = {what: n for what, n in seen.items() if what.startswith("CRASH")}
        crashes += sum(bad.values())
        ends = f"{seen['read']} read, {seen['refused']} refused, {sum(bad.values())} crashes"
        print(f"{target.__name__}: {each} inputs, {ends}", flush=True)
        for what, n in sorted(bad.items(), key=lambda item: -item[1])[:12]:
            print(f"    {n} {what}", flush=True)
    print(f"{total // len(TARGETS) * len(TARGETS)} inputs, {crashes} crashes")
    return crashes


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) > 0)
