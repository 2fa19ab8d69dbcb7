"""Folders that `DatasetDict.save_to_disk` leaves: the rows of the classic files, and mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.source import Folder, load_rows
from bench.rows.task import TASKS
from bench.selfcheck.world import plan_for
from tests.helpers.worlds import results

load_builtin()
RTE = TASKS.get("rte")


def save(data: Path, to: Path, **renamed: str) -> Path:
    """RTE of a classic folder, saved with the hub's columns and splits."""
    found = {}
    for split, name in {"train": "train", "dev": "validation"}.items():
        rows = load_rows(RTE, str(data), split)
        columns = {key: [row[key] for row in rows] for key in ("sentence1", "sentence2", "label")}
        columns = {renamed.get(key, key): values for key, values in columns.items()}
        features = datasets.Dataset.from_dict(columns).features
        if "label" in features:
            features["label"] = datasets.ClassLabel(names=["entailment", "not_entailment"])
        found[renamed.get(name, name)] = datasets.Dataset.from_dict(columns, features=features)
    datasets.disable_progress_bars()
    datasets.DatasetDict(found).save_to_disk(str(to))
    return to


def test_the_rows_of_the_classic_files(tiny_data: Path, tmp_path: Path) -> None:
    save(tiny_data, tmp_path / "saved" / "rte")
    for split in ("train", "dev"):
        classic = load_rows(RTE, str(tiny_data), split)
        rows = load_rows(RTE, str(tmp_path / "saved"), split)
        assert [{**row, "id": ""} for row in rows] == [{**row, "id": ""} for row in classic]
        assert len({row["id"] for row in rows}) == len(rows)
    assert Folder(str(tmp_path / "saved")).available(RTE)
    assert not Folder(str(tmp_path / "saved")).available(TASKS.get("cola"))


def test_a_run_on_it_and_another_place_is_the_same(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    save(tiny_data, tmp_path / "saved" / "rte")
    plan = plan_for(["finetune"], ["rte"], tiny_causal, tmp_path / "saved", forget=["rte"])
    (result,) = results(plan, tmp_path / "run")
    assert result["status"] == "done"
    shutil.copytree(tmp_path / "saved", tmp_path / "moved")
    here, there = (Folder(str(tmp_path / name)) for name in ("saved", "moved"))
    assert here.fingerprint(RTE) == there.fingerprint(RTE)
    rows = datasets.load_from_disk(str(tmp_path / "saved" / "rte"))
    rows["train"] = rows["train"].select(range(10))
    shutil.rmtree(tmp_path / "moved")
    rows.save_to_disk(str(tmp_path / "moved" / "rte"))
    assert here.fingerprint(RTE) != there.fingerprint(RTE)


def fails(folder: Path) -> str:
    with pytest.raises(BenchError) as caught:
        load_rows(RTE, str(folder), "dev")
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DATA")


def test_mistakes(tiny_data: Path, tmp_path: Path) -> None:
    save(tiny_data, tmp_path / "split" / "rte", validation="valid")
    assert fails(tmp_path / "split").startswith(
        "unknown split in DATA/rte 'validation'. Did you mean 'valid'? Known: train, valid."
    )
    save(tiny_data, tmp_path / "column" / "rte", sentence2="hypothesis")
    assert "DATA/rte/validation has no column 'sentence2'; found: " in fails(tmp_path / "column")
    cut = save(tiny_data, tmp_path / "cut" / "rte")
    (file,) = (cut / "validation").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:200])
    assert fails(tmp_path / "cut").startswith("DATA/rte/validation cannot be read: ")
    lost = save(tiny_data, tmp_path / "lost" / "rte")
    next((lost / "validation").glob("*.arrow")).unlink()
    assert fails(tmp_path / "lost").startswith("DATA/rte/validation cannot be read: ")
    labels = save(tiny_data, tmp_path / "labels" / "rte")
    rows = datasets.load_from_disk(str(labels))
    features = rows["validation"].features.copy()
    features["label"] = datasets.Value("int64")
    bad = rows["validation"].cast(features).map(lambda row: {"label": 7})
    rows["validation"] = bad
    rows.save_to_disk(str(tmp_path / "seven" / "rte"))
    assert "row dev-0: unknown label 7; known: 0, 1." in fails(tmp_path / "seven")
    rows["validation"] = rows["validation"].map(lambda row: {"sentence2": None})
    rows.save_to_disk(str(tmp_path / "none" / "rte"))
    assert "row dev-0: 'sentence2' is no text but None." in fails(tmp_path / "none")


def named(data: Path, to: Path, names: list[str], of: list[int]) -> Path:
    """RTE saved with a `ClassLabel` of these names, its labels i written as of[i]."""
    found = {}
    for split, name in {"train": "train", "dev": "validation"}.items():
        rows = load_rows(RTE, str(data), split)
        columns = {key: [row[key] for row in rows] for key in ("sentence1", "sentence2")}
        columns["label"] = [of[row["label"]] for row in rows]
        features = datasets.Dataset.from_dict(columns).features
        features["label"] = datasets.ClassLabel(names=names)
        found[name] = datasets.Dataset.from_dict(columns, features=features)
    datasets.disable_progress_bars()
    datasets.DatasetDict(found).save_to_disk(str(to / "rte"))
    return to


@pytest.mark.parametrize(
    ("names", "of"),
    [
        (["not_entailment", "entailment"], [1, 0]),
        (["Entailment", "Not entailment"], [0, 1]),
        (["unknown", "not-entailment", "entailment"], [2, 1]),
        (["0", "1"], [0, 1]),  # no names: the numbers are the task's
        (["1", "0"], [1, 0]),
        (["LABEL_1", "LABEL_0"], [1, 0]),
        (["no", "yes"], [1, 0]),  # the words that a causal LM answers with
        (["entailment", "other"], [0, 1]),
    ],
)
def test_labels_go_by_their_names(
    names: list[str], of: list[int], tiny_data: Path, tmp_path: Path
) -> None:
    named(tiny_data, tmp_path, names, of)
    for split in ("train", "dev"):
        classic = [row["label"] for row in load_rows(RTE, str(tiny_data), split)]
        assert [row["label"] for row in load_rows(RTE, str(tmp_path), split)] == classic


def test_names_that_are_half_the_tasks(tiny_data: Path, tmp_path: Path) -> None:
    named(tiny_data, tmp_path / "half", ["other", "entailment"], [1, 0])
    assert fails(tmp_path / "half") == (
        "DATA/rte/validation: its labels are named 'other', 'entailment', not 'entailment', "
        "'not_entailment'."
    )
    more = ["unknown", "not_entailment", "entailment"]
    named(tiny_data, tmp_path / "more", more, [2, 0])
    assert "unknown label 'unknown'; known: 0, 1." in fails(tmp_path / "more")
