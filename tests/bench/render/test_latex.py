"""Boards as LaTeX: what stands in bold, what a caption says, and that a real LaTeX takes it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.board.leaderboard import Board, boards
from bench.cells.store import Store
from bench.render import latex
from bench.render.layout import table
from bench.render.sections import page
from tests.bench.render.test_layout import EVERY
from tests.bench.render.test_render import made
from tests.conftest import Run
from tests.helpers.made_up import result

HOSTILE = r"\input{/etc/passwd} 50%_&#$~^{}[]<>|" + "\nλ θ 漢 é ≠"

FIRST = r"""
\begin{table}
\centering\small
\caption{CoLA: Matthews correlation $\times$100 (to be forgotten: rte). Bold: no method is shown better, by the paired 95 \% t-interval over seeds. $\pm$: half-width of the 95 \% t-interval over seeds.}
\begin{tabular}{lrrrrr}
\toprule
method & n & before & \shortstack[r]{after\\$\uparrow$} & \shortstack[r]{gain\\$\uparrow$} & \shortstack[r]{retain\\+nats\\$\downarrow$} \tabularnewline
\midrule
finetune & 3 & 25.00 & \textbf{12.00} $\pm$ 4.97 & ref & \textbf{+0.125} \tabularnewline
lwf{[}interval=8] & 2/3 & -25.00 & \textbf{5.60} $\pm$ 71.15 & -5.40 $\pm$ 58.45 & \textbf{+0.125} \tabularnewline
\bottomrule
\end{tabular}
\par\footnotesize lwf\allowbreak{}{[}interval=8] seed 2 failed:\allowbreak{} loss is nan $|$ at $<$step$>$ 12
\end{table}
"""  # noqa: E501


def test_a_table_has_bold_for_the_best_and_intervals_beside_their_means() -> None:
    assert FIRST in latex.render(made())


def test_a_caption_says_n_where_it_is_one_number_and_its_column_goes() -> None:
    text = latex.render(boards([result(seed=seed) for seed in range(3)]))
    assert "(to be forgotten: rte). n = 3." in text
    assert "method & before &" in text


def test_wide_has_every_column() -> None:
    for board in made():
        gone = table(page(board).sections[0].columns, page(board).sections[0].rows, 72)[1]
        assert "drift" in gone and "drift" not in latex.render([board])
        assert "& drift &" in latex.render([board], wide=True)


def test_what_latex_would_take_for_its_own_is_shown() -> None:
    text = latex.render(boards([result(label=HOSTILE)])).replace(r"\allowbreak{}", "")
    assert (
        r"\textbackslash{}input\{/etc/passwd\} 50\%\_\&\#\$\textasciitilde{}"
        r"\textasciicircum{}\{\}{[}]$<$$>$$|$ $\lambda$ $\theta$ ? é ? &"
    ) in text


def hostile() -> list[Board]:
    return boards([result(label=HOSTILE, model_name=HOSTILE), result("lwf", error=HOSTILE)])


def has_latex() -> bool:
    """Whether pdflatex is here, with booktabs (Debian: texlive-latex-recommended)."""
    if not shutil.which("pdflatex") or not shutil.which("kpsewhich"):
        return False
    return subprocess.run(["kpsewhich", "booktabs.sty"], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.skipif(not has_latex(), reason="needs pdflatex with booktabs")
@pytest.mark.parametrize("found", [*EVERY, hostile], ids=lambda one: one.__name__)
def test_a_real_latex_takes_it(found: Callable[[], list[Board]], tmp_path: Path) -> None:
    log = compiled(latex.render(found(), wide=True), tmp_path)
    assert (tmp_path / "board.pdf").stat().st_size > 1000
    assert "Missing character" not in log


@pytest.mark.skipif(not has_latex(), reason="needs pdflatex with booktabs")
def test_tables_are_no_wider_than_a_page(tmp_path: Path) -> None:
    long = "recadam:anchor_only[k_fraction=0.02,gamma=500.0]"
    found = [result(seed=seed, after=0.5 + seed / 50) for seed in range(3)]
    found += [result("recadam", seed=s, after=0.6 + s / 40, label=long) for s in range(3)]
    text = latex.render(boards(found))
    assert r"\raggedright recadam:\allowbreak{}anchor\_\allowbreak{}only" in text
    assert "Overfull" not in compiled(text, tmp_path)


def compiled(tables: str, folder: Path) -> str:
    """What LaTeX says of these tables in an article."""
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (folder / "board.tex").write_text(f"{head}{tables}\\end{{document}}\n", "utf-8")
    ran = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "board.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    return (folder / "board.log").read_text("latin-1")


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "json"])
def test_table_prints_each_format_alone(form: str, tmp_path: Path, run: Run) -> None:
    Store(tmp_path).write(result(), None)
    (tmp_path / "cells" / "bad.json").write_text("no JSON")
    code, out, err = run("table", tmp_path, "--format", form)
    first = {
        "terminal": "stories260K on data\n",
        "markdown": "# Leaderboard\n",
        "latex": "% needs",
        "csv": "board,suite_version,",
        "json": '[\n {\n  "board":',
    }
    assert code == 0 and out.startswith(first[form])
    assert "set aside" in (out if form == "terminal" else err)
    assert ("set aside" in out) == (form == "terminal")


def test_a_format_that_there_is_not(tmp_path: Path, run: Run) -> None:
    Store(tmp_path).write(result(), None)
    code, out, err = run("table", tmp_path, "--format", "latx")
    assert (code, out) == (2, "") and "latex" in err and err.count("\n") == 1
