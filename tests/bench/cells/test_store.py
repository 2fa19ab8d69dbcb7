from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.cells.result import ADDED
from bench.cells.result import SCHEMA_VERSION as NOW
from bench.cells.store import Store
from bench.core.errors import BenchError
from bench.core.files import atomic_write_tensors, atomic_write_text, check_writable
from tests.helpers.made_up import predictions, result

# A writer that is killed without any clean-up at its COUNTth call of os.FUNCTION.
DIES = """
import os, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.helpers.made_up import predictions, result
from bench.cells.store import Store
calls, real = [], getattr(os, {function!r})
def dying(*args, **kwargs):
    calls.append(1)
    if len(calls) == {count}:
        os._exit(9)
    return real(*args, **kwargs)
setattr(os, {function!r}, dying)
new = result(after=0.75)
Store(Path({folder!r})).write(new, predictions(new))
"""


def files(store: Store) -> set[str]:
    return {p.name for p in store.cells.iterdir() if not p.name.startswith(".")}


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    store, new = Store(tmp_path), result("lwf", seed=3)
    store.write(new, predictions(new))
    assert store.read(new["hash"]) == new
    assert store.all() == [new]
    name = f"lwf-cola-seed3-{new['hash'][:12]}"
    assert files(store) == {f"{name}.json", f"{name}.rows.json"}
    assert json.loads((store.cells / f"{name}.rows.json").read_text()) == predictions(new)
    assert store.read("0" * 64) is None
    assert store.read(new["hash"][:12] + "0" * 52) is None
    assert Store(tmp_path / "nothing here").all() == []


def test_all_is_in_one_order_whatever_the_order_of_writing(tmp_path: Path) -> None:
    made = [result(m, t, s) for t in ("cola", "rte") for m in ("ewc", "lwf") for s in (2, 10)]
    for one in reversed(made):
        Store(tmp_path).write(one, None)
    assert Store(tmp_path).all() == made


def test_a_result_of_the_first_version_is_read(tmp_path: Path) -> None:
    new = result()
    old = {k: v for k, v in {**new, "schema_version": 1}.items() if k not in ADDED}
    path = tmp_path / "cells" / f"finetune-cola-seed0-{new['hash'][:12]}.json"
    atomic_write_text(path, json.dumps(old))
    assert Store(tmp_path).all() == [new]
    Store(tmp_path).write(new, None)  # the same scores: nothing is overwritten
    assert json.loads(path.read_text()) == old


def test_an_older_result_says_by_its_label_that_rows_are_made_up(tmp_path: Path) -> None:
    made = result(data_name="micro (generated, not GLUE)", generated=True)
    other = result(task="rte", model_name="micro", data_name="glue")
    for one in (made, other):
        old = {k: v for k, v in {**one, "schema_version": 5}.items() if k != "generated"}
        atomic_write_text(tmp_path / "cells" / f"x-{one['hash'][:12]}.json", json.dumps(old))
    assert Store(tmp_path).all() == [made, other]
    renamed = {**made, "labels": {**made["labels"], "data": "a small world"}}
    path = tmp_path / "cells" / f"x-{made['hash'][:12]}.json"
    atomic_write_text(path, json.dumps(renamed))
    assert [one["generated"] for one in Store(tmp_path).all()] == [True, False]


def test_same_scores_again_change_nothing_and_other_scores_raise(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(result(after=0.5), None)
    store.write(result(after=0.5, seconds=99.0), None)
    store.write(result(error="out of memory"), None)
    with pytest.raises(BenchError, match=r"other scores.*0\.5.*now.*0\.75.*Nothing was overwr"):
        store.write(result(after=0.75), predictions(result()))
    assert store.all() == [result(after=0.5)]
    assert len(files(store)) == 1


def test_a_failed_result_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(result(error="loss is nan"), None)
    store.write(result(error="out of memory"), None)
    assert [one["error"] for one in store.all()] == ["out of memory"]
    store.write(result(after=0.5), predictions(result()))
    assert store.all() == [result(after=0.5)]


@pytest.mark.parametrize("before", [None, "loss is nan"], ids=["empty", "failed"])
@pytest.mark.parametrize(
    ("function", "count"),
    [(f, c) for f, n in (("replace", 2), ("fsync", 4)) for c in range(1, n + 1)],
)
def test_killed_at_a_write_point_leaves_old_or_new(
    tmp_path: Path, function: str, count: int, before: str | None
) -> None:
    store = Store(tmp_path)
    old = [] if before is None else [result(error=before)]
    for one in old:
        store.write(one, None)
    root = Path(__file__).parents[3]
    script = DIES.format(
        paths=[str(root)],
        function=function,
        count=count,
        folder=str(tmp_path),
    )
    run = subprocess.run([sys.executable, "-c", script], check=False)
    assert run.returncode == 9, "the write point was not reached"

    new = result(after=0.75)
    found = store.all()
    assert found in (old, [new])
    if found == [new]:  # never a finished result without its predictions
        assert json.loads(next(store.cells.glob("*.rows.json")).read_text()) == predictions(new)

    store.write(new, predictions(new))  # the lock of the dead is free, its leavings are swept
    assert store.all() == [new]
    assert not list(store.cells.glob(".*.tmp"))


def test_every_write_point_is_tested_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def record(name: str) -> None:
        real = getattr(os, name)

        def recording(*args: Any) -> Any:
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, recording)

    record("replace")
    record("fsync")
    Store(tmp_path).write(result(), predictions(result()))
    assert calls == ["fsync", "replace", "fsync"] * 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"schema_version": 1, "status": "do', "is no readable result.*Move it away"),
        ("\udcff", "is no readable result"),
        ('{"schema_version": 1, "drift": NaN}', "NaN is no number in JSON"),
        ("[]", "has no schema_version"),
        ("{}", "has no schema_version"),
        ('{"schema_version": 999}', f"schema_version 999, this program reads {NOW}.*newer"),
        ('{"schema_version": "x"}', f"schema_version 'x', this program reads {NOW}"),
        ('{"schema_version": 0}', f"schema_version 0, this program reads {NOW}"),
        ('{"schema_version": 1}', "lacks cell, costs"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str, says: str) -> None:
    store, good = Store(tmp_path), result()
    store.write(good, None)
    bad = store.cells / f"ewc-cola-seed0-{'b' * 12}.json"
    bad.write_bytes(content.encode(errors="surrogateescape"))
    for reading in (store.all, lambda: store.read("b" * 64)):
        with pytest.raises(BenchError, match=f"(?s){bad.name} .*{says}") as caught:
            reading()
        assert "\n" not in str(caught.value)
    assert store.read(good["hash"]) == good  # the others can still be read


@pytest.mark.parametrize(
    ("holes", "says"), [({"scores": None}, "lacks scores"), ({"cell": {}}, "lacks data, forget")]
)
def test_a_result_with_holes_is_named(tmp_path: Path, holes: dict[str, object], says: str) -> None:
    atomic_write_text(tmp_path / "cells/x.json", json.dumps({**result(), **holes}))
    with pytest.raises(BenchError, match=f"x.json {says}"):
        Store(tmp_path).all()


@pytest.mark.parametrize(
    "odd", ["../../etc/passwd", "a/b\\c", "..", ".hidden", "", "a b\n\0é", "x" * 500]
)
def test_odd_names_stay_in_the_folder(tmp_path: Path, odd: str) -> None:
    store = Store(tmp_path / "run")
    for new in (result(odd), result(task=odd)):
        store.write(new, predictions(new))
        assert store.read(new["hash"]) == new
    assert len(files(store)) == 4  # none of them hidden
    assert {p.name for p in tmp_path.iterdir()} == {"run"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"cells"}
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") for name in files(store))
    assert store.read("../*") is None


def test_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            Store(tmp_path).write(result(after=wrong), None)
    assert not Store(tmp_path).all()


def test_writers_at_the_same_time(tmp_path: Path) -> None:
    made = [result(seed=seed) for seed in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: Store(tmp_path).write(one, predictions(one)), made * 2))
    assert Store(tmp_path).all() == made


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    acts: list[Callable[[Path], None]] = [
        check_writable,
        lambda folder: atomic_write_text(folder / "x", "text"),
        lambda folder: Store(folder).write(result(), None),
    ]
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        for act in acts:
            with pytest.raises(BenchError, match=r"^cannot write .*file.*: .+\.$"):
                act(folder)
    assert (tmp_path / "file").read_text() == "mine"
    check_writable(tmp_path / "new" / "deep")
    assert list((tmp_path / "new" / "deep").iterdir()) == []


def test_a_read_only_disk_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    for act in (check_writable, lambda f: Store(f).write(result(), None)):
        with pytest.raises(BenchError, match=r"cannot write .*: Read-only file system\."):
            act(tmp_path)


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "board.md"
    atomic_write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BenchError, match=r"cannot write .*board\.md: No space left"):
            atomic_write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["board.md"]
    assert path.read_text() == "old"


def test_tensors_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    path = tmp_path / "new" / "some.safetensors"
    atomic_write_tensors(path, {"x": torch.arange(3.0)})
    assert load_file(path)["x"].tolist() == [0.0, 1.0, 2.0]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))  # as a disk that is full
    try:
        with pytest.raises(BenchError, match=r"cannot write .*some\.safetensors: .*too large"):
            atomic_write_tensors(path, {"x": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert load_file(path)["x"].tolist() == [0.0, 1.0, 2.0]
    assert [file.name for file in path.parent.iterdir()] == [path.name]
