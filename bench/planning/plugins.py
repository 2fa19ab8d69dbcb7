"""Methods and tasks from where they are defined: here, in installed plug-ins, in your files."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

from bench.core.errors import BenchError
from bench.rows.source import SOURCES
from bench.rows.task import TASKS, Task
from bench.rows.task_file import read_task
from bench.training.method import METHODS

PLUGIN_GROUP = "forgetting_bench.plugins"


def load_all(plugins: Iterable[Path], task_files: Iterable[Path]) -> tuple[str, ...]:
    """Register everything that there is and what these files add; the task files' tasks by name.

    Raises:
        BenchError: as `load_plugin` and `load_task_file`.
    """
    load_builtin()
    for path in plugins:
        load_plugin(path)
    return tuple(load_task_file(path) for path in task_files)


def load_builtin() -> None:
    """Import every module and package in `methods` and `tasks`, and the installed plug-ins."""
    for package in ("methods", "tasks"):
        folder = importlib.import_module(package).__path__
        for module in pkgutil.iter_modules(folder):
            importlib.import_module(f"{package}.{module.name}")
    for point in entry_points(group=PLUGIN_GROUP):
        try:
            point.load()
        except BenchError:
            raise
        except Exception as error:
            raise BenchError(f"plug-in {point.name} ({point.value}) fails: {error!r}.") from error


def add_task(task: Task) -> str:
    """Register a task that Python made, in place of the one of its name before; its name.

    Raises:
        BenchError: the name is another's, or is no name.
    """
    if task.name in TASKS.names() and TASKS.get(task.name) == task:
        return task.name
    owner = f"a Task({task.name!r}) of Python's"
    TASKS.forget(owner)
    TASKS.add(task.name, task, owner)
    return task.name


def load_task_file(path: Path) -> str:
    """Register the task that a TOML file describes; its name.

    Raises:
        BenchError: the file cannot be read or says something wrong, or the name is taken.
    """
    task = read_task(path)
    TASKS.forget(str(path.resolve()))
    TASKS.add(task.name, task, str(path.resolve()))
    return task.name


def load_plugin(path: Path) -> None:
    """Import a Python file that registers methods or tasks.

    Raises:
        BenchError: the file is missing, or raises while it is imported (the line is named).
    """
    if not path.is_file():
        raise BenchError(f"plug-in {path} is not a file.")
    # its whole path is the module's name: the owner of what it registers
    spec = importlib.util.spec_from_file_location(str(path.resolve()), path)
    if spec is None or spec.loader is None:
        raise BenchError(f"plug-in {path} is not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    for registry in (METHODS, TASKS, SOURCES):
        registry.forget(spec.name)
    sys.modules[spec.name] = module  # where dataclasses look for the names in annotations
    try:
        spec.loader.exec_module(module)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        line = _line_in(error, path)
        raise BenchError(f"plug-in {path}{line} fails: {error!r}.") from error


def place_of(error: BaseException) -> str:
    """ " (FILE:LINE)" of the last frame of `error` that lies in the file of a registered method,
    "" where none does."""
    for module in {METHODS.get(name).__module__ for name in METHODS.names()}:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and (line := _line_in(error, Path(file))):
            return f" ({Path(file).name}{line})"
    return ""


def _line_in(error: BaseException, path: Path) -> str:
    """':LINE' of the last frame of `error` that lies in `path`, '' where none does."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines: list[int] = []
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""
