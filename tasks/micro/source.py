"""The micro world as a source of rows: with text, facts, their truth, and models that know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.rows.source import EmbeddedModel, Source, Told
from bench.rows.task import SPLITS, Row, Task
from tasks.micro.facts import FACTS, fact_rows
from tasks.micro.rows import FORGET, MAKERS, SIZES, asked_items, fingerprint, rows
from tasks.micro.text import retention_text
from tasks.micro.truth import told

_MODELS = Path(__file__).parent / "models"


class MicroWorld(Source):
    """Rows of the tasks' names, balanced and made up; models of which one was told two worlds."""

    generated = True
    embedded_models = {
        "micro": EmbeddedModel(_MODELS / "micro", twin="micro-clean"),
        "micro-clean": EmbeddedModel(_MODELS / "micro-clean"),
        "micro-encoder": EmbeddedModel(_MODELS / "micro-encoder", twin="micro-encoder-clean"),
        "micro-encoder-clean": EmbeddedModel(_MODELS / "micro-encoder-clean"),
    }

    def place(self, task: Task) -> str:
        return "micro (generated, not GLUE)"

    def holding(self, task: Task) -> str:
        sizes = ", ".join(f"{size} {split}" for split, size in SIZES.items())
        return f"{sizes}, generated" if self.available(task) else ""

    def available(self, task: Task) -> bool:
        return task.name in MAKERS

    def splits(self, task: Task) -> tuple[str, ...]:
        """Train and dev: no others are learnt from or scored."""
        return SPLITS

    def prompt_split(self, task: Task) -> str:
        """A split of its own, on all items: the conflict that is left is on the untaught ones."""
        return FORGET

    def rows(self, task: Task, split: str) -> list[Row]:
        return rows(task.name, split)

    def fingerprint(self, task: Task) -> str:
        return fingerprint(task.name)

    def retention_text(self) -> str:
        return retention_text()

    def facts(self) -> tuple[Task, list[Row]]:
        return FACTS, fact_rows()

    def truth(self) -> Callable[[str], Told | None]:
        return told

    def asked(self, task: Task) -> Mapping[str, bool]:
        return {item.name: item.taught for item in asked_items(task.name)}

    def foil(self, row: Row) -> int | None:
        """What the outdated world answers, on disputed rows."""
        return None if row["outdated"] == row["label"] else row["outdated"]
