"""Every folder of `results/boards` opens: old schemas are upgraded, and looking changes no file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.board.leaderboard import boards
from bench.cells.store import Store
from bench.cli.main import main
from bench.core.version import SUITE_VERSION
from bench.render import markdown, tidy

RESULTS = Path(__file__).parents[1] / "results" / "boards"
FOLDERS = sorted(path.parent for path in RESULTS.rglob("cells"))


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*") if p.is_file()}


def test_old_schemas_are_among_them() -> None:
    cells = [path for folder in FOLDERS for path in (folder / "cells").glob("*.json")]
    texts = [path.read_text("utf-8") for path in cells if not path.name.endswith(".rows.json")]
    assert {json.loads(text)["schema_version"] for text in texts} >= {1, 4, 5}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(RESULTS)))
def test_a_committed_board_opens_and_stays(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(folder)
    assert main(["table", str(folder)]) == 0
    assert files(folder) == before
    shown = capsys.readouterr().out
    results = Store(folder).all()
    assert (
        f"suite version {results[0]['cell']['suite_version']}, this is {SUITE_VERSION}"
        in (shown.splitlines()[0])
    )
    found = boards(results)
    scored = {r["cell"]["task"] for r in results if r["status"] == "done"}
    assert {record["task"] for record in tidy.records(found)} >= scored
    assert markdown.render(found).count("\n## ") == len(found)
