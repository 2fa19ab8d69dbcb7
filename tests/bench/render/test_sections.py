"""A board in words, and the renderer of docs/add_a_renderer.md, which knows no more than those."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from bench.cells.store import Store
from bench.render.section import Column
from bench.render.sections import page
from tests.bench.render.test_layout import EVERY
from tests.helpers.made_up import result

PAGE = (Path(__file__).parents[3] / "docs" / "add_a_renderer.md").read_text("utf-8")
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("made", EVERY)
def test_a_section_is_a_full_table_of_single_lines(made: object) -> None:
    assert callable(made)
    for board in made():
        for section in page(board).sections:
            assert {len(row) for row in section.rows} <= {len(section.columns)}
            texts = [section.title, *section.notes, *(cell for row in section.rows for cell in row)]
            assert [text for text in texts if text != " ".join(text.split())] == []
            assert section.columns[0].left and not any(
                c.left for c in section.columns if not c.words
            )


@pytest.mark.parametrize("made", EVERY)
def test_one_file_renders_every_section(made: object) -> None:
    assert callable(made)
    assert "bench.board" not in CODE
    renderer: dict[str, object] = {"__name__": "latex"}
    exec(CODE, renderer)
    render = renderer["render"]
    assert callable(render)
    text, found = render(made()), made()
    sections = [section for board in found for section in page(board).sections]
    assert text.count(r"\end{tabular}") == len(sections)
    for section in sections:
        assert f"% {section.title}\n" in text
        assert "l" + "r" * (len(section.columns) - 1) in text
        for row in section.rows:
            figures = [cell for cell in row if re.fullmatch(r"[-+]?\d+\.\d+", cell)]
            assert any(all(f in line for f in figures) for line in text.splitlines())


def test_it_runs_on_the_folder_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path / "run").write(result(), None)
    (tmp_path / "latex.py").write_text(CODE, "utf-8")
    monkeypatch.setattr(sys, "argv", ["latex.py", str(tmp_path / "run")])
    runpy.run_path(str(tmp_path / "latex.py"), run_name="__main__")
    heads = r"method & n & before & after $\uparrow$ & gain $\uparrow$ & retain +nats"
    assert heads in capsys.readouterr().out


def test_every_field_of_a_column_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == list(Column.__dataclass_fields__)
