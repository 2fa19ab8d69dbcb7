"""The zip for GLUE's server: names, headers, label strings and row counts, from a real run."""

from __future__ import annotations

import random
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from bench.scoring import glue_server
from bench.scoring.glue_server import SHEETS, spelled

load_builtin()
# The files of the zip and their rows, as gluebenchmark.com/faq and the test files have them.
WANTED = {
    "CoLA.tsv": 1063, "SST-2.tsv": 1821, "MRPC.tsv": 1725, "STS-B.tsv": 1379, "QQP.tsv": 390965,
    "MNLI-m.tsv": 9796, "MNLI-mm.tsv": 9847, "QNLI.tsv": 5463, "RTE.tsv": 3000, "WNLI.tsv": 146,
    "AX.tsv": 1104,
}  # fmt: skip


def test_the_sheets_are_the_servers() -> None:
    found = {sheet.name: sheet.rows for group in SHEETS.values() for sheet in group}
    assert found == WANTED
    assert set(SHEETS) <= set(TASKS.names())


def test_labels_are_spelt_as_the_server_reads_them() -> None:
    def both(name: str) -> list[str]:
        return spelled(TASKS.get(name), range(len(TASKS.get(name).labels)))

    for name in ("cola", "sst2", "mrpc", "qqp", "wnli"):
        assert both(name) == ["0", "1"]
    assert both("qnli") == both("rte") == ["entailment", "not_entailment"]
    assert both("mnli") == ["entailment", "neutral", "contradiction"]
    assert spelled(TASKS.get("stsb"), [-0.2, 2.34567, 5.5]) == ["0.000", "2.346", "5.000"]


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """The tiny data with test files of the server's number of rows."""
    folder = shutil.copytree(tiny_data, tmp_path / "data")
    text = random.Random("test rows").choice
    words = ["the cat", "a dog", "the king saw a cat"]
    cola = [f"{i}\t{text(words)}" for i in range(1063)]
    (folder / "glue/CoLA/test.tsv").write_text("\n".join(["index\tsentence", *cola, ""]))
    rte = [f"{i}\t{text(words)}\t{text(words)}" for i in range(3000)]
    header = "index\tsentence1\tsentence2"
    (folder / "glue/RTE/test.tsv").write_text("\n".join([header, *rte, ""]))
    return folder


def test_from_a_run_to_the_zip(
    tiny_causal: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--methods", "finetune", "--tasks", "cola,rte", "--model", tiny_causal, "--data", data]
    words += ["--seeds", 1, "--steps", 2, "--out", tmp_path / "run"]
    words += ["--set", "train.retention_tokens=128", "train.forget_rows=8"]

    def run(*more: str) -> int:
        return main([str(word) for word in (*words, *more)])

    assert run() == 0
    assert run("--submission") == 0
    assert "0 done, 2 to run" in capsys.readouterr().out  # they had not answered the test rows
    assert run("--submission") == 0
    assert "2 done, 0 to run" in capsys.readouterr().out
    made = ["submission", str(tmp_path / "run"), "--method", "finetune"]
    assert main(made) == 0
    assert "the server wants these too: SST-2.tsv" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "run" / "submission.zip") as archive:
        assert sorted(archive.namelist()) == ["CoLA.tsv", "RTE.tsv"]
        for name, labels in {
            "CoLA.tsv": {"0", "1"},
            "RTE.tsv": set(TASKS.get("rte").labels),
        }.items():
            lines = archive.read(name).decode().removesuffix("\n").split("\n")
            assert lines[0] == "index\tprediction"
            rows = [line.split("\t") for line in lines[1:]]
            assert [int(index) for index, _ in rows] == list(range(WANTED[name]))
            assert {label for _, label in rows} <= labels
    words = ["--methods", "finetune", "--submission", "--dry-run", "--tasks"]
    for tasks, message in (
        ("cola", "micro has no test rows"),
        ("sst5", "not what is asked"),
    ):
        assert main([*words, tasks]) == 2
        assert message in capsys.readouterr().err
    for more, message in (
        (["--method", "finetun"], "Did you mean 'finetune'?"),
        (["--seed", "7"], "finetune has no answers for seed 7; it has [0]."),
    ):
        assert main([*made, *more]) == 2
        assert message in capsys.readouterr().err


def test_rows_of_saved_data_sets(tmp_path: Path) -> None:
    """As `load_dataset("nyu-mll/glue", ...).save_to_disk` leaves them: test labels are -1, and the
    diagnostic set is a configuration of its own."""
    import datasets

    datasets.disable_progress_bars()
    rows = {"test_matched": 9796, "test_mismatched": 9847}
    mnli = TASKS.get("mnli")
    for folder, splits in {"mnli": rows, "ax": {"test": 1104}}.items():
        found = {}
        for split, count in splits.items():
            texts = {column: [f"{split} {i}" for i in range(count)] for column in mnli.columns}
            found[split] = datasets.Dataset.from_dict({**texts, "label": [-1] * count})
        datasets.DatasetDict(found).save_to_disk(str(tmp_path / folder))
    sheets = glue_server.test_rows(mnli, str(tmp_path))
    assert {name: len(found) for name, found in sheets.items()} == {
        name: WANTED[name] for name in ("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv")
    }
    assert sheets["MNLI-mm.tsv"][7] == {
        "id": "test-7", "premise": "test_mismatched 7", "hypothesis": "test_mismatched 7",
        "label": 0,
    }  # fmt: skip
    assert sheets["AX.tsv"][1103]["premise"] == "test 1103"


def test_the_classic_files_of_mnli(tmp_path: Path) -> None:
    for file, count in {
        "MNLI/test_matched": 9796,
        "MNLI/test_mismatched": 9847,
        "diagnostic/diagnostic": 1104,
    }.items():
        path = tmp_path / f"{file}.tsv"
        path.parent.mkdir(exist_ok=True)
        lines = [f"{i}\t{file} {i}\tso" for i in range(count)]
        path.write_text("\n".join(["index\tsentence1\tsentence2", *lines, ""]))
    sheets = glue_server.test_rows(TASKS.get("mnli"), str(tmp_path))
    assert [len(rows) for rows in sheets.values()] == [9796, 9847, 1104]
    assert sheets["AX.tsv"][5]["premise"] == "diagnostic/diagnostic 5"
    with pytest.raises(BenchError, match=r"--submission, CoLA\.tsv: no folder with the task"):
        glue_server.test_rows(TASKS.get("cola"), str(tmp_path))


def test_a_file_that_the_server_would_refuse(data: Path) -> None:
    cola = TASKS.get("cola")
    path = data / "glue" / "CoLA" / "test.tsv"
    assert glue_server.test_rows(cola, str(data))["CoLA.tsv"][0].keys() == {
        "id",
        "sentence",
        "label",
    }
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(BenchError, match=r"CoLA\.tsv: .* 1062 test rows; the server wants 1063\."):
        glue_server.test_rows(cola, str(data))
    path.unlink()
    with pytest.raises(BenchError, match=r"CoLA\.tsv: .* has no test\.tsv, the test rows"):
        glue_server.test_rows(cola, str(data))
    assert glue_server.test_rows(TASKS.get("sst5"), str(data)) == {}


# The classic files' headers (of MNLI without the parses), and how they spell labels. CoLA's train
# and dev files have none.
PAIR = ("index", "sentence1", "sentence2")
HEADERS = {
    # folder: (columns of train and dev, what the last or the named one says, columns of test)
    "CoLA": (("source", "label", "star", "sentence"), ["0", "1"], ("index", "sentence")),
    "SST-2": (("sentence", "label"), ["0", "1"], ("index", "sentence")),
    "MRPC": (
        ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
        ["0", "1"],
        ("index", "#1 ID", "#2 ID", "#1 String", "#2 String"),
    ),
    "STS-B": ((*PAIR, "score"), ["0.000", "2.500", "5.000"], PAIR),
    "QQP": (
        ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
        ["0", "1"],
        ("id", "question1", "question2"),
    ),
    "MNLI": (
        (*PAIR, "label1", "gold_label"),
        ["neutral", "entailment", "contradiction"],
        PAIR,
    ),
    "QNLI": (
        ("index", "question", "sentence", "label"),
        ["entailment", "not_entailment"],
        ("index", "question", "sentence"),
    ),
    "RTE": ((*PAIR, "label"), ["entailment", "not_entailment"], PAIR),
    "WNLI": ((*PAIR, "label"), ["0", "1"], PAIR),
}
LABELS = {"label", "Quality", "score", "is_duplicate", "gold_label"}


def write_glue(folder: Path) -> None:
    """Every task of GLUE with a dozen rows a split, and six test rows a sheet."""
    choose = random.Random("glue").choice

    def table(path: Path, columns: tuple[str, ...], labels: list[str], rows: int) -> None:
        lines = [] if columns[0] == "source" else [columns]
        for i in range(rows):
            texts = {
                column: choose(["the cat saw a dog", "a dog", "the king"]) for column in columns
            }
            texts |= {column: labels[i % len(labels)] for column in LABELS & set(columns)}
            lines.append(tuple(texts.values()))
        path.write_text("".join("\t".join(line) + "\n" for line in lines))

    for name, (columns, labels, unlabelled) in HEADERS.items():
        (folder / name).mkdir(parents=True)
        ends = ("_matched", "_mismatched") if name == "MNLI" else ("",)
        table(folder / name / "train.tsv", columns, labels, 12)
        for end in ends:
            table(folder / name / f"dev{end}.tsv", columns, labels, 12)
            table(folder / name / f"test{end}.tsv", unlabelled, labels, 6)
    (folder / "diagnostic").mkdir()
    table(folder / "diagnostic" / "diagnostic.tsv", PAIR, [""], 6)


def test_all_of_glue_from_its_files_to_the_zip(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = {task: tuple(replace(one, rows=6) for one in sheets) for task, sheets in SHEETS.items()}
    monkeypatch.setattr(glue_server, "SHEETS", few)
    write_glue(tmp_path / "data")
    words = ["--methods", "finetune", "--tasks", ",".join(SHEETS), "--model", "micro"]
    words += ["--data", tmp_path / "data", "--seeds", 1, "--steps", 1, "--out", tmp_path / "run"]
    words += ["--submission", "--set", "train.retention_tokens=128", "train.forget_rows=4"]
    assert main([str(word) for word in words]) == 0
    assert "GLUE average, wnli included" in capsys.readouterr().out
    assert main(["submission", str(tmp_path / "run"), "--method", "finetune"]) == 0
    assert "the server wants these too" not in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "run" / "submission.zip") as archive:
        assert sorted(archive.namelist()) == sorted(WANTED)
        for name in WANTED:
            header, *lines = archive.read(name).decode().splitlines()
            assert header == "index\tprediction"
            rows = [line.split("\t") for line in lines]
            assert [index for index, _ in rows] == list("012345")
            folder = "MNLI" if name in ("AX.tsv", "MNLI-m.tsv", "MNLI-mm.tsv") else name[:-4]
            answers = {answer for _, answer in rows}
            if name == "STS-B.tsv":
                assert all(re.fullmatch(r"[0-5]\.\d{3}", answer) for answer in answers)
            else:
                assert answers <= set(HEADERS[folder][1])
