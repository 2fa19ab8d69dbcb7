"""Every task that the machine has, loaded whole, trained briefly and scored with both kinds of
model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench.core.errors import RefusedError
from bench.planning.plugins import load_builtin
from bench.rows.source import Folder, load_rows
from bench.rows.task import SPLITS, TASKS
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for

load_builtin()
HERE = {
    # name: (train rows, dev rows), as counted in the files; 0 where there is no such file
    "sst5": (8544, 1101),
    "gsm8k": (7473, 1319),
    "qasc": (0, 926),
    "psychol": (69, 612),
    "cola": (8551, 1043),
    "sst2": (67_349, 872),
    "stsb": (5749, 1500),
    "mrpc": (4076, 1725),  # as Microsoft parts it
    "qnli": (0, 5463),
    "rte": (2490, 277),
}
SMALL = ("train.steps=2", "train.max_train=32", "train.max_eval=6", "train.forget_rows=4")


def test_these_are_all(shared_data: Path) -> None:
    there = [name for name in TASKS.names() if Folder(str(shared_data)).available(TASKS.get(name))]
    assert there == [name for name, rows in HERE.items() if all(rows)]
    sources = [TASKS.get(name).classic for name in HERE]
    folders = {str(source.folder) for source in sources if source}
    assert folders == {
        f.name for group in ("glue", "generative") for f in (shared_data / group).iterdir()
    }


@pytest.mark.parametrize("name", HERE)
def test_all_rows_are_there(shared_data: Path, name: str) -> None:
    task = TASKS.get(name)
    for split, count in zip(SPLITS, HERE[name], strict=True):
        if not count:
            continue
        rows = load_rows(task, str(shared_data), split)
        assert len(rows) == len({row["id"] for row in rows}) == count
        if split in task.counted:  # then lists show the number without a mark
            assert task.rows is not None and task.rows[SPLITS.index(split)] == count


def test_only_numbers_that_were_counted_are_shown_without_a_mark() -> None:
    shown = [(name, split) for name in TASKS.names() for split in TASKS.get(name).counted]
    counted = [
        (name, split)
        for name, rows in HERE.items()
        for split, count in zip(SPLITS, rows, strict=True)
        if count and name != "mrpc"  # whose published numbers are those of GLUE's own dev rows
    ]
    assert sorted(shown) == sorted(counted)


@pytest.fixture(scope="module")
def parted_data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tasks that only have dev rows here, the first half of these as train rows."""
    folder = tmp_path_factory.mktemp("parted")
    header, *lines = (shared_data / "glue/QNLI/dev.tsv").read_text("utf-8").splitlines(True)
    objects = json.loads((shared_data / "generative/qasc/dev.json").read_text("utf-8"))
    for name in ("QNLI", "qasc"):
        (folder / name).mkdir()
    for split, half in (("train", slice(None, 400)), ("dev", slice(400, 800))):
        (folder / f"QNLI/{split}.tsv").write_text("".join([header, *lines[half]]), "utf-8")
        (folder / f"qasc/{split}.json").write_text(json.dumps(objects[half]), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((n, "causal") for n in HERE), *((n, "encoder") for n in HERE if n != "gsm8k")],
)
def test_a_short_run(
    shared_data: Path,
    parted_data: Path,
    shared_model: Path,
    tmp_path: Path,
    name: str,
    kind: str,
) -> None:
    data = shared_data if all(HERE[name]) else parted_data
    model = shared_model if kind == "causal" else Path("micro-encoder")
    forget = [{"rte": "cola", "qnli": "qasc", "qasc": "qnli"}.get(name, "rte")]
    plan = plan_for(["finetune"], [name], model, data, *SMALL, forget=forget)
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path), False)
    assert result["scores"] is not None and result["drift"]
    for values in (result["scores"]["before"], result["scores"]["after"]):
        assert all(map(math.isfinite, values.values()))
    assert len(rows["after"]) == 6
    assert (result["forgotten"] is None) is (kind == "encoder")


def test_an_encoder_cannot_write(shared_data: Path) -> None:
    with pytest.raises(RefusedError, match="gsm8k needs a causal model: micro-encoder is an enc"):
        plan_for(["finetune"], ["gsm8k"], "micro-encoder", shared_data, *SMALL, forget=["rte"])
