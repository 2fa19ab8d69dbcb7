"""Rows from folders and from the hub: the files people have, and each way they can be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.planning.plugins import load_builtin
from bench.render import cards
from bench.rows.source import (
    SOURCES,
    EmbeddedModel,
    Folder,
    HubSource,
    OwnFiles,
    load_rows,
    source_named,
)
from bench.rows.task import Row, Task
from bench.selfcheck.world import cells_of, plan_for
from tasks.glue import GLUE

REPO = Path(__file__).parents[3]
COLA, SST2, STSB, MRPC, QQP, MNLI, AX, QNLI, RTE, WNLI = GLUE
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below tmp_path (name -> text or bytes); returns the folder for `--data`."""

    def files(**texts: str | bytes) -> str:
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(tmp_path)

    return files


def rte(*lines: str) -> str:
    return "\n".join(["index\tsentence1\tsentence2\tlabel", *lines, ""])


def fails(task_files: dict[str, str | bytes], write: Write, split: str = "dev") -> str:
    """The message of loading RTE from these files of its folder."""
    data = write(**{f"glue__RTE__{name}": text for name, text in task_files.items()})
    with pytest.raises(BenchError) as caught:
        load_rows(RTE, data, split)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(data, "DATA")


# --- folders, as they should be


def test_a_file_without_header_by_position(write: Write) -> None:
    data = write(**{"glue__CoLA__dev.tsv": "gj04\t1\t\tA cat sat.\nks08\t0\t*\tSat cat a.\n"})
    assert load_rows(COLA, data, "dev") == [
        {"id": "dev-1", "sentence": "A cat sat.", "label": 1},
        {"id": "dev-2", "sentence": "Sat cat a.", "label": 0},
    ]


def test_a_file_with_header_by_name_and_spelt_labels(write: Write) -> None:
    text = "label\tsentence2\tindex\tsentence1\nnot_entailment\tB.\t7\tA.\nentailment\tD.\t9\tC."
    assert load_rows(RTE, write(**{"RTE__train.tsv": text}), "train") == [
        {"id": "train-2", "sentence1": "A.", "sentence2": "B.", "label": 1},
        {"id": "train-3", "sentence1": "C.", "sentence2": "D.", "label": 0},
    ]


TEXTS = {
    "unpaired quotes": 'He said "no.',
    "quote first": '"Quoted" it was',
    "a character that splitlines splits at": "a\u2028b\x85c\x0bd",
    "a lone carriage return": "a\rb",
    "no text": "",
    "spaces at the ends": " a ",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", ["", "END", "ENDEND"])
def test_text_comes_through_as_it_is(
    write: Write, text: str, end: str, mark: bytes, last: str
) -> None:
    lines = ["sentence\tlabel", f"{text}\t1", f"{text}{text}\t0"]
    raw = mark + (end.join(lines) + last.replace("END", end)).encode()
    rows = load_rows(SST2, write(**{"glue__SST-2__dev.tsv": raw}), "dev")
    assert [row["sentence"] for row in rows] == [text, text + text]
    assert [row["label"] for row in rows] == [1, 0]


MRPC_HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def test_splits_of_two_layouts_are_never_mixed(write: Write) -> None:
    """GLUE's dev rows of MRPC are rows of Microsoft's train file."""
    data = write(
        **{
            "MRPC__msr_paraphrase_train.txt": MRPC_HEADER + "1\t1\t2\tmsr\ttrain\n",
            "MRPC__msr_paraphrase_test.txt": MRPC_HEADER + "1\t1\t2\tmsr\ttest\n",
            "MRPC__dev.tsv": MRPC_HEADER + "1\t1\t2\tglue\tdev\n",
        }
    )
    assert [load_rows(MRPC, data, s)[0]["sentence2"] for s in ("train", "dev")] == ["train", "test"]
    write(**{"MRPC__train.tsv": MRPC_HEADER + "1\t1\t2\tglue\ttrain\n"})
    assert [load_rows(MRPC, data, s)[0]["sentence1"] for s in ("train", "dev")] == ["glue", "glue"]


def test_rows_that_a_line_break_cut_are_left_out_of_qqp_only(write: Write) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    text = header + '1\t2\t3\tWho?\t"\n"\tWas it?\t0\n4\t5\t6\tWhy?\tWhat for?\t1\n'
    data = write(**{"QQP__dev.tsv": text})
    assert load_rows(QQP, data, "dev") == [
        {"id": "dev-4", "question1": "Why?", "question2": "What for?", "label": 1}
    ]
    write(**{"QQP__dev.tsv": text + "7\t8\t9\tone\ttoo\tmany\t1\n"})
    with pytest.raises(BenchError, match=r"dev\.tsv:5: 7 columns, where the first line has 6\."):
        load_rows(QQP, data, "dev")


def test_the_group_folder_comes_first_and_a_tilde_is_home(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(**{"glue__RTE__dev.tsv": rte("0\ta\tb\tentailment")})
    write(**{"RTE__dev.tsv": rte("0\tc\td\tentailment")})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_rows(RTE, "~", "dev")[0]["sentence1"] == "a"
    assert load_rows(RTE, "~/glue", "dev")[0]["sentence1"] == "a"


# --- folders, broken


def test_a_missing_folder_names_the_places(tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        load_rows(RTE, str(tmp_path / "nowhere"), "dev")
    place = tmp_path / "nowhere"
    looked = f"looked at {place / 'glue' / 'RTE'} and {place / 'RTE'}."
    assert str(caught.value) == f"no folder with the task 'rte'; {looked}"


def test_a_missing_file(write: Write) -> None:
    message = fails({"train.tsv": rte("0\ta\tb\tentailment")}, write)
    assert message == "DATA/glue/RTE has no dev.tsv, the dev rows of 'rte'."
    data = write(MRPC__readme="")
    with pytest.raises(BenchError, match=r"has no train\.tsv or msr_paraphrase_train\.txt, the"):
        load_rows(MRPC, data, "train")


def test_a_file_that_cannot_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # file modes do not stop root
    message = fails({"dev.tsv": rte("0\ta\tb\tentailment")}, write)
    assert message == "DATA/glue/RTE/dev.tsv cannot be read: Permission denied."


def test_a_text_in_the_header_does_not_flood_the_message(write: Write) -> None:
    assert len(fails({"dev.tsv": "many words " * 1000}, write)) < 300


# --- what identifies rows, and whether they are there


def both(train: str = "0\ta\tb\tentailment", dev: str = "0\tc\td\tentailment") -> dict[str, str]:
    return {"train.tsv": rte(train), "dev.tsv": rte(dev)}


def test_a_fingerprint_is_of_the_contents_alone(tmp_path: Path) -> None:
    def place(name: str, files: dict[str, str]) -> str:
        folder = tmp_path / name / "RTE"
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "test.tsv").write_text(name)  # not read, so of no account
        return Folder(str(tmp_path / name)).fingerprint(RTE)

    here = place("here", both())
    assert here == place("there/glue", both()) == Folder(str(tmp_path / "there")).fingerprint(RTE)
    assert here != place("train", both(train="0\ta\tb\tnot_entailment"))
    assert here != place("dev", both(dev="0\tc\te\tentailment"))
    swapped = both()
    assert here != place(
        "swapped", {"train.tsv": swapped["dev.tsv"], "dev.tsv": swapped["train.tsv"]}
    )
    assert len(here) == 64
    with pytest.raises(BenchError, match="no folder with the task 'rte'"):
        Folder(str(tmp_path / "nowhere")).fingerprint(RTE)


def test_a_source_goes_by_its_name_and_what_has_none_is_a_folder() -> None:
    load_builtin()
    assert isinstance(source_named("hub"), HubSource)
    assert source_named("micro").generated
    assert source_named("./micro") == Folder("./micro")
    for source in (source_named("hub"), Folder("x"), OwnFiles()):
        assert not source.generated and not source.embedded_models
        assert source.retention_text() is source.facts() is source.truth() is None
        assert source.asked(RTE) == {} and source.prompt_split(RTE) == "train"


@pytest.mark.usefixtures("registry_of_this_test")
def test_a_package_may_bring_a_source_of_its_own(tiny_causal: Path, tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "sentence": "a cat", "label": n % 2} for n in range(8)]

    class Toy(Folder):
        generated = True
        embedded_models = {"toy": EmbeddedModel(tiny_causal, twin="toy-clean")}

        def place(self, task: Task) -> str:
            return "toy (of a test)"

        def holding(self, task: Task) -> str:
            return "8 rows" if task is COLA else ""

        def available(self, task: Task) -> bool:
            return task is COLA

        def rows(self, task: Task, split: str) -> list[Row]:
            return rows

        def fingerprint(self, task: Task) -> str:
            return "toy"

        def retention_text(self) -> str:
            return "a cat sat"

    SOURCES.add("toy", Toy(""), __name__)
    plan = plan_for(["finetune"], ["cola"], "toy", "toy", forget=["cola"])
    (cell,) = cells_of(plan)
    assert plan.material.rows["cola", "toy", "dev"] == rows
    assert cell.labels["data"] == "toy (of a test)" and cell.generated
    assert (cell.labels["model"], cell.labels["twin"]) == ("toy", "toy-clean")
    assert cell.retention.name == "toy retention text" and plan.material.retention == "a cat sat"
    assert "\n  toy: 8 rows" in cards.task(COLA)


def test_a_fingerprint_of_the_hub_is_of_the_pinned_version() -> None:
    there = [task for task in GLUE if task.hub]
    assert len({HubSource().fingerprint(task) for task in there}) == len(there) > 8
    assert HubSource().fingerprint(RTE) == HubSource().fingerprint(RTE)


def test_available_asks_for_all_splits(write: Write) -> None:
    data = write(**{"RTE__train.tsv": rte("0\ta\tb\tentailment")})
    assert not Folder(data).available(RTE)
    write(**{"RTE__dev.tsv": rte("0\ta\tb\tentailment")})
    assert Folder(data).available(RTE)
    assert not Folder(data).available(COLA)
    assert HubSource().available(COLA)
