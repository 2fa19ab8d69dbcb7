"""A cell as a page, two side by side, and its answers with their rows (bench.render.examples)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cells.result import CellResult, Predictions
from bench.cells.store import Store, file_name
from bench.planning.plugins import load_builtin
from bench.render import cell as shown
from bench.render.examples import Window, against, examples
from bench.render.terminal import page_text
from bench.rows.lookup import Asked
from bench.rows.task import TASKS
from tests.conftest import Run
from tests.helpers.made_up import predictions, result

GOLD, BEFORE, AFTER = [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]  # lost, gained, wrong, right


def cell(method: str = "lwf", **parts: Any) -> tuple[CellResult, Predictions]:
    found = result(method, **parts)
    found["data"]["dev_rows"] = 4
    ids = [f"dev-{i}" for i in range(4)]
    answers = {**predictions(found), "id": ids, "gold": GOLD, "before": BEFORE, "after": AFTER}
    return found, {**answers, "scores_after": [[0.0]] * 4}  # type: ignore[typeddict-item]


def rows() -> dict[str, Asked]:
    load_builtin()
    task = TASKS.get("cola")
    return {f"dev-{i}": Asked(task, {"id": "", "sentence": f"text {i}\x1b[31m"}) for i in range(4)}


def test_a_cell_is_shown_whole() -> None:
    found, _ = cell(settings={"interval": 4})
    found["curve"] = [{"step": i, "loss": 1 / i} for i in range(1, 41)]
    found["provenance"] = {"commit": "abc", "packages": {"torch": "2.0"}}
    text = page_text(shown.page(found), width=80)
    assert text.startswith(f"lwf x cola x seed 0 ({found['hash'][:12]}): done\n")
    assert ["matthews_correlation", "0.25", "0.5", "+0.25"] in map(str.split, text.splitlines())
    assert "lwf.interval" in text and "packages.torch" in text
    curve = text[text.index("Training") :].split("\n\n")[0].splitlines()
    assert len(curve) <= 3 + 12 and curve[-1].split() == ["40", "0.025"]
    assert max(map(len, text.splitlines())) <= 80
    failed = page_text(shown.page(result(error="it broke")))
    assert "failed: it broke" in failed and "Scores" not in failed


@pytest.mark.parametrize(
    ("kind", "ids"),
    [("all", "0123"), ("lost", "0"), ("gained", "1"), ("wrong", "02"), ("changed", "01")],
)
def test_rows_of_a_kind(kind: str, ids: str) -> None:
    text = examples(*cell(), rows(), Window(kind))
    assert [line[4] for line in text.splitlines() if line.startswith("dev-")] == list(ids)
    assert f"rows ({kind}): {len(ids)} of 4" in text and "\x1b" not in text
    assert f"  sentence: text {ids[0]}?[31m" in text


def test_rows_are_in_words_and_come_in_pages() -> None:
    text = examples(*cell(), rows(), Window(size=3))
    words = [word.strip() for word in TASKS.get("cola").words]
    assert f"dev-0: gold {words[0]} (0), before {words[0]} (0), after {words[1]} (1)" in text
    assert "1 to 3 are shown, --page 2 has the next" in text
    last = examples(*cell(), rows(), Window(size=3, page=2))
    assert "4 to 4 are shown" in last and "next" not in last and "dev-3" in last
    for page in (0, 3):
        with pytest.raises(Exception, match=f"--page {page}: there are 2"):
            examples(*cell(), rows(), Window(size=3, page=page))
    without = examples(*cell(), "micro has other rows", Window())
    assert "no texts: micro has other rows" in without and "gold 0, before 0" in without
    found, answers = cell()
    with pytest.raises(Exception, match="not right or wrong; --rows all or changed"):
        examples({**found, "flips": None}, answers, rows(), Window("lost"))


def test_two_cells_side_by_side() -> None:
    one, its = cell(settings={"interval": 4})
    other, others = cell(settings={"interval": 8}, seed=1, after=0.75)
    others = {**others, "after": BEFORE}
    text = page_text(shown.beside(one, other, (its, others)), width=80)
    assert "lwf.interval: 4 -> 8" in text and "seed: 0 -> 1" in text
    # A answers rows 1 and 3 right, B rows 0 and 3
    assert "answers to 4 rows: 1 right in both, 1 in A alone, 1 in B alone" in text
    assert "after" in text and "+0.25" in text
    pair = against(its, others)
    assert pair is not None and (pair["before"], pair["after"]) == (AFTER, BEFORE)
    assert against(its, None) is None
    assert against(its, {**others, "id": ["x"] * 4}) is None


def test_show_on_the_command_line(tmp_path: Path, run: Run) -> None:
    store, paths = Store(tmp_path), []
    for found, answers in (cell(), cell("ewc", after=0.75)):
        store.write(found, answers)
        paths.append(store.cells / f"{file_name(found)}.json")
    code, out, _ = run("show", paths[0])
    assert code == 0 and "What was run" in out and "dev-0" not in out
    code, out, _ = run("show", paths[0], "--rows", "lost", "--data", "nowhere")
    assert code == 0 and "rows (lost): 1 of 4" in out and "nowhere has no rows of cola" in out
    assert "What was run" not in out
    code, out, _ = run("show", paths[0], "--diff", paths[1], "--rows")
    assert code == 0 and "B-A" in out and "rows (changed): 0 of 4" in out
    bare, _ = cell("finetune")
    store.write(bare, None)
    for words in (
        [store.cells / "x.json"],
        [store.cells / f"{file_name(bare)}.json", "--rows"],
        [paths[0], "--rows", "strange"],
        [paths[0], "--diff", "nowhere.json"],
    ):
        code, _, err = run("show", *words)
        assert code == 2 and len(err.splitlines()) == 1, err
