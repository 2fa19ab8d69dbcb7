"""The commands beside a run: what they take, and what they say."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.core.version import SUITE_VERSION

ROOT = Path(__file__).parents[3]
PLUGIN = """\
from bench import Card, Method, register_method

@register_method("mine")
class Mine(Method):
    card = Card("My own method", "p", "e", "d", "none")
"""
TASK = """\
name = "spam"
kind = "classification"
columns = { text = "body", label = "class" }
prompt = "Mail: {text}"
metrics = ["accuracy"]
[labels]
ham = "no"
spam = "yes"
[files]
train = "rows.csv"
dev = "rows.csv"
"""


@pytest.fixture
def own(tmp_path: Path, registry_of_this_test: None) -> list[str]:
    """Words that name a method and a task from outside."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "spam.toml").write_text(TASK)
    (tmp_path / "rows.csv").write_text("body,class\nthe cat,ham\nthe king,spam\n")
    return ["--plugin", str(tmp_path / "mine.py"), "--task-file", str(tmp_path / "spam.toml")]


def test_what_comes_from_outside_is_listed_and_shown(
    own: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "methods", *own]) == 0
    assert "mine: My own method" in capsys.readouterr().out
    assert main(["list", "tasks", *own]) == 0
    assert "\nspam " in capsys.readouterr().out
    assert main(["show", "mine", *own]) == 0
    assert "mine: My own method" in capsys.readouterr().out
    assert main(["show", "spam", *own]) == 0
    assert "spam: classification\n  metrics: accuracy\n" in capsys.readouterr().out


def test_selfcheck_takes_task_files_too(
    own: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def report(*given: object) -> bool:
        asked.append(given)
        return True

    monkeypatch.setattr("bench.selfcheck.command.report", report)
    assert main(["selfcheck", "mine", *own, "--set", "a.b=1", "c.d=2"]) == 0
    assert asked == [("mine", ["a.b=1", "c.d=2"], [own[1]])]
    assert main(["selfcheck", "mine", "--task-file", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


def test_a_configuration_names_both(
    own: list[str], tiny_causal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'plugin = ["{own[1]}"]\ntask-file = "{own[3]}"\nmethods = ["mine"]\nforget = ["cola"]\n'
        f'model = "{tiny_causal}"\n'
    )
    assert main(["--config", str(config), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "methods    finetune, mine" in out and "spam: 2 train rows" in out


def test_the_version_and_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"forgetting-bench {SUITE_VERSION}\n"
    assert main(["env"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["forgetting-bench"].startswith(SUITE_VERSION)
    assert lines["python"] == platform.python_version()
    assert lines["torch"] == version("torch")
    assert lines["[dev]"] == "installed"
    assert lines["[lm-eval]"].startswith(("installed", "not installed: lm-eval"))


@pytest.mark.parametrize("words", ["env", "--version"])
def test_neither_imports_what_is_heavy(words: str) -> None:
    script = (
        "import sys\nfrom bench.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
