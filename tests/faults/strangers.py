"""Files as strangers, disks and editors leave them: changed at random, they end in one line.

python -m tests.faults.strangers 100000      how many inputs of each kind, and what they did
"""

from __future__ import annotations

import copy
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
from tests.helpers.made_up import predictions, result

ODD: list[Any] = [
    *(None, True, False, 0, -1, 2, 10**30, 1.5, -1e308, 1e308, "", "x", "cola", "../x", "NaN", "0"),
    *("\x1b[31m\x07", "\ud800", "=1+1", "[a](javascript:b)", "a\nb", "\u202e", "x" * 3000),
    *([], [[]], [None], ["x"], [0.5], {}, {"a": 1}, {"": None}, {"cola": {"hash": 3}}),
]
Target = Callable[[random.Random, Path], None]


def mutated(value: Any, rng: random.Random) -> Any:
    """A JSON value that was changed in one to three places."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        place = value
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if not (isinstance(inner, dict | list) and inner) or rng.random() < 0.3:
                _change(place, key, rng)
                break
            place = inner
    return value


def _change(place: Any, key: Any, rng: random.Random) -> None:
    act = rng.randrange(5)
    if act == 0:
        del place[key]
    elif act == 1 and isinstance(place, dict):
        place[rng.choice(["x", "", "\x1b[0m", str(key) + "s"])] = place.pop(key)
    elif act == 2 and isinstance(place, list):
        place.append(copy.deepcopy(rng.choice(ODD)))
    else:
        place[key] = copy.deepcopy(rng.choice(ODD))


def garbled(content: bytes, rng: random.Random) -> bytes:
    """Bytes that were cut, or of which some were changed, lost or doubled."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, act = rng.randrange(len(found) + 1), rng.randrange(5)
        if act == 0:
            del found[at:]
        elif act == 1:
            found[at : at + 1] = bytes([rng.randrange(256)])
        elif act == 2:
            del found[at : at + rng.randint(1, 20)]
        elif act == 3:
            found[at:at] = rng.choice(
                [b"\0", b'"', b"[", b"{", b"\n", b"\t", b"\xff", b"'", b"=", b"1e999"]
            )
        else:
            found[at:at] = found[max(0, at - 30) : at]
    return bytes(found)


def _json(value: Any, rng: random.Random) -> bytes:
    """A document, changed as a value or as text."""
    if rng.random() < 0.75:
        return json.dumps(mutated(value, rng)).encode()
    return garbled(json.dumps(value).encode(), rng)


def cells(rng: random.Random, folder: Path) -> None:
    """A damaged cell among good ones: tables, states, records, and every form of a board."""
    from bench.api import load
    from bench.board.cell_table import records
    from bench.board.leaderboard import boards
    from bench.cells.state import state_of
    from bench.render import markdown, terminal, tidy
    from bench.render.status import status

    made = [result(m, t) for m in ("finetune", "ewc") for t in ("cola", "rte")]
    (folder / "cells").mkdir()
    for number, one in enumerate(made):
        content = _json(one, rng) if number == 3 else json.dumps(one).encode()
        (folder / "cells" / f"{number}.json").write_bytes(content)
    runs = load(folder)
    assert len(runs.results) >= 3, "a bad file hides good ones"
    found = boards(runs.results)
    text = terminal.render(found) + markdown.render(found) + tidy.to_csv(tidy.records(found))
    text += status(state_of(folder, {}), folder)
    tidy.to_json(found).encode()
    records(runs.results)
    assert all(printable(line) == line for line in text.encode().decode().split("\n"))


def answers(rng: random.Random, folder: Path) -> None:
    """Damaged rows of answers."""
    from bench.cells.store import Store

    made = result()
    store = Store(folder)
    store.cells.mkdir()
    store._rows(made).write_bytes(_json(predictions(made), rng))
    store.has_predictions(made)
    store.predictions(made)


def submissions(rng: random.Random, folder: Path) -> None:
    """A damaged file of answers to test rows."""
    import zipfile

    from bench.scoring.glue_server import SHEETS, write_zip

    document = {"method": "ewc", "seed": 0, "task": "rte", "sheets": {"RTE.tsv": ["a", "b"]}}
    (folder / "submission").mkdir()
    (folder / "submission" / "x.json").write_bytes(_json(document, rng))
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
    cells, answers, submissions, run_files, run_values, task_files, rows
)  # fmt: skip


def attempt(target: Target, seed: int) -> str:
    """What one input does: "read", "refused" in one line, or where it crashes."""
    with tempfile.TemporaryDirectory(dir=_fast()) as folder:
        try:
            target(random.Random(seed), Path(folder))
        except BenchError as error:
            text = str(error)
            return "refused" if printable(text) == text else f"CRASH of several lines: {text!r}"
        except BaseException as error:
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
