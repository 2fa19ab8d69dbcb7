"""Options: one field feeds the command line, a TOML file and Python alike."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from bench import compare
from bench.cells.recipe import Training
from bench.cli import parser
from bench.cli.main import main
from bench.cli.parser import run_parser
from bench.core.errors import BenchError
from bench.core.settings import parse
from bench.planning import options
from bench.planning.options import Options, read

ADD_AN_OPTION = Path(__file__).parents[3] / "docs" / "add_an_option.md"
FACES: list[tuple[list[str], str, dict[str, Any], Any]] = [
    (
        ["--methods", "lwf, ewc"],
        'methods = ["lwf", "ewc"]',
        {"methods": ["lwf", "ewc"]},
        ("lwf", "ewc"),
    ),
    (["--model", "a,b"], 'model = "a,b"', {"model": [Path("a"), "b"]}, ("a", "b")),
    (["--as", "causal"], 'as = "causal"', {"kind": "causal"}, "causal"),
    (["--first-seed", "4"], "first-seed = 4", {"first_seed": 4}, 4),
    (["--no-reference"], "no_reference = true", {"no_reference": True}, True),
    (["--out", "a,b"], 'out = "a,b"', {"out": "a,b"}, Path("a,b")),
    (
        ["--plugin", "a,b", "c"],
        'plugin = ["a,b", "c"]',
        {"plugin": ["a,b", "c"]},
        (Path("a,b"), Path("c")),
    ),
    (["--out", "~/a"], 'out = "~/a"', {"out": Path("~/a")}, Path.home() / "a"),
    (["--task-file", "a"], 'task-file = "a"', {"task_file": Path("a")}, (Path("a"),)),
]


@pytest.mark.parametrize(("words", "toml", "python", "value"), FACES)
def test_the_three_faces_say_the_same(
    words: list[str], toml: str, python: dict[str, Any], value: Any, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(toml)
    (name,) = python
    expected = dataclasses.replace(Options(), **{name: value})
    assert read(run_parser().read(words)) == expected
    assert read({}, tmp_path / "run.toml") == expected
    assert read(python) == expected


def test_a_part_of_the_recipe_is_an_option_too(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("batch-size = 8\nlr = 1e-3")
    for found in (
        read(run_parser().read(["--batch-size", "8", "--lr", "1e-3"])),
        read({}, tmp_path / "run.toml"),
        read({"batch_size": 8, "lr": 0.001}),
    ):
        assert parse(Training, found.settings["train"], "train") == Training(batch_size=8, lr=0.001)


def test_the_command_line_is_over_the_file_and_set_over_its_tables(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("seeds = 1\nsteps = 5\n[train]\nsteps = 7\nlr = 0.1\n[lwf]\ninterval = 3\n")
    found = read({"seeds": "2", "settings": ["lwf.interval=5", "ewc.lam=2"]}, config)
    assert found.seeds == 2
    assert found.settings == {
        "train": {"steps": 5, "lr": 0.1},
        "lwf": {"interval": "5"},
        "ewc": {"lam": "2"},
    }
    assert read({"settings": {"ewc": {"lam": 2}}}).settings == {"ewc": {"lam": 2}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": 3}, "unknown option 'seed'. Did you mean 'seeds'?"),
        ({"seeds": 2.5}, "seeds = 2.5 is not a whole number."),
        ({"methods": [3]}, "methods must be a list of names, not [3]."),
        ({"plugin": 3}, "plugin must be a list of paths, not 3."),
        ({"data": 3}, "data = 3 is not text."),
        ({"settings": {"lwf": 3}}, "settings must be {METHOD: {SETTING: VALUE}}, not {'lwf': 3}."),
        ({"settings": ["lwf=3"]}, "--set 'lwf=3' is not of the form METHOD.SETTING=VALUE."),
        (
            {"batch_size": 3, "settings": {"train": {"batch_size": 4}}},
            "--batch-size and --set train.batch_size are the same: give one of them.",
        ),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError) as caught:
        read(given)
    assert str(caught.value).startswith(message)


def test_a_new_option_is_one_field_and_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    field, test = re.findall(r"```python\n(.*?)```", ADD_AN_OPTION.read_text("utf-8"), re.S)
    names: dict[str, Any] = {**vars(options), "__name__": __name__}
    exec(f"@dataclass(frozen=True)\nclass More(Options):\n{field}", names)
    monkeypatch.setattr(options, "Options", names["More"])
    monkeypatch.setattr(parser, "Options", names["More"])
    exec(test, {"read": read, "run_parser": run_parser}, names)
    names["test_a_note_is_said_in_three_ways"](tmp_path)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--note TEXT           a line for the plan" in capsys.readouterr().out
    with pytest.raises(BenchError, match=r"^note = 3 is not text or none"):
        compare("lwf", "cola", note=3)
    asked = []
    monkeypatch.setattr("bench.api.planned", asked.append)
    with pytest.raises(AttributeError):  # there is no plan
        compare("lwf", "cola", note="mine")
    assert asked[0].note == "mine"
