"""Reproductions as text, Markdown and JSON: the same figures, and nothing wider than its window."""

from __future__ import annotations

import dataclasses
import json
import re

from bench.board.published import Published, Row
from bench.board.reproduction import reproductions
from bench.render.reproduction import FORMATS, reproduction_page
from tests.helpers.made_up import result

ROW = Row(
    name="RecAdam | <b>", method="finetune", model="bert-base", statistic="median", runs=3,
    split="dev", selection="last", lab="a lab", source="a paper", known="secondary",
    values={"rte": 70.0, "cola": None, "wnli": (2.0, 7.0)}, spread={"rte": 2.0}, spread_is="sd",
)  # fmt: skip


def shown(form: str, width: int = 80) -> str:
    cells = [
        result("finetune", task, seed, 0.72 + seed / 50, model_name="bert-base-uncased")
        for task in ("rte", "cola")
        for seed in range(2)
    ]
    two = (ROW, dataclasses.replace(ROW, name="again", model=""))
    published = Published("a table", two, {}, {})
    found = reproductions(published, cells, {})
    page = reproduction_page("mine: a table; measured in x", published, found, ["a note"], 1)
    return FORMATS[form](page, found, "utf-8", width)


def test_text_fits_and_numbers_its_reasons() -> None:
    text = shown("terminal")
    assert max(map(len, text.splitlines())) <= 80
    assert "(1) fewer seeds: 2, not 3" in text and "(2) the source's model is not known" in text
    lines = [line.split() for line in text.splitlines() if line.startswith("rte")]
    first, second = lines
    assert first[:7] == ["rte", "70.0", "2.0", "73.00", "1.41", "2", "+3.00"]
    assert first[7:] == ["+2.0", "not", "comparable", "(1)"]  # 3 / sqrt(4/3 + 2/2) = 1.96
    assert second[8:] == ["not", "comparable", "(2,", "1)"]
    assert [line.split()[-2:] for line in text.splitlines() if line.startswith("cola")] == [
        ["not", "read"]
    ] * 2
    assert re.search(r"^wnli +2 to 7 ", text, re.M) and "not measured" in text


def test_markdown_has_the_same_and_escapes_names() -> None:
    text = shown("markdown")
    assert "### RecAdam \\| &lt;b> (score, median of 3, dev, last, lab a lab, secondary" in text
    assert "| rte | 70.0 | 2.0 | 73.00 | 1.41 | 2 | +3.00 | +2.0 | not comparable (1) |" in text


def test_json_has_a_record_for_each_figure_and_null_for_what_is_missing() -> None:
    rte, cola, wnli, *_ = json.loads(shown("json"))
    assert rte["measured"] == 73 and rte["reasons"] == ["fewer seeds: 2, not 3"]
    assert (rte["verdict"], rte["lab"], rte["known"]) == ("not comparable", "a lab", "secondary")
    assert cola["published"] is None and cola["measured"] == 73 and cola["verdict"] == "not read"
    assert wnli["published"] == [2, 7] and wnli["measured"] is None and wnli["seeds"] == 0


def test_a_folder_of_other_cells_is_not_one_without_any() -> None:
    published, found = Published("", (), {}, {}), []
    facts = [reproduction_page("mine", published, found, [], n).facts for n in (0, 1)]
    assert "--preset runs it" in facts[0][0] and "what the folder holds" in facts[1][0]
