"""Every figure that answers give is computed again; bench.render.verification says what differs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from bench.board.leaderboard import boards
from bench.board.verification import Verified, verify
from bench.cells.gathering import gathered
from bench.cells.result import CellResult, Predictions
from bench.cells.store import Store
from bench.planning.plugins import load_builtin
from bench.render.tidy import to_json
from bench.render.verification import report, written_otherwise
from bench.rows.lookup import Lookup
from bench.rows.source import source_of
from bench.rows.task import TASKS
from tests.conftest import Run
from tests.helpers.made_up import result

STORIES = Path(__file__).parents[3] / "results" / "boards" / "stories260K"
ROWS = Lookup("nowhere")
GOLD, BEFORE, AFTER = [1, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1]


def cell(**parts: Any) -> tuple[CellResult, Predictions]:
    """Four rows of dev and two of another split, scored by scikit-learn."""
    found = result(task="rte")
    columns = {"gold": [*GOLD], "before": [*BEFORE], "after": [*AFTER]}
    found["scores"] = {
        "primary": "accuracy",
        "before": scores(BEFORE),
        "after": scores(AFTER),
    }
    found["flips"] = {"lost": 1 / 4, "gained": 1 / 4}
    found["chance"] = {
        "majority": 3 / 4,
        "before": {"share": 2 / 4, "hash": sha(BEFORE[:4])},
        "after": {"share": 2 / 4, "hash": sha(AFTER[:4])},
    }
    found["data"] = {"train_rows": 9, "dev_rows": 4, "truncated_rows": 0}
    found["hash"] = sha(found["cell"])
    ids = [*(f"dev-{i}" for i in range(4)), "mismatched-0", "mismatched-1"]
    answers: dict[str, Any] = {"schema_version": 7, "hash": found["hash"], "id": ids, **columns}
    answers["scores_after"] = [[0.0, 0.0]] * 6
    return {**found, **parts}, answers  # type: ignore[typeddict-item, return-value]


def scores(answers: list[int]) -> dict[str, float]:
    return {
        "accuracy": float(accuracy_score(GOLD[:4], answers[:4])),
        "f1": float(f1_score(GOLD[:4], answers[:4])),
        "matthews_correlation": float(matthews_corrcoef(GOLD[:4], answers[:4])),
        "mismatched_accuracy": float(accuracy_score(GOLD[4:], answers[4:])),
    }


def sha(value: Any) -> str:
    import hashlib

    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def test_figures_that_are_right_agree() -> None:
    found = verify(*cell(), ROWS)
    assert found.differ == ()
    assert found.agree == 1 + 1 + 2 * 4 + 2 + 5  # hash, time, scores, flips, chance
    assert set(found.unchecked) >= {"retention", "forgotten", "drift", "costs"}
    assert not any(name.startswith(("scores", "flips", "chance")) for name in found.unchecked)


def test_validation_rows_are_checked_though_their_ids_are_those_of_training_rows() -> None:
    found, answers = cell()
    found["scores"]["before"]["validation_accuracy"] = 0.0  # type: ignore[index]
    found["scores"]["after"]["validation_accuracy"] = 0.5  # type: ignore[index]
    answers["id"] += ["train-3", "train-7"]
    answers["gold"] += [1, 0]
    answers["before"] += [0, 1]
    answers["after"] += [1, 1]
    answers["scores_after"] += [[0.0, 0.0]] * 2
    assert verify(found, answers, ROWS).differ == ()
    found["scores"]["after"]["validation_accuracy"] = 1.0  # type: ignore[index]
    (line,) = verify(found, answers, ROWS).differ
    assert line.startswith("scores.after.validation_accuracy is 1.0, and 0.5 when")


def test_the_majority_of_a_trial_is_that_of_its_validation_rows() -> None:
    found, answers = cell()
    answers["id"] = [f"train-{i}" for i in range(6)]
    assert found["scores"] and found["chance"]
    for when in ("before", "after"):
        value = found["scores"][when]["accuracy"]  # type: ignore[literal-required]
        found["scores"][when] = {"validation_accuracy": value}  # type: ignore[literal-required]
    found["scores"]["primary"] = "validation_accuracy"
    found["chance"]["majority"] = 3 / 4
    differ = verify(found, answers, ROWS).differ
    assert not any("majority" in line for line in differ), differ
    found["chance"]["majority"] = 1 / 2
    differ = verify(found, answers, ROWS).differ
    assert "chance.majority is 0.5, and 0.75 when it is computed again" in differ


def test_validation_rows_of_the_data_are_held_against_their_answers() -> None:
    load_builtin()
    task = TASKS.get("rte")
    source = source_of(task, "micro")
    rows = [source.rows(task, "dev")[0], source.rows(task, "train")[0]]
    found = result(task="rte")
    found["cell"]["training"]["validation"] = 0.1
    found["cell"]["data"]["hash"] = source.fingerprint(task)
    found["hash"] = sha(found["cell"])
    answers: Any = {"hash": found["hash"], "id": [row["id"] for row in rows]}
    answers |= {key: [row["label"] for row in rows] for key in ("gold", "before", "after")}
    line = "gold is not that of the rows in 1 of them, such as " + rows[1]["id"]
    for value, differ in ((rows[1]["label"], False), (1 - rows[1]["label"], True)):
        answers["gold"][1] = value
        assert (line in verify(found, answers, Lookup("micro")).differ) is differ


PLACES = [
    ("scores", "after", "accuracy"), ("scores", "before", "f1"),
    ("scores", "after", "matthews_correlation"), ("scores", "before", "mismatched_accuracy"),
    ("flips", "lost"), ("flips", "gained"), ("chance", "majority"), ("chance", "after", "share"),
    ("chance", "before", "hash"), ("costs", "method"),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_figure_that_is_changed_is_named(place: tuple[str, ...]) -> None:
    found, answers = copy.deepcopy(cell())
    part: Any = found
    for name in place[:-1]:
        part = part[name]
    value = part[place[-1]]
    part[place[-1]] = value + 1e-6 if isinstance(value, float) else "0" * 64
    (line,) = verify(found, answers, ROWS).differ
    assert line.startswith(f"{'.'.join(place)} is {part[place[-1]]}, and {value} when")


def test_an_answer_or_a_setting_that_is_changed_is_found() -> None:
    found, answers = copy.deepcopy(cell())
    answers["after"][0] = 0
    assert any("scores.after.accuracy" in line for line in verify(found, answers, ROWS).differ)
    found, answers = copy.deepcopy(cell())
    found["cell"]["training"]["lr"] = 1.0
    (line,) = verify(found, answers, ROWS).differ
    assert line.startswith("hash is ")
    answers["hash"] = "0" * 64
    assert "its answers are those of another cell" in verify(found, answers, ROWS).differ


def test_answers_that_nobody_could_score_are_one_line() -> None:
    for column in ([{}] * 6, ["x"] * 6, [[1]] * 6):
        found, answers = cell()
        checked = verify(found, {**answers, "after": column}, ROWS)
        assert checked.differ and all("\n" not in line for line in checked.differ)
    found, answers = cell(data={"train_rows": 9, "dev_rows": 40, "truncated_rows": 0})
    assert verify(found, answers, ROWS).differ == (
        "its answers cannot be scored (6 of 40 rows are answered)",
    )


def test_what_has_no_answers_is_said_to_be_unchecked() -> None:
    found, _ = cell()
    checked = verify(found, None, ROWS)
    assert (checked.agree, checked.differ) == (2, ())  # hash and time
    assert {"answers (not kept)", "scores", "flips", "chance"} <= set(checked.unchecked)


def test_of_a_sequence_the_first_and_the_last_row_are_computed() -> None:
    found = result("ewc", "cola>rte", stages=["cola", "rte"])
    matrix = [[0.0, 0.5], [0.25, 0.5], [1.0, 0.0]]
    found["sequence"] = {"tasks": ["cola", "rte"], "metrics": ["accuracy"] * 2, "matrix": matrix}
    found["scores"] = {"primary": "average", "before": {"average": 0.25}, "after": {"average": 0.5}}
    found["flips"], found["hash"] = None, sha(found["cell"])
    answers: Any = {
        "schema_version": 7,
        "hash": found["hash"],
        "id": ["cola-dev-0", "rte-dev-0", "rte-dev-1"],
        "gold": [1, 1, 0],
        "before": [0, 1, 1],
        "after": [1, 0, 1],
        "scores_after": [[0.0]] * 3,
    }
    checked = verify(found, answers, ROWS)
    assert checked.differ == () and "R[1]" in checked.unchecked
    assert checked.agree == 1 + 1 + 2 + 2
    matrix[2][1] = 0.5
    assert [line[:7] for line in verify(found, answers, ROWS).differ] == ["R[2] is", "scores."]


def test_committed_answers_give_the_committed_figures(shared_data: Path) -> None:
    load_builtin()
    found, rows = gathered([STORIES]), Lookup(str(shared_data))
    checked = [verify(one, found.answers(one), rows) for one in found.results]
    assert len(checked) == 24 and sum(one.agree for one in checked) == 144
    assert all(one.differ == () for one in checked)
    assert not any(part.startswith("gold") for one in checked for part in one.unchecked)
    one = found.results[0]
    answers = found.answers(one)
    assert answers is not None
    changed: Any = {**answers, "gold": [1 - answers["gold"][0], *answers["gold"][1:]]}
    lines = verify(one, changed, rows).differ
    assert f"gold is not that of the rows in 1 of them, such as {answers['id'][0]}" in lines
    changed = {**answers, "id": ["dev-99999", *answers["id"][1:]]}
    (line,) = verify(one, changed, rows).differ
    assert "such as dev-99999" in line
    (part,) = (p for p in verify(one, answers, Lookup("micro")).unchecked if p.startswith("gold"))
    assert part == "gold (micro has other rows)"


def test_a_board_that_its_cells_do_not_give_is_named(tmp_path: Path) -> None:
    cells = [result(m, seed=s, after=0.5 + s / 8) for m in ("finetune", "ewc") for s in (0, 1)]
    path, made = tmp_path / "leaderboard.json", boards(cells)
    assert written_otherwise(path, made) == []
    path.write_text(to_json(made))
    assert written_otherwise(path, made) == []
    records = json.loads(path.read_text())
    records[1]["after_half_width"] *= 0.9
    path.write_text(json.dumps(records))
    (line,) = written_otherwise(path, made)
    assert line.startswith("leaderboard.json: after_half_width of ewc on cola is ")
    for text in ("[1]", "{", '{"a": 1}', "[" * 100_000, '[{"board": []}]'):
        path.write_text(text)
        assert written_otherwise(path, made) == [f"{path} cannot be read"]


def test_the_report_says_first_what_differs() -> None:
    good = Verified("a (1)", 10, (), ("retention", "drift"))
    bad = Verified("b (2)", 9, ("x is 1, and 2 when it is computed again",), ("retention",))
    lines = report(Path("run"), [good, bad], ["leaderboard.json: y"], 80).splitlines()
    assert lines[0].startswith("! b (2): x is 1") and lines[1] == "! leaderboard.json: y"
    said = " ".join(" ".join(lines[2:4]).split())
    assert said.endswith(
        "20 figures computed again: 1 of them differ; 1 of leaderboard.json differ"
    )
    assert lines[-3:] == ["not checkable, cells:", "  2: retention", "  1: drift"]


def test_a_folder_that_was_run_here_is_right(
    run: Run, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = ["--methods", "finetune", "--tasks", "cola,cola>rte", "--model", tiny_causal, "--data"]
    words += [tiny_data, "--seeds", 1, "--steps", 2, "--out", folder, "--jobs", 1]  # type: ignore[list-item]
    words += ["--retain-tasks", "rte", "--path", 2, "--eval-every", 1]  # type: ignore[list-item]
    assert run(*words, "--set", "train.retention_tokens=128", "train.forget_rows=8")[0] == 0
    code, out, _ = run("verify", folder, "--data", tiny_data)
    assert code == 0 and "2 finished cells" in out and "all agree" in out and "gold" not in out
    assert "not checkable, cells:\n  2: drift, costs\n  1: R[1]\n" in f"{out}\n"
    assert run("pack", folder, "--out", tmp_path / "run.zip")[0] == 0
    assert run("merge", tmp_path / "run.zip", "--into", tmp_path / "other")[0] == 0
    _, theirs, _ = run("verify", tmp_path / "other", "--data", tiny_data)
    assert theirs == out.replace(str(folder), str(tmp_path / "other"))
    cells = [p for p in (folder / "cells").glob("*cola-seed*.json") if "rows" not in p.name]
    text = cells[0].read_text()
    done = json.loads(text)
    done["scores"]["after"]["matthews_correlation"] += 0.125
    cells[0].write_text(json.dumps(done))
    code, out, _ = run("verify", folder, "--data", tiny_data)
    assert code == 1 and "matthews_correlation is" in out
    assert "! leaderboard.json: after of finetune on cola" in out
    assert len(Store(folder).all()) == 2
