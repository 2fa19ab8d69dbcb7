"""Rows from the hub, played by a server on this machine."""

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
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.hub import PATIENCE
from tasks.glue import REVISION

REPO = Path(__file__).parents[3]
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
        "from bench.core.errors import BenchError\n"
        "from tasks.glue import GLUE\n"
        "from bench.rows.source import load_rows\n"
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
