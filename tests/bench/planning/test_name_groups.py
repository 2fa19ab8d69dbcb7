"""Groups of names: what `all`, a suite and `-NAME` stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.planning.name_groups import spelled_out
from bench.planning.options import Options
from bench.planning.plugins import load_builtin
from bench.rows.task import TASKS
from bench.training.method import METHODS


def tasks(*words: str, data: str = "micro") -> tuple[str, ...]:
    load_builtin()
    return spelled_out(Options(methods=("ewc",), tasks=words, data=data))[0].tasks


def test_all_methods_but_one() -> None:
    load_builtin()
    names = [name for name in METHODS.names() if name != "bss"]
    found, notes = spelled_out(Options(methods=("ewc+lwf", "all", "-bss"), tasks=("cola",)))
    assert found.methods == ("ewc+lwf", *names)
    assert found.tasks == ("cola",)
    assert not notes


def test_a_suite_is_what_the_data_holds_of_it(tiny_data: Path) -> None:
    glue = ("cola", "sst2", "stsb", "mrpc", "qqp", "mnli", "ax", "qnli", "rte", "wnli")
    assert tasks("glue") == glue
    assert tasks("rte", "glue", "-cola", "cola>rte") == (
        "rte", *(name for name in glue if name not in ("cola", "rte")), "cola>rte",
    )  # fmt: skip
    assert tasks("generative") == ("sst5", "gsm8k", "qasc", "dental", "psychol")
    assert set(tasks("all", data="hub")) == {n for n in TASKS.names() if TASKS.get(n).hub}
    load_builtin()
    few = Options(methods=("ewc",), tasks=("glue",), data=str(tiny_data))
    found, (note,) = spelled_out(few)
    assert found.tasks == ("cola", "rte")
    without = ", ".join(name for name in glue if name not in ("cola", "rte"))
    assert note == f"glue without {without}: not in {tiny_data}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("glu",), "unknown task 'glu'. Did you mean 'glue'?"),
        (("superglue",), "--tasks superglue: micro holds none of its tasks."),
        (("glue", "-boolq"), "unknown name to leave out of --tasks 'boolq'."),
        (("-cola", "cola"), "unknown name to leave out of --tasks 'cola'."),
    ],
)
def test_what_is_not_there_is_said(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(BenchError) as caught:
        tasks(*words)
    assert str(caught.value).startswith(message)
