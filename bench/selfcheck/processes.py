"""Two processes, stopped and resumed, against one: the same training, every row scored once."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import CellError
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.selfcheck.checks import FailedError, NotApplicableError, Subject, expect
from bench.selfcheck.world import World, only_cell, workspace_for
from bench.training.loop import train

WORDS = "train.batch_size=5", "train.steps=9"  # steps of odd size: the shares differ
_STOP = 6  # of them, in the midst
_SECONDS = 120


def on_two_processes(
    subjects: Sequence[Subject],
    world: World,
    folder: Path,
    plugins: Sequence[str] = (),
    sharded: bool = False,
) -> list[Any]:
    """Run the subjects' cells on two processes over gloo, with their weights `sharded` or not: for
    each a list of (result, predictions) by rank, or the reason why it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    request = {
        "subjects": [[s.method, s.kind, list(s.words)] for s in subjects],
        "world": [{k: str(v) for k, v in world.models.items()}, str(world.data), str(world.text)],
        "plugins": list(plugins),
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    command += ["-m", "bench.selfcheck.processes", str(folder)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "ACCELERATE_USE_CPU": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_FSDP": str(sharded)}
    try:
        limit = _SECONDS + 30 * len(subjects)
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=limit)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        last = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
        raise CellError(f"two processes do not finish: {error!r} {last}") from None
    ranks = [json.loads((folder / f"rank{rank}.json").read_text("utf-8")) for rank in (0, 1)]
    return [list(both) for both in zip(*ranks, strict=True)]


def two_are_one(
    subject: Subject, world: World, folder: Path, both: Sequence[Any], times: float = 1.0
) -> None:
    """Two processes, stopped and resumed, end as one does: answers, drift, losses, nearly.

    `times` is how much farther apart they may be than rounding to float32 takes them.
    """
    single, rows, _ = run_cell(
        only_cell(subject.plan(world, *WORDS)), workspace_for(subject.plan(world), folder), False
    )
    assert rows is not None, "a new cell is scored"
    for rank, found in enumerate(both):
        if isinstance(found, str):
            raise FailedError(f"process {rank}: {found}")
        double, double_rows, _ = found
        expect(double["provenance"]["resumes"] == 1, f"process {rank} did not resume")
        expect(double_rows["id"] == rows["id"], f"process {rank} scored other rows")
        pairs = zip(double_rows["scores_after"], rows["scores_after"], strict=True)
        gap = max(abs(a - b) for got, want in pairs for a, b in zip(got, want, strict=True))
        expect(gap < times * 2e-3, f"process {rank}: scores differ by up to {gap:.1e}")
        drifts = double["drift"], single["drift"] or 0.0
        expect(math.isclose(*drifts, rel_tol=times * 1e-3), f"process {rank}: drift {drifts}")
        for got, want in zip(double["curve"], single["curve"], strict=True):
            losses = got["loss"], want["loss"]
            near = math.isclose(*losses, rel_tol=times * 1e-3)
            expect(near, f"process {rank}: loss at step {want['step']:g}: {losses}")


def _work(folder: Path) -> None:
    """What each of the two processes runs."""
    from bench.planning.plugins import load_builtin, load_plugin

    request = json.loads((folder / "request.json").read_text("utf-8"))
    models, data, text = request["world"]
    world = World({k: Path(v) for k, v in models.items()}, Path(data), Path(text))
    load_builtin()
    for path in request["plugins"]:
        load_plugin(Path(path))
    found: list[Any] = []
    for number, (method, kind, words) in enumerate(request["subjects"]):
        subject = Subject(method, kind, tuple(words))
        try:
            plan = subject.plan(world, *WORDS)
            workspace = workspace_for(plan, folder / str(number))
            cell = only_cell(plan)
            part = CellSession(cell, workspace)
            train(part.run, part.method, workspace.checkpoint(cell), stop_at=_STOP)
            del part
            found.append(run_cell(cell, workspace, False))
        except NotApplicableError:
            found.append("it does not fit")
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
