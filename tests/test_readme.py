"""What the README shows is run: its method, its commands' options, its settings file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.cli.parser import run_parser
from bench.selfcheck.world import World

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


EXAMPLES = Path(__file__).parents[1] / "examples"


def block(language: str, containing: str) -> str:
    """The fenced block of a language that holds a text."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", README, re.M | re.S)
    (text,) = [text for text in found if containing in text]
    return text


@pytest.mark.usefixtures("registry_of_this_test")
def test_the_method_of_the_readme_runs(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "my_methods.py"
    plugin.write_text(block("python", "my_l2sp"), encoding="utf-8")
    assert len(plugin.read_text().splitlines()) <= 34
    words = ["--plugin", plugin, "--methods", "my_l2sp", "--tasks", "cola", "--seeds", 1]
    words += ["--model", tiny_causal, "--data", tiny_data, "--out", tmp_path / "run"]
    words += ["--steps", 8, "--set", "my_l2sp.alpha=1e6", "train.clip=0"]
    assert main([str(word) for word in words]) == 0
    assert "my_l2sp[alpha=1000000.0]" in capsys.readouterr().out


@pytest.mark.usefixtures("registry_of_this_test")
def test_what_else_a_method_may_say_of_itself(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = re.findall(r"^\* `((?:needs|roles|variants|holds) = .+?)`[:,]", README, re.M)
    assert len(said) == 4
    plugin = tmp_path / "my_methods.py"
    plugin.write_text(block("python", "my_l2sp") + "".join(f"\n    {line}\n" for line in said))
    models = ",".join(str(folder) for folder in world.models.values())
    words = ["--plugin", plugin, "--methods", "my_l2sp:strong,my_l2sp+lwf", "--tasks", "cola"]
    words += ["--data", world.data, "--model", models, "--no-reference", "--dry-run"]
    assert main([str(word) for word in words]) == 0
    out = capsys.readouterr().out
    assert "methods    my_l2sp:strong, lwf+my_l2sp\n" in out
    assert "refused    my_l2sp:strong, lwf+my_l2sp on tiny-encoder (cola): it needs a model" in out


@pytest.mark.parametrize("name", ["my_methods", "my_tasks"])
def test_the_examples_are_those_that_the_readme_shows(name: str) -> None:
    shown = block("python", {"my_methods": "my_l2sp", "my_tasks": "my_spam"}[name])
    assert (EXAMPLES / f"{name}.py").read_text(encoding="utf-8") == shown


@pytest.mark.slow
@pytest.mark.usefixtures("registry_of_this_test")
def test_the_example_passes_selfcheck(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck", "my_l2sp", "--plugin", str(EXAMPLES / "my_methods.py")]) == 0
    assert "0 FAILED" in capsys.readouterr().out


def test_every_option_that_the_readme_names_exists() -> None:
    known = set(run_parser()._option_string_actions)
    ours = README.partition("python -m bench.speed")[0]  # behind it are that command's own
    ours = re.sub(r"`[^`]*torch\.distributed\.run[^`]*`", "", ours)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    assert named <= known, named - known


def test_the_settings_file_of_the_readme_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    text = block("toml", "[train]")
    config.write_text(re.sub(r"^  ", "", text, flags=re.M), encoding="utf-8")
    assert main(["--config", str(config), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "3 methods x 2 tasks x 1 model x 5 seeds = 30 cells" in out
    assert "learning rate 0.0003" in out
    assert "recadam[k=0.2]" in out


@pytest.mark.usefixtures("registry_of_this_test")
def test_the_task_of_the_readme_runs_in_both_forms(
    tiny_causal: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toml, python = block("toml", 'name = "spam"'), block("python", "my_spam")
    for shown in (toml, python):
        assert len([line for line in shown.splitlines() if line]) < 20
    monkeypatch.chdir(tmp_path)
    for split in ("train", "dev"):
        Path(f"{split}.csv").write_text('body,class\n"a cat, a dog",ham\nthe king,spam\n')
    Path("spam.toml").write_text(toml, encoding="utf-8")
    Path("my_tasks.py").write_text(python, encoding="utf-8")
    words = ["--methods", "finetune", "--model", str(tiny_causal), "--seeds", "1", "--steps", "1"]
    words += ["--forget", "cola", "--out", "run", "--set", "train.retention_tokens=128"]
    own = ["--task-file", "spam.toml", "--plugin", "my_tasks.py", "--tasks", "spam,my_spam"]
    assert main([*words, *own]) == 0
    out = capsys.readouterr().out
    assert "spam: accuracy" in out and "my_spam: accuracy" in out
