"""The notebook of examples/ is run, without Jupyter: cell by cell, in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api import Boards, Runs

USAGE = Path(__file__).parents[1] / "docs" / "usage.md"
PUBLIC = [name for name in vars(Runs) if not name.startswith("_")]
NOTEBOOK = Path(__file__).parents[1] / "examples" / "compare.ipynb"


def code_cells() -> list[tuple[str, bool]]:
    """The source of each code cell, and whether it plots."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [
        ("".join(cell["source"]), "plot" in cell["metadata"].get("tags", []))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is left in the names of the notebook when all but its plot was run."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        for source, plots in code_cells():
            if not plots:
                exec(compile(source, str(NOTEBOOK), "exec"), names)
    return names


@pytest.mark.slow
def test_the_notebook_compares_and_calculates(notebook: dict[str, Any]) -> None:
    runs, frame = notebook["runs"], notebook["frame"]
    assert isinstance(runs, Runs) and not runs.failed
    assert isinstance(runs.board(), Boards)
    assert runs.folder == Path("results/local/micro")
    assert set(frame["variant"]) == {"finetune", "l2sp", "recadam"} and len(frame) == 6
    assert set(notebook["points"].index) == {"finetune", "l2sp", "l2sp[alpha=1.0]"}


@pytest.mark.slow
def test_the_notebook_plots(notebook: dict[str, Any]) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("needs matplotlib: pip install '.[plot]'")
    import matplotlib

    matplotlib.use("agg")
    (source,) = (source for source, plots in code_cells() if plots)
    exec(compile(source, str(NOTEBOOK), "exec"), notebook)
    assert len(notebook["axes"].texts) == 3


def test_what_docs_show_of_python_is_there() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", USAGE.read_text(encoding="utf-8"), re.S)
    compile(shown, str(USAGE), "exec")
    assert set(re.findall(r"runs\.(\w+)", shown)) == set(PUBLIC)
    assert {"compare", "load"} <= set(bench.__all__)


def test_nothing_that_was_run_is_kept_in_the_notebook() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
