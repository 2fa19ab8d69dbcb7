"""The page as text: what it shows, that nothing in it is alive but its own script, and its size.

About bench.render.page.background, bench.render.page.curves, bench.render.page.document,
bench.render.page.dots, bench.render.page.figure, bench.render.page.flips,
bench.render.page.recadam, bench.render.page.selection, bench.render.page.tables,
bench.render.page.tags, bench.render.page.tradeoff and bench.render.page.verdicts.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.board.leaderboard import Board, boards
from bench.cells.store import Store
from bench.render.page import Shown, render
from bench.render.page.document import titles_of
from bench.render.page.tags import Markup, joined, tag
from bench.render.sections import page
from bench.rows.lookup import Lookup
from tests.bench.render.test_layout import EVERY
from tests.conftest import Run
from tests.helpers import rich
from tests.helpers.made_up import predictions, result

HEAVY = ("torch", "transformers", "datasets", "pandas")
ROOT = Path(__file__).parents[4]


class Outline(HTMLParser):
    """Elements that were opened, in order, with their attributes; those that are open."""

    EMPTY = ("meta", "input", "br", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def text() -> str:
    return render(rich.shown(rich.cells()))


def titles(text: str, name: str) -> list[str]:
    return [unescape(re.sub("<[^>]*>", "", t)) for t in re.findall(rf"<{name}.*?</{name}>", text)]


def test_parts_stand_in_the_order_of_reading(text: str) -> None:
    assert titles(text, "h3") == [
        "Verdicts", "Target against retention", "Tables", "Learning and forgetting",
        "What methods did", "Answers that changed", "Cells, settings, provenance",
    ]  # fmt: skip
    assert titles(text, "h4")[4:] == [
        "Gain over finetune", "Score against what is forgotten", "Learning: score on the probe",
        "Forgetting: loss on the retention text", "Training loss",
        "RecAdam: λ(t), the weight of the task", "LWF: loss of the answers that are unlearned",
        "LWF: forgetting confidence", "LWF: who is selected",
        "How far the weights went", "RecAdam: drift by k",
    ]  # fmt: skip


def test_what_there_is_no_data_of_has_no_part() -> None:
    text = render(Shown("bare", boards([result()]), lambda _: None, Lookup("micro")))
    assert titles(text, "h3") == [
        "Verdicts",
        "Tables",
        "What methods did",
        "Cells, settings, provenance",
    ]
    assert "Nothing to compare" in text
    assert "<article" not in render(Shown("none", [], lambda _: None, Lookup("micro")))


@pytest.mark.parametrize("made", [*EVERY, lambda: boards(rich.cells(1))])
def test_every_figure_of_a_board_is_on_it_as_in_the_other_forms(
    made: Callable[[], list[Board]],
) -> None:
    found = made()
    text = render(Shown("x", found, lambda _: None, Lookup("micro")))
    plain = unescape(
        re.sub(
            r"<(?!b>|/b>)[^>]*>",
            "\n",
            text.replace("<wbr>", "").replace("<b>", "*").replace("</b>", ""),
        )
    )
    lines = set(plain.split("\n"))
    for board in found:
        for section in page(board).sections:
            assert section.title in lines and lines.issuperset(section.notes)
            assert [c for row in section.rows for c in row if c and c not in lines] == []


def test_every_plot_has_a_caption_with_n_a_name_and_its_data_behind_it(text: str) -> None:
    figures = re.findall(r"<figure>.*?</figure>", text, re.S)
    assert len(figures) == 11
    for figure in figures:
        about = re.search(r"<figcaption>.*?<p>(.*?)</p>", figure)
        assert about and re.search(r"\bn\b", about[1])
        drawings = figure.count('role="img"')
        assert drawings and figure.count('role="img" aria-label="') == drawings
        assert figure.count('class="axis-name"') >= drawings
        assert re.search(r"<details><summary>Data as a table</summary>.*<tbody><tr", figure)


def test_boards_of_one_heading_are_told_apart_by_what_differs() -> None:
    short = {"lr": 0.0005, "steps": 50, "max_train": None}
    other = result(model_name="other", model={"kind": "causal", "hash": "fedcba9876543210"})
    found = boards([result(), result(training=short), other])
    titles = titles_of(found)
    assert sorted(titles) == [
        "other on data", "stories260K on data, steps=100", "stories260K on data, steps=50",
    ]  # fmt: skip
    text = render(Shown("x", found, lambda _: None, Lookup("micro")))
    assert all(text.count(f">{title}<") == 2 for title in titles), "a link and a heading"
    pairs = ("rte", "sst2"), ("cola", "mrpc")
    learned = [result("lwf", a, forget={"tasks": [b], "hash": b}) for a, b in pairs]
    assert sorted(titles_of(boards(learned))) == [
        "stories260K on data: CoLA, forgetting mrpc", "stories260K on data: RTE, forgetting sst2",
    ]  # fmt: skip


def test_elements_are_closed_and_ids_are_met(text: str) -> None:
    outline = Outline(text)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    links = [attributes["href"] for name, attributes in outline.found if name == "a"]
    assert len(ids) == len(set(ids)) and {f"#{id}" for id in ids} >= set(links)


def test_names_and_texts_of_strangers_are_text() -> None:
    text = render(rich.shown(rich.hostile(), rich.HOSTILE))
    outline = Outline(text)
    plain = {name for name, _ in Outline(render(rich.shown(rich.cells()))).found}
    assert {name for name, _ in outline.found} <= plain | {"nav"}
    assert [name for name, _ in outline.found].count("script") == 1
    own = {key for _, attributes in outline.found for key in attributes}
    assert not [key for key in own if key.startswith("on")] and "style" not in own
    assert "&lt;img src=x onerror=alert(1)&gt;" in text and "<img" not in text


def test_the_policy_lets_this_script_and_this_style_run_and_nothing_else(text: str) -> None:
    (policy,) = (
        attributes["content"]
        for _, attributes in Outline(text).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy and policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for name in ("style", "script"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_it_asks_for_nothing(text: str) -> None:
    attributes = [pair for _, given in Outline(text).found for pair in given.items()]
    assert not [pair for pair in attributes if pair[0] in ("src", "srcset", "data", "action")]
    assert all(str(value).startswith("#") for name, value in attributes if name == "href")
    for kind in ("css", "js"):
        source = (ROOT / "bench" / "render" / "page" / f"page.{kind}").read_text("utf-8")
        assert not re.search(r"https?:|url\(|@import|fetch|XMLHttp|import\(|innerHTML|eval", source)


def test_five_hundred_cells_are_less_than_two_megabytes() -> None:
    labels = ("finetune", "ewc", "lwf", "recadam", "recadam[k=0.5]")
    tasks = [f"task{i}" for i in range(20)]
    many = [rich.cell(label, task, seed) for label in labels for task in tasks for seed in range(5)]
    text = render(rich.shown(many))
    assert len(many) == 500 and len(text.encode()) < 2_000_000


def test_report_writes_it_and_imports_nothing_heavy(tmp_path: Path) -> None:
    for one in rich.cells():
        Store(tmp_path).write(one, rich.answers(one))
    script = (
        "import sys\nfrom bench.cli.main import main\n"
        f"code = main(['report', {str(tmp_path)!r}])\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout == f"written: {tmp_path / 'report.html'}\n0 []\n"
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_report_says_what_it_cannot_read(tmp_path: Path, run: Run) -> None:
    one = result()
    Store(tmp_path).write(one, predictions(one))
    (rows,) = (tmp_path / "cells").glob("*.rows.json")
    rows.write_text("{}")
    code, out, _ = run("report", tmp_path, "--out", tmp_path / "p.html")
    assert (code, out) == (0, f"written: {tmp_path / 'p.html'}\n")
    assert "set aside: " in (tmp_path / "p.html").read_text("utf-8")
    assert run("report", tmp_path / "none")[0] == 2


def test_markup_is_what_was_made_by_tag() -> None:
    assert (
        tag("p", "a<b>", Markup("<i>c</i>"), None, class_="x")
        == '<p class="x">a&lt;b&gt;<i>c</i></p>'
    )
    assert tag("input", type="search", disabled=True, name='"') == (
        '<input type="search" disabled name="&quot;">'
    )
    assert tag("rect", x=1.26, data_m=3) == '<rect x="1.3" data-m="3"/>'
    assert joined("&", Markup("&amp;")) == "&amp;&amp;"
