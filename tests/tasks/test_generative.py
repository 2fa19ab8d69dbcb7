"""The tasks of the LWF paper: consistent definitions, the real files, and the layouts of others."""

from __future__ import annotations

import json
import math
import string
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.rows.source import Folder, load_rows
from bench.rows.task import TASKS, Task, extracted
from bench.scoring.metrics import exact_match
from tasks.generative import DENTAL, GENERATIVE, GSM8K, PSYCHOL, QASC, SST5

NAMED = {task.name: task for task in GENERATIVE}


@pytest.mark.parametrize("task", GENERATIVE, ids=NAMED)
def test_a_definition_is_whole(task: Task) -> None:
    load_builtin()
    assert TASKS.get(task.name) is task
    asked = {field for _, field, _, _ in string.Formatter().parse(task.prompt) if field}
    assert asked == set(task.columns)
    answers = {
        "multiple_choice": {*task.labels, "label"},
        "generation": {task.target},
    }.get(task.kind, {"label"})
    assert task.hub is not None
    assert set(task.classic.columns) == set(task.hub.columns) == {*task.columns, *answers}
    assert task.prompt.endswith("Answer:")
    assert len(task.hub.revision) == 40


# task, split, rows by label, first question, its answer
REAL = [
    ("sst5", "train", [1092, 2218, 1624, 2322, 1288], "a stirring , funny and finally", "5"),
    ("sst5", "dev", [139, 289, 229, 279, 165], "in his first stab at the form", "3"),
    ("qasc", "dev", [121, 103, 122, 111, 120, 104, 135, 110], "Climate is generally described in "
     "terms of what?", "local weather conditions"),
    ("psychol", "train", [18, 23, 16, 12], "Which of the following statements best exemplifies "
     "criterion-referenced", "Alice answered 63% of the items correctly"),
    ("psychol", "dev", [153, 157, 169, 133], "Which of the following statements expresses a "
     "relationship between aging", "Aging is related to some loss"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split", "by_label", "question", "answer"), REAL)
def test_the_real_files(
    shared_data: Path, name: str, split: str, by_label: list[int], question: str, answer: str
) -> None:
    task = NAMED[name]
    rows = load_rows(task, str(shared_data), split)
    labels = [row["label"] for row in rows]
    assert [labels.count(label) for label in range(len(task.labels))] == by_label
    assert len({row["id"] for row in rows}) == len(rows) == sum(by_label)
    assert rows[0][task.columns[0]].startswith(question)
    assert task.answers(rows[0])[rows[0]["label"]].startswith(answer)
    assert all(text.strip() for row in rows for text in task.answers(row))


def test_the_real_sums(shared_data: Path) -> None:
    for split, count, first in (("train", 7473, "72"), ("dev", 1319, "18")):
        rows = load_rows(GSM8K, str(shared_data), split)
        assert len(rows) == len({row["id"] for row in rows}) == count
        numbers = [extracted(GSM8K, row["answer"]) for row in rows]
        assert numbers[0] == first
        assert all(math.isfinite(float(number.replace(",", ""))) for number in numbers)


def test_what_of_the_real_files_is_there(shared_data: Path) -> None:
    there = [name for name, task in NAMED.items() if Folder(str(shared_data)).available(task)]
    assert there == ["sst5", "gsm8k", "psychol"]
    with pytest.raises(BenchError, match=r"has no train.json or train.jsonl, the train rows"):
        load_rows(QASC, str(shared_data), "train")


def medmcqa(**changed: Any) -> str:
    """A line of MedMCQA's own files, whose labels count from 1."""
    line = {"question": "How many roots?", "opa": "1", "opb": "2", "opc": "3", "opd": "4"}
    return json.dumps({**line, "cop": 3, "subject_name": "Dental", "exp": None, **changed})


def write(folder: Path, *lines: str, name: str = "dental/dev.json") -> str:
    path = folder / "generative" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(folder)


def test_dental_takes_its_subject_out_of_medmcqa(tmp_path: Path) -> None:
    data = write(tmp_path, medmcqa(), medmcqa(subject_name="Surgery"), medmcqa(cop=1, opa="one"))
    rows = load_rows(DENTAL, data, "dev")
    assert [row["id"] for row in rows] == ["dev-1", "dev-3"]
    assert rows[0] == {
        "id": "dev-1", "question": "How many roots?", "a": "1", "b": "2", "c": "3", "d": "4",
        "label": 2,
    }  # fmt: skip
    assert DENTAL.answers(rows[1])[rows[1]["label"]] == "one"


BAD = {
    "dev.json:2: unknown label 0; known: 1, 2, 3, 4": [medmcqa(), medmcqa(cop=0)],
    "dev.json:1: no 'opd' in": [medmcqa().replace("opd", "ope")],
    "dev.json:2: not JSON": [medmcqa(), medmcqa()[:-9]],
    "has no rows": [medmcqa(subject_name="Surgery")],
}


@pytest.mark.parametrize("message", BAD)
def test_a_line_of_json_that_is_malformed(tmp_path: Path, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        load_rows(DENTAL, write(tmp_path, *BAD[message]), "dev")
    assert "\n" not in str(caught.value)


def test_an_object_of_a_list_that_is_malformed(tmp_path: Path) -> None:
    good = {"query": "Why?", "cands": list("stuvwxyz"), "answer": "z"}
    for bad, message in [
        ({**good, "answer": "a"}, "unknown label 'a'; known: 's', 't'"),
        ({**good, "cands": ["z"]}, r"dev.json, object 2: no 'cands.1' in"),
    ]:
        data = write(tmp_path, json.dumps([good, bad], indent=1), name="qasc/dev.json")
        with pytest.raises(BenchError, match=message):
            load_rows(QASC, data, "dev")
    data = write(tmp_path, "[", '{"query"}', "]", name="qasc/dev.json")
    with pytest.raises(BenchError, match=r"dev.json:2: not JSON"):
        load_rows(QASC, data, "dev")


def ai2(key: str = "B", **changed: Any) -> str:
    """A line of QASC as AI2 hands it out."""
    choices = [{"text": f"answer {letter}", "label": letter} for letter in "ABCDEFGH"]
    line = {"id": "3E7TUJ2EGCLQNOV1WEAJ2NN9ROPD9K", "fact1": "Beads of water form.", "fact2": "So."}
    question = {"stem": "What forms?", "choices": choices}
    return json.dumps({**line, "question": question, "answerKey": key, **changed})


def test_qasc_as_ai2_hands_it_out(tmp_path: Path) -> None:
    for split in ("train", "dev"):
        data = write(tmp_path, ai2(), ai2("H"), name=f"qasc/{split}.jsonl")
    rows = load_rows(QASC, data, "dev")
    assert rows[0] == {
        "id": "dev-1", "question": "What forms?", "label": 1,
        **{letter.lower(): f"answer {letter}" for letter in "ABCDEFGH"},
    }  # fmt: skip
    assert rows[1]["label"] == 7
    assert Folder(data).available(QASC)
    for bad, message in (
        (ai2("I"), "dev.jsonl:2: unknown label 'I'; known: 'A', 'B'"),
        (ai2(question={"stem": "Why?"}), r"dev.jsonl:2: no 'question.choices.0.text' in"),
        (ai2(question={"stem": "Why?", "choices": [{"text": "a"}]}), "no 'question.choices.1.text"),
    ):
        write(tmp_path, ai2(), bad, name="qasc/dev.jsonl")
        with pytest.raises(BenchError, match=message):
            load_rows(QASC, data, "dev")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("+2", "2"),
        ("€12", "12"),
        ("**12**", "12"),
        ("**-£1,000.50**", "-1000.5"),
        (r"\$7", "7"),
        ("−3", "-3"),
        ("$5", "5"),
        ("$ 5", "5"),
        ("-€ 5", "-5"),
        ("₹1,200", "1200"),
        ("`12`", "12"),
        ("__12__", "12"),
        ("–3", "-3"),
    ],
)
def test_a_number_counts_without_what_it_is_dressed_in(written: str, number: str) -> None:
    text = f"2*3+1 and so on\n#### {written}\n\nQuestion: how many?\nAnswer: #### 8"
    assert exact_match([extracted(GSM8K, f"#### {number}")], [extracted(GSM8K, text)]) == 1.0


def test_a_csv_file_with_quotes_and_line_breaks(tmp_path: Path) -> None:
    lines = ['"Why, then?",a,"b ""b""","c', 'c",d,B', "How?,a,b,c,d,D"]
    name = "psychol/professional_psychology_test.csv"
    first, second = load_rows(PSYCHOL, write(tmp_path, *lines, name=name), "dev")
    assert first == {
        "id": "dev-2", "question": "Why, then?", "a": "a", "b": 'b "b"', "c": "c\nc", "d": "d",
        "label": 1,
    }  # fmt: skip
    assert (second["id"], second["label"]) == ("dev-3", 3)
    data = write(tmp_path, lines[-1], 'How?,a,b,c,"d,D', name=name)
    with pytest.raises(BenchError, match=r"test.csv:2: unexpected end of data"):
        load_rows(PSYCHOL, data, "dev")
    data = write(tmp_path, lines[-1], "How?,a,b,c,D", name=name)
    with pytest.raises(BenchError, match=r"test.csv:2: 5 columns, where the first line has 6"):
        load_rows(PSYCHOL, data, "dev")


def test_sst5_in_the_treebanks_layout(tmp_path: Path) -> None:
    data = write(tmp_path, "4 a fine film", "5 what", name="sst5/stsa.fine.dev")
    with pytest.raises(BenchError, match=r"dev:2: unknown label '5'; known: '0', '1'"):
        load_rows(SST5, data, "dev")
    data = write(tmp_path, "4 a fine film", name="sst5/stsa.fine.dev")
    assert load_rows(SST5, data, "dev") == [{"id": "dev-1", "sentence": "a fine film", "label": 4}]
