"""SuperGLUE's tasks, in the layout of its zip files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.rows.source import load_rows
from tasks.superglue import SUPERGLUE

BOOLQ, CB, COPA = SUPERGLUE
# folder, an official line, the row, its answer
ROWS: list[tuple[Any, str, dict[str, Any], dict[str, Any], str]] = [
    (
        BOOLQ, "BoolQ", {"question": "is rain wet", "passage": "Rain.", "idx": 3, "label": True},
        {"question": "is rain wet", "passage": "Rain.", "label": 1}, "yes",
    ),
    (
        CB, "CB", {"premise": "P.", "hypothesis": "H", "label": "neutral", "idx": 0},
        {"premise": "P.", "hypothesis": "H", "label": 2}, "maybe",
    ),
    (
        COPA, "COPA",
        {"premise": "P.", "choice1": "C.", "choice2": "D.", "question": "cause", "label": 1},
        {"premise": "P.", "choice1": "C.", "choice2": "D.", "question": "cause", "label": 1}, "D.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("task", "folder", "line", "row", "answer"), ROWS)
def test_a_line(
    tmp_path: Path, task: Any, folder: str, line: dict[str, Any], row: dict[str, Any], answer: str
) -> None:
    path = tmp_path / "superglue" / folder / "val.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(line) + "\n" + json.dumps({**line, "label": "what"}) + "\n")
    with pytest.raises(BenchError, match=r"val.jsonl:2: unknown label 'what'; known: "):
        load_rows(task, str(tmp_path), "dev")
    path.write_text(json.dumps(line) + "\n")
    (found,) = load_rows(task, str(tmp_path), "dev")
    assert found == {"id": "dev-1", **row}
    assert task.answers(found)[found["label"]] == answer
    assert task.prompt.format(**found).endswith(":")
    assert set(task.hub.columns) == set(task.classic.columns)
