"""What tasks a run has, and what each of them forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.cells.recipe import Training
from bench.core.errors import BenchError
from bench.planning.options import read
from bench.planning.plugins import load_builtin
from bench.planning.task_names import MIXED_1, Asked, asked, groups_of
from bench.rows.task import TASKS
from bench.selfcheck.world import World

load_builtin()


def named(data: str = "micro", **given: object) -> Asked:
    """The tasks of these options."""
    options = read({"data": data, **given})
    return asked(groups_of(options.tasks), options, Training())


def forgotten(found: Asked) -> dict[str, list[str]]:
    return {name: [task.name for task in group] for name, group in found.forget.items()}


def test_each_task_forgets_the_others_of_the_run() -> None:
    found = named(tasks=("cola", "rte>mrpc"))
    assert [task.name for task in found.learned] == ["cola", "rte", "mrpc"]
    assert forgotten(found) == {
        "cola": ["rte", "mrpc"],
        "rte": ["cola", "mrpc"],
        "mrpc": ["cola", "rte"],
    }


@pytest.mark.usefixtures("registry_of_this_test")
def test_one_task_forgets_a_list_with_a_name_whatever_else_is_registered(world: World) -> None:
    wanted = {"cola": [name for name in MIXED_1 if name != "cola"]}
    assert forgotten(named(tasks=("cola",))) == wanted
    TASKS.add("mine", replace(TASKS.get("rte"), name="mine"), "this test")
    assert forgotten(named(tasks=("cola",))) == wanted
    assert forgotten(named(str(world.data), tasks=("cola",))) == {"cola": ["rte"]}  # all there is


def test_tasks_that_are_named_and_the_one_that_is_its_own() -> None:
    found = named(tasks=("cola", "rte"), forget=("rte",))
    assert forgotten(found) == {"cola": ["rte"], "rte": ["rte"]}
    (note,) = found.notes
    assert note.startswith("rte is its own forgetting task, by rows set apart for that")


def test_a_task_whose_prompts_are_its_training_rows_is_not_its_own(world: World) -> None:
    found = named(str(world.data), tasks=("cola", "rte"), forget=("rte",))
    assert forgotten(found) == {"cola": ["rte"], "rte": ["cola"]}
    assert found.notes == ["rte cannot be its own forgetting task; it forgets cola"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("colla",), "unknown task 'colla'. Did you mean 'cola'?"),
        (("cola>",), "a name is missing beside the >"),
        (("cola>cola",), "only once"),
        (("cola>text",), "which is no share"),
    ],
)
def test_names_that_cannot_be(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        groups_of(names)


def test_rows_that_a_prompt_shows_are_not_trained_on() -> None:
    options = read({"tasks": ("cola",), "forget": ("rte",)})
    found = asked(groups_of(options.tasks), options, Training(shots=2))
    assert len(found.rows["cola", "micro", "train"]) == 998
    assert found.tasks["cola"].prompt != TASKS.get("cola").prompt
    with pytest.raises(BenchError, match=r"train\.shots 1000: cola has 1000 training rows"):
        asked(groups_of(options.tasks), options, Training(shots=1000))
