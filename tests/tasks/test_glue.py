"""The GLUE tasks: consistent definitions, and the real files where the machine has them."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.rows.source import Folder, load_rows
from bench.rows.task import SPLITS, Task
from bench.running.single import run_cell
from bench.scoring.metrics import METRICS
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from tasks.glue import GLUE

NAMED = {task.name: task for task in GLUE}
LABELS = {"mnli": 3, "ax": 3, "stsb": 6}


def test_the_tasks() -> None:
    names = "cola sst2 stsb mrpc qqp mnli ax qnli rte wnli"
    assert list(NAMED) == names.split()


@pytest.mark.parametrize("task", GLUE, ids=NAMED)
def test_a_definition_is_whole(task: Task) -> None:
    assert len(task.labels) == len(task.words) == LABELS.get(task.name, 2)
    if task.kind == "classification":
        assert len(task.classic.label_spellings) == len(task.labels)
    if task.kind == "regression":
        assert task.words == task.labels == tuple("012345")
    asked = {field for _, field, _, _ in string.Formatter().parse(task.prompt) if field}
    assert asked == set(task.columns)
    assert task.prompt.endswith("Answer:")  # one space then joins it with the word
    assert all(word == word.strip() for word in task.words)
    assert set(task.metrics) <= set(METRICS)
    splits = {*SPLITS, *task.extra} - ({"train"} if task.train_from else set())
    assert all(set(layout) == splits for layout in task.classic.layouts)
    assert set(task.classic.columns) == {*task.columns, "label"}
    if task.hub:
        assert set(task.hub.splits) == splits
        assert set(task.hub.columns) == set(task.classic.columns)
    assert task.paper and task.about


# task, split, rows, rows with label 1, first row's texts and label
REAL = [
    ("cola", "train", 8551, 6023, ["Our friends won't buy this analysis, let alone the next"], 1),
    ("cola", "dev", 1043, 719, ["The sailors rode the breeze clear of the rocks."], 1),
    ("sst2", "train", 67349, 37569, ["hide new secretions from the parental units "], 0),
    ("sst2", "dev", 872, 444, ["one long string of cliches . "], 0),
    ("mrpc", "train", 4076, 2753, ['Amrozi accused his brother, whom he called "', "Referring"], 1),
    ("mrpc", "dev", 1725, 1147, ["PCCW's chief operating officer, M", "Current Chief Oper"], 1),
    ("qnli", "dev", 5463, 2761, ["What came into force after the n", "As of that day, the n"], 0),
    ("rte", "train", 2490, 1241, ["No Weapons of Mass Destruction Found", "Weapons of Mass De"], 1),
    ("rte", "dev", 277, 131, ["Dana Reeve, the widow of", "Christopher Reeve had an accident."], 1),
]


@pytest.mark.parametrize(("name", "split", "count", "ones", "texts", "label"), REAL)
def test_the_real_files(
    shared_data: Path, name: str, split: str, count: int, ones: int, texts: list[str], label: int
) -> None:
    task = NAMED[name]
    rows = load_rows(task, str(shared_data), split)
    assert len(rows) == len({row["id"] for row in rows}) == count
    assert sum(row["label"] for row in rows) == ones
    assert set(rows[0]) == {"id", "label", *task.columns}
    assert rows[0]["label"] == label
    for column, text in zip(task.columns, texts, strict=True):
        assert rows[0][column].startswith(text)
    texts_of_all = [row[column] for row in rows for column in task.columns]
    assert all(text.strip() for text in texts_of_all)
    assert not any(mark in text for text in texts_of_all for mark in "\t\r\n")
    assert load_rows(task, str(shared_data / "glue"), split) == rows


def test_what_of_the_real_files_is_there(shared_data: Path) -> None:
    there = [task.name for task in GLUE if Folder(str(shared_data)).available(task)]
    assert there == ["cola", "sst2", "stsb", "mrpc", "rte"]


def test_labels_mean_what_they_say(shared_data: Path) -> None:
    """Rows whose answer any reader knows."""

    def label_of(name: str, split: str, start: str) -> str:
        task = NAMED[name]
        rows = load_rows(task, str(shared_data), split)
        row = next(row for row in rows if row[task.columns[0]].startswith(start))
        return task.words[row["label"]]

    assert label_of("cola", "train", "They drank the pub.") == "no"
    assert label_of("sst2", "dev", "one long string of cliches") == "negative"
    assert label_of("rte", "train", "No Weapons of Mass Destruction") == "no"
    assert label_of("qnli", "dev", "What came into force after") == "yes"
    assert label_of("mrpc", "train", "Amrozi accused his brother") == "yes"


def test_both_dev_sets_of_mnli_are_scored(tiny_causal: Path, tmp_path: Path) -> None:
    """Neither may overwrite the other: here all matched rows are entailed, all others are not."""
    head = "index\tsentence1\tsentence2\tgold_label"
    for name, label in [
        ("train", "neutral"), ("dev_matched", "entailment"), ("dev_mismatched", "contradiction"),
    ]:  # fmt: skip
        lines = [head, *(f"{i}\tthe cat saw a dog\tthe dog saw a cat\t{label}" for i in range(5))]
        path = tmp_path / "MNLI" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines))
    plan = plan_for(["finetune"], ["mnli"], tiny_causal, tmp_path, "train.steps=0", forget=["mnli"])
    result, rows, _ = run_cell(only_cell(plan), workspace_for(plan, tmp_path / "out"), False)
    assert result["scores"] is not None
    found = result["scores"]["before"]
    assert set(found) == {"accuracy", "mismatched_accuracy"}
    answered = rows["before"]
    assert found["accuracy"] == sum(a == 0 for a in answered[:5]) / 5
    assert found["mismatched_accuracy"] == sum(a == 2 for a in answered[5:]) / 5
    assert rows["gold"] == [0] * 5 + [2] * 5
    assert [name.split("-")[0] for name in rows["id"]] == ["dev"] * 5 + ["mismatched"] * 5
    assert result["data"]["dev_rows"] == 5


def test_the_real_scores(shared_data: Path) -> None:
    for split, count, mean in (("train", 5749, 2.70), ("dev", 1500, 2.36)):
        rows = load_rows(NAMED["stsb"], str(shared_data), split)
        labels = [row["label"] for row in rows]
        assert len(rows) == len({row["id"] for row in rows}) == count
        assert (min(labels), max(labels)) == (0, 5)
        assert sum(labels) / count == pytest.approx(mean, abs=0.01)
    assert rows[0]["sentence1"] == "A man with a hard hat is dancing."


@pytest.mark.parametrize("score", ["", "five", "5.1", "-0.2", "nan"])
def test_a_score_out_of_range(tmp_path: Path, score: str) -> None:
    path = tmp_path / "STS-B" / "dev.tsv"
    path.parent.mkdir()
    path.write_text(f"sentence1\tsentence2\tscore\nA.\tB.\t2.5\nA.\tC.\t{score}\n")
    with pytest.raises(BenchError, match=r"dev.tsv:3: score '.*' is no number from 0 to 5"):
        load_rows(NAMED["stsb"], str(tmp_path), "dev")


def test_ax_is_trained_on_mnli_and_needs_the_file_with_answers(tmp_path: Path) -> None:
    head = "index\tsentence1\tsentence2\tgold_label\n"
    ax, mnli = NAMED["ax"], tmp_path / "MNLI"
    mnli.mkdir()
    for name in ("train", "dev_matched", "dev_mismatched"):
        (mnli / f"{name}.tsv").write_text(f"{head}0\t{name}.\tB.\tneutral\n")
    (tmp_path / "diagnostic").mkdir()
    (tmp_path / "diagnostic" / "diagnostic.tsv").write_text("index\tsentence1\tsentence2\n")
    assert not Folder(str(tmp_path)).available(ax)
    with pytest.raises(BenchError, match=r"has no diagnostic-full.tsv, the dev rows of 'ax'"):
        load_rows(ax, str(tmp_path), "dev")
    with pytest.raises(BenchError, match="the hub has no rows with answers for the task 'ax'"):
        load_rows(ax, "hub", "dev")
    full = "Logic\tPremise\tHypothesis\tLabel\nNegation\tC.\tD.\tcontradiction\n"
    (tmp_path / "diagnostic" / "diagnostic-full.tsv").write_text(full)
    assert Folder(str(tmp_path)).available(ax)
    (train,), (dev,) = (load_rows(ax, str(tmp_path), split) for split in SPLITS)
    assert (train["premise"], train["label"]) == ("train.", 1)
    assert (dev["premise"], dev["hypothesis"], dev["label"]) == ("C.", "D.", 2)
    before = Folder(str(tmp_path)).fingerprint(ax)
    (mnli / "train.tsv").write_text(f"{head}0\tanother.\tB.\tneutral\n")
    assert Folder(str(tmp_path)).fingerprint(ax) != before
