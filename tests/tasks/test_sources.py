"""Rows from folders and from the hub: the files people have, and each way they can be broken."""

from __future__ import annotations

import http.server
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.hub import PATIENCE
from tasks.glue import GLUE, REVISION
from tasks.sources import available, fingerprint, load_rows

REPO = Path(__file__).parents[2]
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


BROKEN = {
    "too few columns": (
        rte("0\ta\tb\tentailment", "1\tc\tentailment"),
        ":3: 3 columns, where the first line has 4.",
    ),
    "too many columns": (
        rte("0\ta\tb\tc\tentailment"),
        ":2: 5 columns, where the first line has 4.",
    ),
    "an empty line inside": (
        rte("0\ta\tb\tentailment", "", "1\ta\tb\tentailment"),
        ":3: 1 columns, where the first line has 4.",
    ),
    "a column is missing": (
        "index\tsentence1\thypothesis\tlabel\n0\ta\tb\tentailment\n",
        ":1: no column 'sentence2'; found: 'index', 'sentence1', 'hypothesis', 'label'.",
    ),
    "no header": (
        "0\ta\tb\tentailment\n",
        ":1: no column 'sentence1'; found: '0', 'a', 'b', 'entailment'.",
    ),
    "an unknown label": (
        rte("0\ta\tb\tentailment", "1\tc\td\tmaybe"),
        ":3: unknown label 'maybe'; known: 'entailment', 'not_entailment'.",
    ),
    "no label": (
        rte("0\ta\tb\t"),
        ":2: unknown label ''; known: 'entailment', 'not_entailment'.",
    ),
    "not UTF-8": (
        rte("0\ta\tb\tentailment").encode() + b"1\tcaf\xe9\td\tentailment\n",
        ":3: not UTF-8 (byte 0xe9).",
    ),
    "not UTF-8, after a byte order mark": (b"\xef\xbb\xbf\n\xff", ":2: not UTF-8 (byte 0xff)."),
    "only a header": (rte(), " has no rows."),
    "an empty file": ("", " has no rows."),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line_with_its_place(
    write: Write, text: str | bytes, message: str
) -> None:
    assert fails({"dev.tsv": text}, write) == f"DATA/glue/RTE/dev.tsv{message}"


def test_too_few_columns_for_a_position(write: Write) -> None:
    data = write(**{"CoLA__dev.tsv": "gj04\t1\tA cat sat.\n"})
    with pytest.raises(BenchError, match=r"dev\.tsv:1: 3 columns; 'sentence' is column 4\.$"):
        load_rows(COLA, data, "dev")


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
        return fingerprint(RTE, str(tmp_path / name))

    here = place("here", both())
    assert here == place("there/glue", both()) == fingerprint(RTE, str(tmp_path / "there"))
    assert here != place("train", both(train="0\ta\tb\tnot_entailment"))
    assert here != place("dev", both(dev="0\tc\te\tentailment"))
    swapped = both()
    assert here != place(
        "swapped", {"train.tsv": swapped["dev.tsv"], "dev.tsv": swapped["train.tsv"]}
    )
    assert len(here) == 64
    with pytest.raises(BenchError, match="no folder with the task 'rte'"):
        fingerprint(RTE, str(tmp_path / "nowhere"))


def test_a_fingerprint_of_the_hub_is_of_the_pinned_version() -> None:
    there = [task for task in GLUE if task.hub]
    assert len({fingerprint(task, "hub") for task in there}) == len(there) > 8
    assert fingerprint(RTE, "hub") == fingerprint(RTE, "hub")


def test_available_asks_for_all_splits(write: Write) -> None:
    data = write(**{"RTE__train.tsv": rte("0\ta\tb\tentailment")})
    assert not available(RTE, data)
    write(**{"RTE__dev.tsv": rte("0\ta\tb\tentailment")})
    assert available(RTE, data)
    assert not available(COLA, data)
    assert available(COLA, "hub")


# --- the hub, played by a server on this machine

CARD = """---
configs:
- config_name: rte
  data_files:
  - {split: train, path: rte/train-*}
  - {split: validation, path: rte/validation-*}
---
"""


class FakeHub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's protocol as `datasets` uses for one Parquet data set."""

    files: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = path.removeprefix(f"/datasets/nyu-mll/glue/resolve/{REVISION}/")
        tree = f"/api/datasets/nyu-mll/glue/tree/{REVISION}"
        body, headers = b"", {"X-Repo-Commit": REVISION}
        if path == f"/api/datasets/nyu-mll/glue/revision/{REVISION}":
            body = json.dumps({"id": "nyu-mll/glue", "sha": REVISION, "siblings": []}).encode()
        elif path.startswith(tree):
            folder = path.removeprefix(tree).strip("/")
            entries = [
                {"type": "file", "path": name, "size": len(raw), "oid": "0"}
                for name, raw in self.files.items()
                if name.rpartition("/")[0] == folder
            ]
            if not folder:
                entries.append({"type": "directory", "path": "rte", "size": 0, "oid": "0"})
            body = json.dumps(entries).encode()
        elif file in self.files:
            body = self.files[file]
            headers["ETag"] = f'"{file.replace("/", "-")}"'
        elif path != "/":
            headers["X-Error-Code"] = "EntryNotFound"
        found = bool(body) or path == "/"
        self.send_response(200 if found else 404)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 (the name that http.server calls)

    def log_message(self, *args: object) -> None:
        pass


def parquet(**columns: list[object]) -> bytes:
    import pandas as pd

    return pd.DataFrame(columns).to_parquet(index=False)


def rte_on_hub(train: dict[str, list[object]], dev: dict[str, list[object]]) -> dict[str, bytes]:
    return {
        "README.md": CARD.encode(),
        "rte/train-00000-of-00001.parquet": parquet(**train),
        "rte/validation-00000-of-00001.parquet": parquet(**dev),
    }


@pytest.fixture
def fake_hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def from_hub(
    endpoint: str, home: Path, splits: str = "train dev"
) -> subprocess.CompletedProcess[str]:
    """Load RTE in a process of its own: the libraries read their variables when imported."""
    script = (
        "import json, sys\n"
        "from bench.errors import BenchError\n"
        "from tasks.glue import GLUE\n"
        "from tasks.sources import load_rows\n"
        "task = next(task for task in GLUE if task.name == 'rte')\n"
        "assert not {'torch', 'datasets', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "try:\n"
        "    print(json.dumps([load_rows(task, 'hub', split) for split in sys.argv[1].split()]))\n"
        "except BenchError as error:\n"
        "    sys.exit(str(error))\n"
    )
    kept = {k: v for k, v in os.environ.items() if "HF_" not in k and "PROXY" not in k.upper()}
    return subprocess.run(
        [sys.executable, "-c", script, splits],
        cwd=REPO,
        env={**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


NOBODY = "http://127.0.0.1:1"


def test_the_hub_gives_the_same_rows_and_then_its_cache_does(fake_hub: str, tmp_path: Path) -> None:
    FakeHub.files = rte_on_hub(
        {"sentence1": ["a", "c"], "sentence2": ["b", "d"], "label": [1, 0], "idx": [0, 1]},
        {"sentence1": ["e"], "sentence2": ["f"], "label": [0], "idx": [0]},
    )
    online = from_hub(fake_hub, tmp_path)
    assert online.returncode == 0, online.stderr
    assert json.loads(online.stdout) == [
        [
            {"id": "train-0", "sentence1": "a", "sentence2": "b", "label": 1},
            {"id": "train-1", "sentence1": "c", "sentence2": "d", "label": 0},
        ],
        [{"id": "dev-0", "sentence1": "e", "sentence2": "f", "label": 0}],
    ]
    cached = from_hub(NOBODY, tmp_path)
    assert cached.stdout == online.stdout
    assert cached.stderr == ""

    (folder,) = (tmp_path / "datasets" / "nyu-mll___glue" / "rte").glob(f"*/{REVISION}")
    shutil.move(folder, folder.with_name("0" * 40))
    other = from_hub(NOBODY, tmp_path)
    assert other.returncode == 1
    assert other.stderr.startswith(
        f"this machine's cache holds nyu-mll/glue (rte) at {'0' * 40}, but {REVISION} is wanted: "
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"sentence1": ["a"], "premise": ["b"], "label": [0]},
            "nyu-mll/glue (rte) has no column 'sentence2'; "
            "found: 'sentence1', 'premise', 'label'.\n",
        ),
        (
            {"sentence1": ["a"] * 2, "sentence2": ["b"] * 2, "label": [0, -1]},
            "nyu-mll/glue (rte), row train-1: unknown label -1; known: 0, 1.\n",
        ),
    ],
    ids=["column", "label"],
)
def test_broken_rows_on_the_hub(
    fake_hub: str, tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    FakeHub.files = rte_on_hub(columns, columns)
    found = from_hub(fake_hub, tmp_path, "train")
    assert found.returncode == 1
    assert found.stderr.endswith(message)


def test_no_network_is_one_line_within_five_seconds(tmp_path: Path) -> None:
    def computed() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start, computed_before = time.monotonic(), computed()
        found = from_hub(endpoint, tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith(
        f"{endpoint} is out of reach, and the data set nyu-mll/glue (rte) cannot be loaded from "
        "this machine's cache: give a folder with --data FOLDER, or "
    )
    assert found.stderr.count("\n") == 1
    # What it computes and what it waits, without what else this machine is doing just now; and
    # wall time far under the libraries' own retries.
    assert computed() - computed_before + PATIENCE < 5
    assert time.monotonic() - start < 15
