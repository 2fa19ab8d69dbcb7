"""What docs/ say, held against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typing_extensions import is_typeddict

from bench.cells import result
from bench.rows import task_file
from bench.training.method import ROLES

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def keys_under(text: str, heading: str) -> set[str]:
    """The first column of the table behind a heading."""
    part = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1]
    return set(re.findall(r"^\| `(\w+)` \|", re.split(r"^#", part, flags=re.M)[0], re.M))


RECORDS = [value for value in vars(result).values() if is_typeddict(value)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.__name__))
def test_every_key_of_a_result_is_explained(record: type) -> None:
    explained = keys_under(page("results_format"), record.__name__)
    assert explained == record.__annotations__.keys()


def contract() -> list[str]:
    """The floors in pyproject.toml, the roof first: "render | running"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [
        one["layers"]
        for one in project["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers"
    ]
    return [layer.replace("(", "").replace(")", "") for layer in layers]


def test_the_floors_are_those_that_lint_checks() -> None:
    floors = re.findall(r"^\| \d+ \| (`.*?) \|", page("architecture"), re.M)
    joined = [floor.replace("` and `", " | ").replace("` with `", " : ") for floor in floors]
    assert [floor.strip("`") for floor in joined] == contract()


def test_every_folder_stands_in_the_plan_of_the_house() -> None:
    shown = set(re.findall(r"^bench/(\w+)", page("architecture"), re.M)) - {"__init__"}
    there = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    there |= {path.stem for path in (ROOT / "bench").glob("*.py")} - {"__init__"}
    assert there <= shown, there - shown
    assert shown == {name for layer in contract() for name in re.findall(r"\w+", layer)}
    tops = set(re.findall(r"^(\w+)/ ", page("architecture"), re.M))
    assert tops >= {"methods", "tasks", "examples", "results", "docs", "tests"}


def test_every_kind_of_task_file_has_its_metrics() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page("add_a_task"), re.M)
    shown = {kind: tuple(re.findall(r"`(\w+)`", metrics)) for kind, metrics in rows}
    assert shown == task_file._METRICS


def test_every_role_is_explained_in_the_words_of_the_contract() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", page("add_a_method"), re.M)
    assert dict(rows).items() >= ROLES.items()
