"""The contract of a task: what it asks, what counts as an answer, where its rows come from."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.core.hashing import digest
from bench.core.registry import Registry

Kind = Literal["classification", "regression", "multiple_choice", "generation", "text"]
Row = dict[str, Any]
"""One example: every name in `Task.columns` -> str, `label` -> int (index into `Task.labels`; in
regression the score, a float; 0 where `Task.target` holds the answer), and `id` -> str, unique in
its split. `Task.target`, and in multiple choice every name in `Task.labels`, are columns too."""

SPLITS = ("train", "dev")
Format = Literal["tsv", "csv", "csv_tabs", "json", "jsonl", "sst", "lines"]
"""Of a file: tab-separated with quotes that are text (GLUE's), comma-separated, the same with tabs,
a list of JSON objects, one object a line, (the Stanford Sentiment Treebank's) a label, a blank and
a text, or a text on each line. Lines that are empty are passed over but in GLUE's."""


@dataclass(frozen=True)
class Classic:
    """A task's files in the layout they have always been downloaded in.

    `layouts` are the sets of file names (split -> name) that people have; of several, the one with
    most files in the folder is read, so that splits of two layouts are never mixed. `columns` maps
    our column names (and `label`) to the file's: a header's name, a position in a file without
    a header, or a path into a JSON object (`choices.0.text`). `label_spellings` are the labels as
    the file writes them, in the order of `Task.labels`; none, where it repeats the right choice's
    text. `skip_short` leaves out rows that a line break in a text has cut in two; `only` takes
    those rows only whose columns have these values. `other` is another form in which the same
    folder is handed out, in files of other names.
    """

    group: str  # the folder that such tasks stand in: "glue" or "generative"
    folder: str  # "CoLA"
    layouts: tuple[dict[str, str], ...]
    columns: dict[str, str | int]
    label_spellings: tuple[str | int, ...] = ()
    header: bool = False  # whether a file with columns names them in its first line
    skip_short: bool = False
    format: Format = "tsv"
    only: dict[str, str] = field(default_factory=dict)
    other: Classic | None = None

    @property
    def forms(self) -> list[tuple[Classic, dict[str, str]]]:
        """Every set of files that people have, with what is in them."""
        own = [(self, layout) for layout in self.layouts]
        return own + (self.other.forms if self.other else [])


@dataclass(frozen=True)
class Hub:
    """A task's place on the Hugging Face hub, at one commit."""

    path: str
    config: str
    revision: str
    splits: dict[str, str]  # our split -> the hub's
    columns: dict[str, str]  # our column -> the hub's, or a path into it: "choices.text.0"
    label_spellings: tuple[str, ...] = ()  # where labels are not 0, 1, 2 ...
    only: dict[str, str] = field(default_factory=dict)  # as in `Classic`


@dataclass(frozen=True)
class Files:
    """A task's own files, read whatever `--data` says: csv, tsv, json, jsonl or parquet, the first
    two with a header. Labels are compared as text, in the order of `Task.labels`."""

    paths: dict[str, Path]  # split -> file
    columns: dict[str, str]  # our column (and `label`) -> the file's, or a path into a JSON object
    label_spellings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task.

    `prompt` is a format string over `columns`, and what a causal LM answers it with depends on
    `kind`:

    classification: one of `words`, which stand in the order of `labels`. An encoder reads `columns`
        as one text or a pair (the first, and all others), and answers with a head of `len(labels)`
        outputs.
    regression: `words` are numbers, as `labels` are; the answer is their mean, weighted by their
        probabilities. An encoder's head has one output.
    multiple_choice: the text of one of the row's choices, whose columns are `labels`. An encoder
        reads each choice behind the other columns, and answers with a head of one output.
    generation: a text of at most `max_new_tokens` tokens, to be like that of the column `target`,
        or like one of `words`. Where `extract` is given, only what its first group finds counts.
    text: nothing is asked; the text of the column `target` is predicted, token by token.

    With `bare_numbers`, a number counts without what people dress it in: -$5, +2, €12, **12**.

    `metrics[0]` is the primary metric. `extra` are dev splits that are scored beside dev;
    `train_from` is the task whose training rows are taken. `about` is for lists and cards, as
    are `rows`, the published numbers of train and dev rows, of which those of the splits in
    `counted` were found in the files themselves; `note` is for boards. `version` reruns this task's
    cells, and those that forget it, and no others': CONTRIBUTING.md says when to raise it.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    prompt: str
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    classic: Classic | None = None
    hub: Hub | None = None
    files: Files | None = None
    paper: str = ""
    about: str = ""
    rows: tuple[int, int] | None = None
    counted: tuple[str, ...] = ()
    target: str = ""
    extract: str = ""
    bare_numbers: bool = False
    max_new_tokens: int = 0
    extra: tuple[str, ...] = ()
    train_from: Task | None = None
    note: str | None = None
    version: int = 1

    @property
    def primary(self) -> str:
        """The metric that boards show."""
        return self.metrics[0]

    def answers(self, row: Row) -> list[str]:
        """The texts that a causal LM chooses from, in the order of `labels`; or the right one."""
        if self.target:
            return [row[self.target]]
        if self.kind == "generation":
            return [self.words[row["label"]]]
        if self.kind == "multiple_choice":
            return [row[column] for column in self.labels]
        return list(self.words)

    def gold(self, row: Row) -> int:
        """The place of the right answer among `answers`; in regression of the nearest one."""
        if self.target or self.kind == "generation":
            return 0
        if self.kind == "regression":
            return min(
                range(len(self.labels)), key=lambda i: abs(float(self.labels[i]) - row["label"])
            )
        return int(row["label"])

    def reference(self, row: Row) -> Any:
        """What a prediction is compared with: the label, the score, or what counts of the text that
        is to be written. Of a text to be predicted there is none: its losses are no answers."""
        if self.kind == "generation":
            return extracted(self, self.answers(row)[0])
        return float(row["label"]) if self.kind == "regression" else row["label"]

    @property
    def outputs(self) -> int:
        """How many outputs an encoder's head has for an input."""
        return 1 if self.kind in ("regression", "multiple_choice") else len(self.labels)


_DRESS = str.maketrans("−–€£¥₹", "--$$$$", "*+_`~(\\")


def extracted(task: Task, text: str) -> str:
    """The part of a written text that counts: all of it, or what `extract` finds."""
    if not task.extract:
        return text.strip()
    if task.bare_numbers:
        text = re.sub(r"(-?) *\$ *", r"$\1", text.translate(_DRESS))
    found = re.search(task.extract, text)
    return found[1] if found else ""


TASKS: Registry[Task] = Registry("task")


def register_task(task: Task) -> Task:
    """Register a task; its owner is the module that calls."""
    TASKS.add(task.name, task, sys._getframe(1).f_globals["__name__"])
    return task


def task_hash(task: Task) -> str:
    """The hash of what a task asks and how it is scored (where its rows lie is no part of it)."""
    asked = (task.name, task.kind, task.columns, task.labels, task.words, task.prompt, task.metrics)
    written = (task.target, task.extract, task.max_new_tokens, task.extra)
    later = () if task.version == 1 else (task.version,)  # a first version's hash has no number
    return digest([*asked, *written, *later])
