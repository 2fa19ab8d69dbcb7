"""What several processes agree on when a cell fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

_TWO = """\
import sys, time
import torch.distributed as dist
from bench.running import executor

number, place = int(sys.argv[1]), sys.argv[2]
assert executor._all_failed()  # there is one process
dist.init_process_group("gloo", init_method=f"file://{place}", rank=number, world_size=2)
executor._AGREE_SECONDS = 30.0
assert executor._all_failed()
executor._AGREE_SECONDS = 1.0
assert number == 0 or not executor._all_failed()
time.sleep(2 * (1 - number))
"""


def test_processes_see_whether_all_have_failed(tmp_path: Path) -> None:
    two = [
        subprocess.Popen([sys.executable, "-c", _TWO, str(number), str(tmp_path / "x")], cwd=ROOT)
        for number in (0, 1)
    ]
    try:
        assert [process.wait(60) for process in two] == [0, 0]
    finally:
        for process in two:
            process.kill()
