"""The import rule is in force: a deliberate violation turns `make lint` red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = Path(sys.executable).with_name("lint-imports")
BROKEN = {
    "none": ("bench/core/errors.py", "", ""),
    "a folder above": (
        "bench/core/hashing.py",
        "from bench.cells import cell",
        "bench.core.hashing -> bench.cells.cell",
    ),
    "a plug-in": ("bench/board/grouping.py", "import methods.ewc", "bench.board.grouping -> meth"),
    "torch": ("bench/board/statistics.py", "import torch", "bench.board.statistics -> torch"),
    "torch through another": (
        "bench/render/cards.py",
        "from bench.network import batches",
        "bench.render.cards -> bench.network.batches",
    ),
}


@pytest.mark.skipif(not LINT.is_file(), reason="import-linter is not installed")
@pytest.mark.parametrize("name", BROKEN)
def test_a_violation_turns_lint_red(name: str, tmp_path: Path) -> None:
    module, line, found = BROKEN[name]
    for package in ("bench", "methods", "tasks"):
        ignored = shutil.ignore_patterns("models", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    run = subprocess.run([LINT, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, found in run.stdout) == (1 if line else 0, True), run.stdout
