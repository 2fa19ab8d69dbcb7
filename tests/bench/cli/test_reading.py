"""The commands that read folders, as words on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cells.store import Store
from tests.conftest import Run
from tests.helpers.made_up import predictions, result


def folder(path: Path, *methods: str, after: float = 0.5) -> Path:
    """The cells of some methods, two seeds each."""
    for method in methods:
        for seed in (0, 1):
            cell = result(method, seed=seed, after=after + seed / 8)
            Store(path).write(cell, predictions(cell))
    return path


def test_boards_over_folders_and_archives(tmp_path: Path, run: Run) -> None:
    a, b = folder(tmp_path / "a", "finetune", "ewc"), folder(tmp_path / "b", "finetune", "lwf")
    code, out, _ = run("pack", b, "--out", tmp_path / "b.zip")
    assert (code, out) == (0, f"written: {tmp_path / 'b.zip'} with 4 cells, the answers of 4\n")
    for second in (b, tmp_path / "b.zip"):
        code, out, _ = run("table", a, second)
        assert code == 0 and all(f"\n{m} " in out for m in ("finetune", "ewc", "lwf"))
        assert "! set aside" not in out
    folder(tmp_path / "c", "ewc", after=0.75)
    code, out, _ = run("table", a, tmp_path / "c")
    assert code == 0 and out.count("! set aside: ewc x cola") == 2
    code, _, err = run("table", a, b, "--write")
    assert code == 2 and "name one" in err
    code, _, err = run("table", tmp_path / "b.zip", "--write")
    assert code == 2 and not (tmp_path / "leaderboard.md").exists()
    code, out, _ = run("table", a, "--format", "parquet")
    assert (code, out) == (0, f"written: {a / 'cells.parquet'}\n")
    assert run("table", a, b, "--format", "parquet")[0] == 2
    assert run("table", a, "--write")[0] == 0 and (a / "leaderboard.md").is_file()


def test_merging_says_what_became_of_each_cell(tmp_path: Path, run: Run) -> None:
    a, b = folder(tmp_path / "a", "finetune"), folder(tmp_path / "b", "finetune", "lwf")
    code, out, _ = run("merge", a, b, "--into", tmp_path / "c")
    assert code == 0
    said = "4 cells added, 0 completed, 2 there already, 0 in conflict"
    assert out == f"merged into {tmp_path / 'c'}: {said}\n"
    folder(tmp_path / "d", "lwf", after=0.75)
    code, out, _ = run("merge", tmp_path / "c", tmp_path / "d")
    assert code == 1 and "2 in conflict" in out and out.count("\n! lwf x cola x seed") == 2
    for words in ([a], [a / "no.zip", b]):
        code, _, err = run("merge", *words)
        assert code == 2 and "--into" in err


def test_what_is_no_folder_is_one_line(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.zip").write_text("no zip")
    for words in (["table", tmp_path / "x.zip"], ["pack", tmp_path / "x.zip"], ["pack", "nowhere"]):
        code, _, err = run(*words)
        assert code == 2 and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--rows"], ["--page", "2"], ["--diff", "x.json"]])
def test_what_is_of_a_cell_is_no_word_for_a_card(run: Run, words: list[str]) -> None:
    code, out, err = run("show", "lwf", *words)
    assert (code, out) == (2, "") and f"{words[0]} is of a cell" in err
