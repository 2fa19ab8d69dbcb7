"""The contract of a task: what it asks, what counts as an answer, where its rows come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["classification"]
Row = dict[str, Any]
"""One example: every name in `Task.columns` -> str, `label` -> int (index into `Task.labels`),
and `id` -> str, unique in its split."""

SPLITS = ("train", "dev")


@dataclass(frozen=True)
class Classic:
    """A task's files in the layout they have always been downloaded in.

    `layouts` are the sets of file names (split -> name) that people have; of several, the one with
    most files in the folder is read, so that splits of two layouts are never mixed. `columns` maps
    our column names (and `label`) to the file's: a header's name, or a position in a file without
    a header. `label_spellings` are the labels as the file writes them, in the order of
    `Task.labels`. `skip_short` leaves out rows that a line break in a text has cut in two.
    """

    group: str  # the folder that such tasks stand in: "glue"
    folder: str  # "CoLA"
    layouts: tuple[dict[str, str], ...]
    header: bool
    columns: dict[str, str | int]
    label_spellings: tuple[str, ...]
    skip_short: bool = False


@dataclass(frozen=True)
class Hub:
    """A task's place on the Hugging Face hub, at one commit."""

    path: str
    config: str
    revision: str
    splits: dict[str, str]  # our split -> the hub's
    columns: dict[str, str]  # our column -> the hub's


@dataclass(frozen=True)
class Task:
    """One task.

    `prompt` is a format string over `columns`; a causal LM answers it with one of `words`, which
    stand in the order of `labels`. An encoder reads `columns` as one text or a pair, and answers
    with a head of `len(labels)` outputs. `metrics[0]` is the primary metric.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    words: tuple[str, ...]
    prompt: str
    metrics: tuple[str, ...]
    classic: Classic
    hub: Hub
    paper: str
    about: str

    @property
    def primary(self) -> str:
        """The metric that boards show."""
        return self.metrics[0]
