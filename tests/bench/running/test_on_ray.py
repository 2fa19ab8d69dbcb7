"""Cells as Ray tasks, on a real local cluster of two nodes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import BenchError, compare, load
from bench.running.clusters import check_ray
from bench.selfcheck.world import World
from tests.helpers.slow_method import SLOW

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # nothing but the loopback device
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
pytest.importorskip("ray", reason="needs the extra [ray]")

ROOT = Path(__file__).parents[3]
SAME = ("scores", "curve", "drift", "flips", "retention", "forgotten", "elicited")
_LOCAL = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "num_cpus": 1}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=_LOCAL)
    made.add_node(**_LOCAL)
    made.wait_for_nodes()
    try:
        yield made
    finally:
        made.shutdown()


def given(world: World, folder: Path) -> dict[str, Any]:
    small = {"train": {"retention_tokens": 128, "forget_rows": 8}}
    return {
        "model": str(world.models["causal"]),
        "data": str(world.data),
        "retention": str(world.text),
        "settings": small,
        "out": folder,
        "progress": False,
    }


@pytest.mark.usefixtures("registry_of_this_test")
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_is_lost_costs_nothing(world: World, tmp_path: Path, cluster: Any) -> None:
    """One of two nodes is killed while both train; what comes out is what one process gives."""
    (tmp_path / "slow.py").write_text(SLOW)
    folder = tmp_path / "run"
    words = ["--methods", "slow", "--tasks", "cola", "--seeds", "2", "--steps", "60"]
    words += ["--plugin", str(tmp_path / "slow.py"), "--out", str(folder)]
    words += ["--model", str(world.models["causal"]), "--data", str(world.data)]
    words += ["--retention", str(world.text), "--executor", "ray", "--ray-address", cluster.address]
    words += ["--set", "train.retention_tokens=128", "train.forget_rows=8"]
    command = [sys.executable, str(ROOT / "run_bench.py"), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        deadline = time.monotonic() + 180
        while len(list(folder.glob("locks/*.json"))) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        (tmp_path / "quick").touch()
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "its process or node was lost, it runs once more" in err
    assert "Traceback" not in err
    one = compare(
        "slow",
        "cola",
        seeds=2,
        steps=60,
        plugin=tmp_path / "slow.py",
        **given(world, tmp_path / "one"),
    )
    found = {result["hash"]: result for result in load(folder).results}
    assert len(found) == len(one.results) == 4
    for wanted in one.results:
        same = found[wanted["hash"]]
        assert {k: same[k] for k in SAME} == {k: wanted[k] for k in SAME}  # type: ignore[literal-required]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_of_its_own(world: World, tmp_path: Path) -> None:
    """With cells that share work, so that one of them waits for another."""
    asked = given(world, tmp_path / "run")
    runs = compare("lwf", "cola", seeds=1, steps=4, executor="ray", **asked)
    one = compare("lwf", "cola", seeds=1, steps=4, **{**asked, "out": tmp_path / "one"})
    found = {result["hash"]: result for result in runs.results}
    assert len(found) == len(one.results) == 2
    for wanted in one.results:
        same = found[wanted["hash"]]
        assert {k: same[k] for k in SAME} == {k: wanted[k] for k in SAME}  # type: ignore[literal-required]


def test_an_address_that_does_not_answer_is_one_line() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(BenchError, match=rf"^--ray-address 127.0.0.1:{port} does not answer: "):
        check_ray(f"127.0.0.1:{port}")
    assert time.monotonic() - start < 5.5
    for wrong in ("nowhere", "host:", ":6379", "ray://a:1x"):
        with pytest.raises(BenchError, match=r"is not HOST:PORT, nor auto"):
            check_ray(wrong)


def test_who_answers_and_is_no_cluster_is_one_line(world: World, tmp_path: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    held: list[object] = []  # a connection that is dropped would be an answer
    threading.Thread(target=lambda: held.append(server.accept()), daemon=True).start()
    address = f"127.0.0.1:{server.getsockname()[1]}"
    start = time.monotonic()
    with server, pytest.raises(BenchError, match=rf"^--ray-address {address} does not answer: "):
        compare(
            "finetune",
            "cola",
            executor="ray",
            ray_address=address,
            seeds=1,
            **given(world, tmp_path),
        )
    assert 4.5 < time.monotonic() - start < 10
