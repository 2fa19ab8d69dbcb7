"""Results on disk: whole or absent, never replaced, and never hidden by a bad neighbour.

Files are read by bench.cells.reading, which asks bench.core.shapes what is wrong and
bench.core.text for what can be printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from bench.cells.measured import at, fields_of, held
from bench.cells.reading import read_result
from bench.cells.result import ADDED, CellResult, Earlier
from bench.cells.result import SCHEMA_VERSION as NOW
from bench.cells.store import Store, answers_name
from bench.core.errors import BenchError
from bench.core.files import atomic_write_text, sweep
from tests.helpers.made_up import predictions, result, with_answers

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
    assert store.read(new["cell"], new["hash"]) == with_answers(new)
    assert store.all() == [with_answers(new)]
    name = f"lwf-cola-seed3-{new['hash'][:12]}"
    assert files(store) == {f"{name}.json", f"{name}.rows.json"}
    assert json.loads((store.cells / f"{name}.rows.json").read_text()) == predictions(new)
    assert store.read(new["cell"], "0" * 64) is None
    assert store.read(new["cell"], new["hash"][:12] + "0" * 52) is None
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
    (found,) = Store(tmp_path).all()
    tasks = old["forgotten"]["tasks"]
    once: dict[str, Any] = {part: {} for part in ("scores", "retention", "facts", "lm_eval")}
    assert found == {**new, "measured": {**once, "forgotten": {"tasks": tasks}}}
    assert json.loads(path.read_text()) == old


def test_an_older_result_says_by_its_label_that_rows_are_made_up(tmp_path: Path) -> None:
    made = result(data_name="micro (generated, not GLUE)", generated=True)
    other = result(task="rte", model_name="micro", data_name="glue")
    for one in (made, other):
        old = {k: v for k, v in {**one, "schema_version": 5}.items() if k != "generated"}
        atomic_write_text(tmp_path / "cells" / f"x-{one['hash'][:12]}.json", json.dumps(old))
    assert [one["generated"] for one in Store(tmp_path).all()] == [True, False]
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


def test_what_is_measured_since_is_added_and_keeps_its_answers(tmp_path: Path) -> None:
    """Answers have a file for each number of dev rows; the training stays as it was."""
    store, first = Store(tmp_path), result(after=0.5, seconds=7.0)
    store.write(first, predictions(first))
    more = result(after=0.625, seconds=99.0)
    more["measured"] = {"scores": {"rows": 30}}
    store.write(more, {**predictions(more), "after": [1, 1]})
    (both,) = store.all()
    assert both["costs"] == first["costs"] and both["retention"] == first["retention"]
    before = at(both, "scores", {"rows": None})
    assert before == {**first, "earlier": held_by(both, "scores"), "answers": both["answers"]}
    assert [on["rows"] for on in held(both, "scores")] == [30, None]
    found = store.predictions(both)
    assert found is not None and found["after"] == [1, 1]
    assert store.predictions(first) == predictions(first)
    store.write(first, None)  # what is held already goes to the top
    assert store.all() == [before]
    with pytest.raises(BenchError, match="other scores"):
        store.write(result(after=0.75), None)


def held_by(result: CellResult, part: str) -> list[Earlier]:
    """The measurement at the top of a result, as an earlier one."""
    on = cast(Any, result["measured"])[part]
    return [{"part": part, "on": on, "fields": fields_of(result, part)}]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"part": "costs"}, ".earlier.0 must be a part of a result, not 'costs'"),
        ({"fields": {}}, ".earlier.0 must be a part of a result, not 'retention'"),
        ({"fields": {"retention": {"text": 1}}}, ".earlier.0.fields.retention lacks after"),
        ({"on": 3}, ": earlier.0.on must be a table, not 3"),
    ],
)
def test_an_earlier_measurement_that_is_none_is_named(
    tmp_path: Path, damage: dict[str, Any], words: str
) -> None:
    one = result()
    earlier = {"part": "retention", "on": {"text": "x"}, "fields": {"retention": None}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**one, "earlier": [earlier]}))
    assert read_result(path)["earlier"] == [earlier]
    path.write_text(json.dumps({**one, "earlier": [earlier | damage]}))
    with pytest.raises(BenchError, match=re.escape(words.removeprefix("."))):
        read_result(path)
    path.write_text(json.dumps({**one, "measured": {"scores": {"rows": "../x"}}}))
    with pytest.raises(BenchError, match=r"measured\.scores\.rows must be a whole number"):
        read_result(path)
    path.write_text(json.dumps({**one, "measured": {}}))
    with pytest.raises(BenchError, match="measured lacks scores"):
        read_result(path)


def test_a_failed_result_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(result(error="loss is nan"), None)
    store.write(result(error="out of memory"), None)
    assert [one["error"] for one in store.all()] == ["out of memory"]
    store.write(result(after=0.5), predictions(result()))
    assert store.all() == [with_answers(result(after=0.5))]


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
    found, whole = store.all(), [with_answers(new)]
    assert found in (old, whole)
    if found == whole:  # never a finished result without its predictions
        assert json.loads(next(store.cells.glob("*.rows.json")).read_text()) == predictions(new)

    store.write(new, predictions(new))  # the lock of the dead is free
    assert store.all() == whole
    sweep(tmp_path)
    assert not list(store.cells.glob(".*"))


def test_a_cell_is_found_without_a_look_at_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of many cells would look as often as it has cells."""

    def listed(*_: object) -> None:
        raise AssertionError("the folder is listed")

    store, new = Store(tmp_path), result()
    store.write(new, predictions(new))
    for name in ("glob", "iterdir", "rglob"):
        monkeypatch.setattr(Path, name, listed)
    assert store.read(new["cell"], new["hash"]) is not None and store.has_predictions(new)


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


_WRONG: dict[str, Any] = {
    ": cell must be a table, not None": {"cell": None},
    " lacks scores": {"scores": None},
    ": cell lacks data, forget": {"cell": {}},
    ": cell.seed must be a whole number, not '0'": {"cell": {**result()["cell"], "seed": "0"}},
    ": labels.method must be text, not 3": {"labels": {"method": 3}},
    ": status must be one of 'done', 'failed', 'refused', not 'well'": {"status": "well"},
    ": curve.1.loss must be a finite number, not 'x'": {"curve": [{}, {"loss": "x"}]},
    ": curve.1 lacks step": {"curve": [{"step": 1.0}, {"loss": 0.5}]},
    ": drift must be a finite number, not True": {"drift": True},
    ": scores.primary must be a score, not 'f1'": {
        "scores": {"primary": "f1", "before": {"a": 0.5}, "after": {"f1": 0.5}}
    },
    ": sequence.matrix must have a row more than": {
        "sequence": {"tasks": ["a", "b"], "metrics": ["m", "m"], "matrix": [[0.5, 0.5]]}
    },
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"schema_version": 1, "status": "do', " is no readable result.*Move it away"),
        (b"\xff", " is no readable result"),
        (b"[" * 100_000, " is no readable result"),
        (b'{"schema_version": 1, "drift": NaN}', " is no readable result.*NaN is no number in"),
        (b"[]", " is no result: it has no schema_version"),
        (b"{}", " is no result: it has no schema_version"),
        (b'{"schema_version": 999}', f" has schema_version 999, this program reads {NOW}.*newer"),
        (b'{"schema_version": "x"}', f" has schema_version 'x', this program reads {NOW}"),
        (b'{"schema_version": true}', f" has schema_version True, this program reads {NOW}"),
        (b'{"schema_version": 0}', f" has schema_version 0, this program reads {NOW}"),
        (b'{"schema_version": 1}', " lacks cell, costs"),
        *(
            (json.dumps({**result(), **part}, default=str).encode(), s)
            for s, part in _WRONG.items()
        ),
    ],
)
def test_a_damaged_file_is_named_and_hides_no_other(
    tmp_path: Path, content: bytes, says: str
) -> None:
    store, good, other = Store(tmp_path), result(), result("ewc")
    store.write(good, None)
    bad = store.cells / f"ewc-cola-seed0-{other['hash'][:12]}.json"
    bad.write_bytes(content)
    assert store.all() == [good]
    (said,) = store.set_aside
    assert re.match(f"set aside: .*/{bad.name}{says}", said), said
    assert "\n" not in said
    if "newer" in says:
        with pytest.raises(BenchError, match="A newer version of this program wrote it: update"):
            store.read(other["cell"], other["hash"])
    else:
        assert store.read(other["cell"], other["hash"]) is None


def test_a_copy_with_other_scores_hides_nothing(tmp_path: Path) -> None:
    store, new = Store(tmp_path), result()
    store.write(new, None)
    for name, copy in (("a-copy", result(after=0.75)), ("same", new)):
        (store.cells / f"{name}.json").write_text(json.dumps(copy))
    assert store.all() == [new, new]
    (said,) = store.set_aside
    assert re.search(r"a-copy\.json holds other scores than finetune-cola-seed0-\w+\.json\.$", said)


def test_a_damaged_file_is_kept_beside_the_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, new = Store(tmp_path), result()
    store.write(new, predictions(new))
    (path,) = (path for path in store.cells.iterdir() if not path.name.endswith(".rows.json"))
    path.write_text("{")
    store.write(new, predictions(new))
    assert store.all() == [with_answers(new)] and not store.set_aside
    assert path.with_name(f"{path.name}.damaged").read_text() == "{"
    assert f"It is kept as {path.name}.damaged." in capsys.readouterr().err


def test_lost_answers_are_kept_again(tmp_path: Path) -> None:
    store, new = Store(tmp_path), result()
    store.write(new, None)
    assert not store.has_predictions(new) and store.predictions(new) is None
    store.write(new, predictions(new))
    assert store.has_predictions(new)
    (rows,) = store.cells.glob("*.rows.json")
    os.truncate(rows, 40)
    assert not store.has_predictions(new)
    with pytest.raises(BenchError, match=f"{rows.name} is no readable result"):
        store.predictions(new)
    store.write(new, predictions(new))
    assert store.predictions(new) == predictions(new)
    rows.write_text(json.dumps({**predictions(new), "gold": [0]}))
    with pytest.raises(
        BenchError, match=f"{rows.name} has columns of unequal lengths: .*'gold': 1"
    ):
        store.predictions(new)


def test_answers_that_were_changed_or_lost_are_named(tmp_path: Path) -> None:
    store, one, two = Store(tmp_path), result(), result(seed=1)
    for new in (one, two):
        store.write(new, predictions(new))
    kept = store.all()
    assert not store.set_aside
    rows = [store.cells / answers_name(new) for new in kept]
    whole = rows[0].read_text()
    rows[0].write_text(whole.replace('"after": [\n  0', '"after": [\n  1'))
    assert store.has_predictions(kept[0]), "as long, and with its end"
    with pytest.raises(BenchError, match=rf"{rows[0].name} is not as it was written: move it"):
        store.predictions(kept[0])
    rows[0].unlink()
    os.truncate(rows[1], 40)
    assert store.all() == kept
    assert store.set_aside == [
        f"answers lost: {rows[0]} and 1 more, missing or cut off; the command that made the "
        "cells makes them again."
    ]
    store.write(one, {**predictions(one), "gold": [7, 7]})  # scored again, on another machine
    found = store.predictions(store.all()[0])
    assert found is not None and found["gold"] == [7, 7]


def test_texts_of_strangers_can_be_printed(tmp_path: Path) -> None:
    odd = result(label="\x1b[31mred\x07\u202eder\n\ud800")
    path = tmp_path / "cells" / "x.json"
    atomic_write_text(path, json.dumps(odd))
    (found,) = Store(tmp_path).all()
    assert found["labels"]["method"] == "?[31mred??der??"
    found["labels"]["method"].encode()


@pytest.mark.parametrize(
    "odd", ["../../etc/passwd", "a/b\\c", "..", ".hidden", "", "a b\n\0é", "x" * 500]
)
def test_odd_names_stay_in_the_folder(tmp_path: Path, odd: str) -> None:
    store = Store(tmp_path / "run")
    for new in (result(odd), result(task=odd)):
        store.write(new, predictions(new))
        found = store.read(new["cell"], new["hash"])
        assert found is not None and found["hash"] == new["hash"]
    assert len(files(store)) == 4  # none of them hidden
    assert {p.name for p in tmp_path.iterdir()} == {"run"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"cells"}
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") for name in files(store))
    assert store.read({**new["cell"], "method": "../*"}, new["hash"]) is None


def test_what_is_no_number_is_not_written(tmp_path: Path) -> None:
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            Store(tmp_path).write(result(after=wrong), None)
    assert not Store(tmp_path).all()


def test_writers_at_the_same_time(tmp_path: Path) -> None:
    made = [result(seed=seed) for seed in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: Store(tmp_path).write(one, predictions(one)), made * 2))
    assert Store(tmp_path).all() == [with_answers(one) for one in made]
