"""What an installed wheel holds: the plug-ins, their data, and the mark of typed packages."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_every_module_and_the_embedded_models(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools, to build without a network")
    for name in ("bench", "methods", "tasks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-q", "-w", "built"], cwd=tmp_path, check=True, timeout=120)
    (wheel,) = (tmp_path / "built").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("*.py", "*.safetensors", "*.json", "*.toml", "*.css", "*.js", "py.typed")
    wanted = {
        str(path.relative_to(ROOT))
        for name in ("bench", "methods", "tasks")
        for kind in kinds
        for path in (ROOT / name).rglob(kind)
    }
    assert len(wanted) > 150
    assert wanted <= held, wanted - held
    assert {f"{name}/py.typed" for name in ("bench", "methods", "tasks")} <= held
