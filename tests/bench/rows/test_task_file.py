"""A reader's own task: each format, from the command line, and each mistake in its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.board.leaderboard import boards
from bench.cli.main import main
from bench.core.errors import BenchError
from bench.planning.plan import Plan
from bench.planning.plugins import load_task_file
from bench.render.plan import plan_text
from bench.rows.source import OwnFiles, load_rows, source_of
from bench.rows.task import TASKS, Files
from bench.rows.task_file import read_task
from bench.selfcheck.world import cells_of, plan_for
from tests.helpers.worlds import results

TOML = """\
name = "spam"
kind = "classification"
columns = { text = "body", label = "class" }
prompt = "Mail: {text}\\nIs it spam? Answer:"
metrics = ["accuracy", "f1"]

[labels]
ham = "no"
spam = "yes"

[files]
train = "train.SUFFIX"
dev = "dev.SUFFIX"
"""
ROWS = [('a cat, said "he"', "ham"), ("buy a dog", "spam"), ("the king's cat", "ham")]
Write = Callable[[Path], None]


def write(path: Path, rows: list[tuple[str, str]] = ROWS) -> None:
    frame = pd.DataFrame(rows, columns=["body", "class"])
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".tsv":
        path.write_text("body\tclass\n" + "".join(f"{b}\t{c}\n" for b, c in rows))
    else:
        objects = frame.to_dict("records")
        lines = path.suffix == ".jsonl"
        path.write_text("\n".join(map(json.dumps, objects)) if lines else json.dumps(objects))


def task_file(folder: Path, suffix: str = "csv", text: str = TOML) -> Path:
    folder.mkdir(exist_ok=True)
    for split in ("train", "dev"):
        write(folder / f"{split}.{suffix}")
    path = folder / "spam.toml"
    path.write_text(text.replace("SUFFIX", suffix))
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    task = read_task(task_file(tmp_path, suffix))
    for data in ("micro", "hub", "./nowhere"):  # its own files, whatever --data says
        rows = load_rows(task, data, "dev")
        assert [(row["text"], row["label"]) for row in rows] == [
            (text, int(label == "spam")) for text, label in ROWS
        ]
        assert len({row["id"] for row in rows}) == 3
        assert source_of(task, data).available(task)


def test_the_fingerprint_is_of_the_contents(tmp_path: Path) -> None:
    here, there = (read_task(task_file(tmp_path / name)) for name in ("here", "there"))
    assert OwnFiles().fingerprint(here) == OwnFiles().fingerprint(there)
    write(tmp_path / "there" / "dev.csv", ROWS[:2])
    assert OwnFiles().fingerprint(here) != OwnFiles().fingerprint(there)


def test_other_kinds(tmp_path: Path) -> None:
    head = 'name = "own"\nfiles = {train = "r.jsonl", dev = "r.jsonl"}\n'

    def only_row(text: str, row: dict[str, object]) -> dict[str, object]:
        (tmp_path / "r.jsonl").write_text(json.dumps(row))
        (tmp_path / "own.toml").write_text(head + text)
        task = read_task(tmp_path / "own.toml")
        (found,) = load_rows(task, "micro", "dev")
        return {**found, "answers": task.answers(found), "gold": task.gold(found)}

    choice = 'kind = "multiple_choice"\nmetrics = ["accuracy", "accuracy_norm"]\n'
    choice += 'columns = ["q"]\nchoices = ["a", "b"]\nprompt = "{q}"\n'
    assert only_row(choice, {"q": "?", "a": "x", "b": "y", "label": "y"})["gold"] == 1
    letters = choice + 'labels = ["A", "B"]\n'
    found = only_row(letters, {"q": "?", "a": "x", "b": "y", "label": "B"})
    assert (found["answers"], found["gold"]) == (["x", "y"], 1)
    written = (
        'kind = "generation"\nmetrics = ["bleu"]\ncolumns = ["q"]\ntarget = "answer"\n'
        'max_new_tokens = 4\nprompt = "{q}"\n'
    )
    assert only_row(written, {"q": "?", "answer": "42"})["answers"] == ["42"]
    scale = 'kind = "regression"\nmetrics = ["pearson"]\n'
    scale += 'columns = ["s"]\nlabels = ["0", "1", "2"]\nprompt = "{s}"\n'
    found = only_row(scale, {"s": "?", "label": 1.6})
    assert (found["label"], found["gold"]) == (1.6, 2)
    text = 'kind = "text"\nmetrics = ["perplexity"]\ntarget = "t"\n'
    assert only_row(text, {"t": "a cat"})["answers"] == ["a cat"]


@pytest.mark.usefixtures("registry_of_this_test")
def test_from_the_command_line(
    tiny_causal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--task-file", task_file(tmp_path / "mine"), "--methods", "finetune", "--seeds", 1]
    words += ["--model", tiny_causal, "--out", tmp_path / "run", "--steps", 1, "--forget", "cola"]
    words += ["--set", "train.retention_tokens=128", "train.forget_rows=8"]
    assert main([str(word) for word in words]) == 0
    assert "spam: accuracy" in capsys.readouterr().out
    moved = (tmp_path / "mine").rename(tmp_path / "moved")
    TASKS._owners.pop("spam")  # another process would not know the old place
    TASKS._items.pop("spam")
    words[1] = moved / "spam.toml"
    assert main([str(word) for word in words]) == 0
    assert "1 done, 0 to run" in capsys.readouterr().out


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_run_of_own_tasks_alone_is_named_after_their_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_task_file(task_file(tmp_path / "mails"))

    def plan(*tasks: str, data: str = "micro") -> Plan:
        return plan_for(["finetune"], tasks, "micro", data, forget=["rte"])

    own, mixed, made_up = plan("spam"), plan("spam", "cola"), plan("cola")
    (cell,) = cells_of(own)
    assert (cell.labels["data"], cell.generated) == ("mails", False)
    text = plan_text(own, tmp_path, 0, 1, [])
    assert f"  data       {tmp_path / 'mails'}\n" in text
    assert "the forgetting tasks' rows are of micro (generated, not GLUE)" in text
    assert own.spec.retention == made_up.spec.retention, "what model micro knows is still that"
    labels = {(c.labels["data"], c.task.name, c.generated) for c in cells_of(mixed)}
    both = "mails, micro (generated, not GLUE)"
    assert labels == {(both, "spam", False), (both, "cola", True)}
    assert {c.labels["data"] for c in cells_of(made_up)} == {"micro (generated, not GLUE)"}
    assert mixed.notes == made_up.notes == ()
    assert cells_of(mixed)[0].hash == cell.hash, "names are no part of what a cell is"
    folders = [tmp_path / "mails" / "train.csv", tmp_path / "dev" / "dev.csv"]
    files = Files(dict(zip(("train", "dev"), folders, strict=True)), {})
    assert OwnFiles().place(replace(TASKS.get("spam"), files=files)) == str(tmp_path)


@pytest.mark.usefixtures("registry_of_this_test")
def test_the_result_and_the_board_of_own_tasks_do_not_say_micro(
    tiny_causal: Path, tmp_path: Path
) -> None:
    load_task_file(task_file(tmp_path / "mails"))
    plan = plan_for(["finetune"], ["spam"], tiny_causal, "micro", forget=["rte"])
    (result,) = results(plan, tmp_path / "run")
    assert (result["status"], result["generated"]) == ("done", False)
    (board,) = boards([result])
    assert board.data == "mails"
    plan = plan_for(["finetune"], ["rte"], tiny_causal, "micro", forget=["cola"])
    (result,) = results(plan, tmp_path / "run")
    assert result["generated"] and board.glue is None


def change(old: str, new: str) -> str:
    assert old in TOML
    return TOML.replace(old, new)


MISTAKES = {
    "not TOML": (change("kind =", "kind = ="), "Invalid value (at line 2, column 8)."),
    "an unknown key": (
        change("metrics", "metric"),
        "unknown key 'metric'. Did you mean 'metrics'? Known:",
    ),
    "a missing key": (change("name", "about"), "the key 'name' is missing."),
    "a missing key of its kind": (
        change('"classification"', '"generation"'),
        "the key 'target' is missing.",
    ),
    "an unknown kind": (
        change('"classification"', '"clasification"'),
        "unknown kind 'clasification'. Did you mean 'classification'?",
    ),
    "a wrong type": (change('["accuracy", "f1"]', "3"), "metrics must be a list, not 3."),
    "an unknown metric": (
        change('"f1"', '"f2"'),
        "unknown metric of classification 'f2'. Did you mean 'f1'?",
    ),
    "a metric of other answers": (
        change('"f1"', '"bleu"'),
        "unknown metric of classification 'bleu'. Known: accuracy, f1, f1_macro,",
    ),
    "F1 of three labels": (
        change('ham = "no"', 'ham = "no"\neggs = "maybe"'),
        "f1 is of two labels; take f1_macro.",
    ),
    "an unknown column": (
        change("{text}", "{texd}"),
        "unknown column in prompt 'texd'. Did you mean 'text'?",
    ),
    "an unknown split": (change("dev =", "test ="), "unknown split in files 'test'."),
    "a missing split": (change('dev = "dev.SUFFIX"\n', ""), "files.dev is missing."),
    "a missing file": (change("dev.SUFFIX", "other.csv"), "files.dev: there is no "),
    "an unknown format": (change("dev.SUFFIX", "dev.xls"), "files.dev = 'dev.xls' does not end in"),
    "no column to ask about": (
        change('text = "body", ', "").replace("{text}", ""),
        "columns names nothing to ask about.",
    ),
    "one label": (change('spam = "yes"\n', ""), "labels must name two or more."),
    "one word for two labels": (change('"yes"', '"no"'), "two labels have the same word."),
    "a label without a word": (change('"yes"', '""'), "labels.spam must be a text, not ''."),
    "a table for a word": (change('"yes"', "{a = 1}"), "labels.spam must be a text, not {'a': 1}."),
    "a column twice": (
        change('{ text = "body", label = "class" }', '["body", "body"]'),
        "columns names 'body' twice.",
    ),
    "a key of another kind": (
        change("metrics", 'target = "body"\nmetrics'),
        "the key 'target' means nothing to a task of classification.",
    ),
    "a brace left open": (
        change("{text}", "{text} {"),
        "prompt 'Mail: {text} {\\nIs it spam? Answer:' is no text with {column}s: unmatched '{'",
    ),
    "a field without a name": (change("{text}", "{text} {}"), "prompt 'Mail: {text} {}"),
    "a field that wants a number": (change("{text}", "{text:d}"), "prompt 'Mail: {text:d}"),
    "a prompt that asks nothing": (change("{text}", ""), "prompt names no column, such as {text}."),
    "a name of the suite's": (
        change("text =", "id =").replace("{text}", "{id}"),
        "'id' is the suite's own name: call this column another.",
    ),
}

WRITTEN = """\
name = "spam"
kind = "generation"
columns = ["body"]
prompt = "{body}"
metrics = ["exact_match"]
target = "class"
max_new_tokens = 4
extract = "is (.*)"
files = { train = "train.csv", dev = "dev.csv" }
"""
CHOSEN = """\
name = "spam"
kind = "multiple_choice"
columns = ["q"]
prompt = "{q}"
metrics = ["accuracy"]
choices = ["body", "class"]
labels = ["A", "B"]
files = { train = "train.csv", dev = "dev.csv" }
"""
MISTAKES |= {
    "no room to write": (WRITTEN.replace("= 4", "= 0"), "max_new_tokens = 0: must be 1 or more."),
    "a broken pattern": (WRITTEN.replace("(.*)", "("), "extract 'is (' is no regular expression: "),
    "a pattern without a group": (
        WRITTEN.replace("(.*)", "it"),
        "extract 'is it' has no (group) around what counts.",
    ),
    "more labels than choices": (
        CHOSEN.replace('"B"]', '"B", "C"]'),
        "3 labels for 2 choices.",
    ),
    "one choice": (CHOSEN.replace('"body", ', ""), "choices must name two or more."),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = task_file(tmp_path, text=text)
    with pytest.raises(BenchError) as caught:
        read_task(path)
    assert str(caught.value).startswith(f"task file {path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../evil", "a/b", "Spam", ""])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(BenchError, match="must match"):
        load_task_file(task_file(tmp_path, text=change('"spam"', f'"{name}"')))


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    from bench.planning.plugins import load_builtin

    load_builtin()
    with pytest.raises(BenchError, match="'cola' is defined twice"):
        load_task_file(task_file(tmp_path, text=change('"spam"', '"cola"')))


BROKEN: dict[str, tuple[str, str | bytes, str]] = {
    "csv, a quote left open": ("csv", 'body,class\n"a cat,ham\n', ":2: unexpected end of data."),
    "csv, a wrong header": (
        "csv",
        "text,class\na,ham\n",
        ":1: no column 'body'; found: 'text', 'class'.",
    ),
    "csv, an unknown label": (
        "csv",
        "body,class\na,ham\nb,eggs\n",
        ":3: unknown label 'eggs'; known: 'ham', 'spam'.",
    ),
    "csv, too many columns": ("csv", "body,class\na,b,ham\n", ":2: 3 columns, where the first"),
    "csv, not UTF-8": ("csv", b"body,class\n\xe9,ham\n", ":2: not UTF-8 (byte 0xe9)."),
    "tsv, cut off": ("tsv", "body\tclass\na\tham\nb", ":3: 1 columns, where the first line has 2."),
    "jsonl, cut off": ("jsonl", '{"body": "a", "class": "ham"}\n{"body": "b', ":2: not JSON ("),
    "jsonl, a missing column": ("jsonl", '{"body": "a"}', ":1: no 'class' in {'body': 'a'}."),
    "jsonl, no value": (
        "jsonl",
        '{"body": null, "class": "ham"}',
        ":1: 'text' is no text but None.",
    ),
    "tsv, a quote left open": (
        "tsv",
        'body\tclass\n"a cat\tham\n"a dog\tham\n',
        ":3: '\t' expected after '\"'; a quote in a text is written twice, in quotes.",
    ),
    "tsv, a quote closed rows later": (
        "tsv",
        'body\tclass\n"a cat\tham\nb\tham\na dog\tham"\n',
        ":4: a quote goes over 3 whole lines; a quote in a text is written twice, in quotes.",
    ),
    "csv, a column twice": (
        "csv",
        "body,class,body\na,ham,b\n",
        ":1: the column 'body' stands there twice.",
    ),
    "json, no value": ("json", '[{"body": null, "class": "ham"}]', ", object 1: 'text' is no text"),
    "json, an unknown label": (
        "json",
        '[{"body": "a", "class": null}]',
        ", object 1: unknown label 'None'; known: 'ham', 'spam'.",
    ),
    "jsonl, half a character": (
        "jsonl",
        '{"body": "\\ud800", "class": "ham"}',
        ":1: 'text' holds half a character: '\\ud800'.",
    ),
    "jsonl, too deep": ("jsonl", "[" * 100_000, ":1: not JSON that can be read (too deep)."),
    "parquet, cut off": ("parquet", b"PAR1 and nothing", " cannot be read: "),
    "empty": ("csv", "", " has no rows."),
    "only a header": ("tsv", "body\tclass\n", " has no rows."),
}


@pytest.mark.parametrize(("suffix", "content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_names_the_line(
    tmp_path: Path, suffix: str, content: str | bytes, message: str
) -> None:
    task = read_task(task_file(tmp_path, suffix))
    path = tmp_path / f"dev.{suffix}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BenchError) as caught:
        load_rows(task, "micro", "dev")
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [5, b"a cat", ["a cat"], None])
def test_a_column_of_parquet_that_is_no_text(tmp_path: Path, bad: object) -> None:
    task = read_task(task_file(tmp_path, "parquet"))
    path = tmp_path / "dev.parquet"
    pd.DataFrame({"body": [bad], "class": ["ham"]}).to_parquet(path)
    with pytest.raises(BenchError, match=r"dev\.parquet, row 1: 'text' is no text but "):
        load_rows(task, "micro", "dev")


def test_labels_that_are_true_or_false(tmp_path: Path) -> None:
    labels = change("ham =", "false =").replace("spam =", "true =")
    task = read_task(task_file(tmp_path, "jsonl", labels))
    rows = [{"body": "a", "class": True}, {"body": "b", "class": False}]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [row["label"] for row in load_rows(task, "micro", "dev")] == [1, 0]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_crlf_and_a_byte_order_mark_are_no_text(tmp_path: Path, suffix: str) -> None:
    task = read_task(task_file(tmp_path, suffix))
    path = tmp_path / f"dev.{suffix}"
    plain = load_rows(task, "micro", "dev")
    raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + raw)
    assert load_rows(task, "micro", "dev") == plain


def test_a_file_that_is_too_deep_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(f"a = {'[' * 100_000}", encoding="utf-8")
    with pytest.raises(BenchError, match="too deep"):
        read_task(path)
    for words in (["--config", str(path)], ["--preset", str(path)]):
        assert main([*words, "--dry-run"]) == 2
