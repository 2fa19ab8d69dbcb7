"""What a repository's papers say, held against the code: versions, moved names, linters, CI."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import yaml

from bench.core.version import SUITE_VERSION

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"] == SUITE_VERSION
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert f"## {SUITE_VERSION} ({citation['date-released']})" in CHANGELOG


def test_the_changelog_says_of_every_version_which_numbers_may_change() -> None:
    headings = re.findall(r"^## (\S+)", CHANGELOG, re.M)
    assert headings[0] in ("Unreleased", SUITE_VERSION) and SUITE_VERSION in headings
    parts = re.split(r"^## .*\n", CHANGELOG, flags=re.M)[1:-1]  # the first changed nothing
    assert all(part.startswith("\n**Which numbers may change:** ") for part in parts)


def test_what_moved_is_where_the_changelog_says() -> None:
    rows = re.findall(r"^\| `.*? \| (`.*) \|$", CHANGELOG, re.M)
    assert len(rows) > 30
    for row in rows:
        package = ""
        for name in re.findall(r"`([a-z_.]*\.\w+)`", row):
            full = package + name if name.startswith(".") else name
            package = full.rpartition(".")[0]
            assert _exists(full), f"{name} in: {row}"


def _exists(name: str) -> bool:
    """Whether it is a module, or a name that `bench` gives."""
    package, _, last = name.rpartition(".")
    if package == "bench" and hasattr(__import__("bench"), last):
        return True
    return importlib.util.find_spec(name) is not None


def test_pre_commit_runs_what_make_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    wanted = re.findall(r"^\t\$\(BIN\)/(.*)$", target, re.M)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == wanted
    assert len(wanted) == 4


def test_the_workflow_calls_what_ci_calls() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
