"""Names of methods and tasks -> what they stand for, filled by decorators and plug-ins."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from bench.core.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from bench.rows.task import Task
    from bench.training.method import Method

T = TypeVar("T")
PLUGIN_GROUP = "forgetting_bench.plugins"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Registry(Generic[T]):
    """A dictionary that refuses duplicates, naming both owners, and knows what was meant."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}
        self._owners: dict[str, str] = {}

    def add(self, name: str, item: T, owner: str) -> None:
        """Register `item`, defined in module `owner`.

        Raises:
            BenchError: the name is taken, or is not lower_case_with_digits.
        """
        if not _NAME.fullmatch(name):
            raise BenchError(f"{self.kind} name {name!r} in {owner} must match {_NAME.pattern}.")
        if name in self._items:
            raise BenchError(
                f"{self.kind} {name!r} is defined twice: in {self._owners[name]} and in {owner}."
            )
        self._items[name] = item
        self._owners[name] = owner

    def forget(self, owner: str) -> None:
        """Drop what `owner` registered, which is about to be read again."""
        for name in [name for name, its in self._owners.items() if its == owner]:
            del self._items[name], self._owners[name]

    def get(self, name: str) -> T:
        """The item called `name`; raises BenchError with the nearest match and the full list."""
        if name not in self._items:
            raise unknown_name(self.kind, name, self._items)
        return self._items[name]

    def names(self) -> list[str]:
        """All names, in the order in which they were registered."""
        return list(self._items)


METHODS: Registry[type[Method]] = Registry("method")
TASKS: Registry[Task] = Registry("task")


def register_method(name: str) -> Callable[[type[Method]], type[Method]]:
    """Class decorator: `@register_method("ewc")` above a subclass of `Method`."""

    from bench.training.method import Card

    def decorate(cls: type[Method]) -> type[Method]:
        if not isinstance(getattr(cls, "card", None), Card):
            raise BenchError(
                f"method {name!r} in {cls.__module__} has no card (bench.training.method.Card)."
            )
        _check_settings(name, cls)
        METHODS.add(name, cls, cls.__module__)
        cls.name = name
        return cls

    return decorate


def _check_settings(name: str, cls: type[Method]) -> None:
    """Raises BenchError where a method's settings or variants can never work."""
    where = f"method {name!r} in {cls.__module__}"
    if not (isinstance(cls.Config, type) and dataclasses.is_dataclass(cls.Config)):
        raise BenchError(f"{where}: Config is {cls.Config!r}, which is no dataclass.")
    fields = {field.name: field for field in dataclasses.fields(cls.Config)}
    for setting, field in fields.items():
        if field.default is dataclasses.MISSING:
            raise BenchError(f"{where}: the setting {setting!r} has no default.")
    for variant, values in cls.variants.items():
        for setting in values:
            if setting not in fields:
                raise unknown_name(f"setting of {where}, variant {variant!r},", setting, fields)


def register_task(task: Task) -> Task:
    """Register a task; its owner is the module that calls."""
    TASKS.add(task.name, task, sys._getframe(1).f_globals["__name__"])
    return task


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


def load_task_file(path: Path) -> str:
    """Register the task that a TOML file describes; its name.

    Raises:
        BenchError: the file cannot be read or says something wrong, or the name is taken.
    """
    from bench.rows.task_file import read_task

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
    for registry in (METHODS, TASKS):
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
