"""The words and cells of a board, which the terminal and Markdown lay out each in its own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.board.leaderboard import AVERAGE, GLUE_AVERAGE, Board, Row, Table
from bench.board.statistics import Estimate
from bench.board.transfer import Transfer
from bench.cells.cell import REFERENCE
from bench.scoring.metrics import METRICS, is_lower

MISSING = "-"

LEGEND = (
    "n: seeds. Scores ×100, before and after tuning; ±: half-width of the 95 % t-interval over "
    "seeds; gain: over finetune, paired by seed. retain, forget: rise of the loss on the retention "
    "text and the forgetting tasks, nats per token. drift: squared distance from the base weights. "
    "time: the method's own, extra passes included. peak: memory of the GPU; without one of the "
    "process, which depends on what ran before."
)
COMPILE_LEGEND = "compile: warm-up of torch.compile, in no method's time."
FACTS_LEGEND = "facts: change of the share of undisputed facts that the model recalls, in percent."


@dataclass(frozen=True)
class Column:
    """A heading of one or two lines, and the text that stands under it."""

    heading: str
    cell: Callable[[Row], str]


def _number(value: float | None, form: str) -> str:
    # "z": a loss that shrank by less than the last digit is +0.000, not -0.000.
    return MISSING if value is None else format(value, form)


def _scale(row: Row) -> int:
    return 1 if row.lower else 100


def _mean(found: Estimate | None, form: str, scale: int = 100) -> str:
    return _number(None if found is None else scale * found.mean, form)


def _half(found: Estimate | None, scale: int = 100) -> str:
    return "" if found is None or found.half is None else f"±{scale * found.half:.2f}"


def _seeds(row: Row) -> str:
    return str(row.done) if row.done == row.planned else f"{row.done}/{row.planned}"


def _before(row: Row) -> str:
    return _number(None if row.means.before is None else _scale(row) * row.means.before, "z.2f")


def _gain(row: Row) -> str:
    return "ref" if row.reference else _mean(row.gain, "+z.2f", _scale(row))


def _percent(value: float | None) -> str:
    return _number(None if value is None else 100 * value, "+z.2f")


_SCORES = (
    Column("method", lambda row: row.method),
    Column("n", _seeds),
    Column("before", _before),
    Column("after", lambda row: _mean(row.after, "z.2f", _scale(row))),
    Column("±", lambda row: _half(row.after, _scale(row))),
    Column("gain", _gain),
    Column("±", lambda row: _half(row.gain, _scale(row))),
)
FACTS = Column("facts\n+%", lambda row: _percent(row.means.facts))
COMPILING = Column("compile\ns", lambda row: _number(row.means.compile_seconds, ".1f"))
COLUMNS = (
    *_SCORES,
    Column("retain\n+nats", lambda row: _number(row.means.retention, "+z.3f")),
    Column("forget\n+nats", lambda row: _number(row.means.forgotten, "+z.3f")),
    FACTS,
    Column("drift", lambda row: _number(row.means.drift, ".2e")),
    Column("time\ns", lambda row: _number(row.means.seconds, ".1f")),
    Column("time\n×ref", lambda row: _number(row.time_ratio, ".2f")),
    COMPILING,
    Column("peak\nMiB", lambda row: _number(row.means.peak_mib, ".0f")),
)


SEQUENCE_COLUMNS = (
    *_SCORES,
    Column("backward\nR[T][i]\n-R[i][i]", lambda row: _percent(row.means.backward)),
    Column("forward\nR[i-1][i]\n-R[0][i]", lambda row: _percent(row.means.forward)),
    Column("forgetting\nmax R[k][i]\n-R[T][i]", lambda row: _percent(row.means.forgetting)),
    Column("time\ns", lambda row: _number(row.means.seconds, ".1f")),
    Column("time\n×ref", lambda row: _number(row.time_ratio, ".2f")),
    COMPILING,
)
SEQUENCE_LEGEND = (
    "Sequences: R[k][i] is the score on task i after stage k of T (R[0]: the base model). before "
    "and after are the means of R[0] and R[T] over all tasks; backward and forgetting (max over "
    "1<=k<T) are means over i<T, forward over i>1. Negative forgetting is improvement."
)


def columns(table: Table) -> tuple[Column, ...]:
    """What a table shows of each method."""
    known = {
        FACTS: any(row.means.facts is not None for row in table.rows),
        COMPILING: any(row.means.compile_seconds for row in table.rows),
    }
    every = SEQUENCE_COLUMNS if table.stages else COLUMNS
    return tuple(column for column in every if known.get(column, True))


def legend(board: Board) -> str:
    """What the board's columns mean."""
    shown = {column for table in board.tables for column in columns(table)}
    parts = [LEGEND]
    parts += [FACTS_LEGEND] if FACTS in shown else []
    parts += [COMPILE_LEGEND] if COMPILING in shown else []
    parts += [SEQUENCE_LEGEND] if any(table.stages for table in board.tables) else []
    return " ".join(parts)


def one_line(text: str) -> str:
    """`text` without line breaks and runs of blanks."""
    return " ".join(text.split())


def rows(table: Table) -> list[list[str]]:
    """The table's cells, shape (methods, columns)."""
    return [[one_line(column.cell(row)) for column in columns(table)] for row in table.rows]


def transfer_title(board: Board) -> str:
    """What the table of `transfer_rows` shows."""
    twin = board.transfers[0].twin
    return one_line(
        f"Negative transfer ×100: {REFERENCE} of {twin} (the twin) less {REFERENCE} of "
        f"{board.model}, and the share of it that a method recovers"
    )


def transfer_headings(board: Board) -> list[str]:
    """The fixed columns, and one per method that recovers anything, or less than nothing."""
    fixed = ["task", "n", "untouched", "twin\nuntouched", "tuned", "twin\ntuned", "transfer", "±"]
    return [*fixed, *(f"{method}\nrecovers" for method in _recovering(board))]


def transfer_rows(board: Board) -> list[list[str]]:
    """The cells under `transfer_headings`, a row per task."""
    return [
        [
            one_line(found.title),
            str(found.negative.n if found.negative else 0),
            _mean(found.before, "z.2f"),
            _mean(found.twin_before, "z.2f"),
            _mean(found.after, "z.2f"),
            _mean(found.twin_after, "z.2f"),
            _mean(found.negative, "+z.2f"),
            _half(found.negative),
            *(_share(found, method) for method in _recovering(board)),
        ]
        for found in board.transfers
    ]


ELICITATION_TITLE = (
    "The base model's own answers to the forgetting prompts, where the truth is known: shares that "
    "are true and that repeat planted knowledge (conflict), the latter also among those that may "
    "be unlearned (kept) and those that are; ROC AUC of the confidence for conflict against true, "
    "over all answers (chance 0.5)"
)
ELICITATION_HEADINGS = (
    "task", "method", "n", "answers", "true\n%", "conflict\n%", "conflict\nin kept %",
    "conflict in\nunlearned %", "AUC", "±",
)  # fmt: skip


def elicitation_rows(board: Board) -> list[list[str]]:
    """The cells under `ELICITATION_HEADINGS`, a row per task and method."""
    return [
        [
            one_line(found.title),
            one_line(found.method),
            str(found.answers.n),
            f"{found.answers.mean:.0f}",
            _mean(found.true, ".0f"),
            _mean(found.conflicting, ".0f"),
            _mean(found.kept, ".0f"),
            _mean(found.unlearned, ".0f"),
            _number(None if found.auc is None else found.auc.mean, ".3f"),
            "" if found.auc is None or found.auc.half is None else f"±{found.auc.half:.3f}",
        ]
        for found in board.elicitations
    ]


OUTSIDE_TITLE = "lm-evaluation-harness, in its own units"
OUTSIDE_HEADINGS = ("its task", "metric", "task", "method", "n", "before", "after", "±")


def outside_rows(board: Board) -> list[list[str]]:
    """The cells under `OUTSIDE_HEADINGS`, a row per measure, task and method."""
    return [
        [
            *map(one_line, (found.task, found.metric, found.title, found.method)),
            str(found.after.n),
            f"{found.before.mean:.4g}",
            f"{found.after.mean:.4g}",
            "" if found.after.half is None else f"±{found.after.half:.2g}",
        ]
        for found in board.outsides
    ]


def _recovering(board: Board) -> list[str]:
    return sorted({method for found in board.transfers for method in found.recovered})


def _share(found: Transfer, method: str) -> str:
    return f"{found.recovered[method]:+z.0%}" if method in found.recovered else MISSING


def tables(board: Board) -> tuple[Table, ...]:
    """All tables in the order of reading: averages come last."""
    averages = [table for table in (board.average, board.glue) if table is not None]
    return (*board.tables, *averages)


def title(table: Table) -> str:
    """Such as "CoLA: Matthews correlation ×100 (to be forgotten: rte)"."""
    if table.task in (AVERAGE, GLUE_AVERAGE):
        return f"{table.title} ×100"
    metric = table.metric or "no finished cell"
    metric = METRICS[metric].title if metric in METRICS else metric
    metric = "mean over tasks" if table.stages and table.metric else metric
    scale = " ×100" if table.metric else ""
    scale = ", less is better" if is_lower(table.metric or "") else scale
    forget = f" (to be forgotten: {', '.join(table.forget)})" if table.forget else ""
    return one_line(f"{table.title}: {metric}{scale}{forget}")


def heading(board: Board) -> str:
    """The board's name."""
    return one_line(f"{board.model} on {board.data}")


def facts(board: Board) -> list[str]:
    """What the board's cells have in common, a line each."""
    shared = board.shared
    model = shared["model"]
    training = ", ".join(f"{k}={v}" for k, v in shared["training"].items() if v is not None)
    lines = [
        f"model: {board.model} ({model['kind']}, {model['hash'][:8]})",
        f"data: {board.data}",
        f"training: {training}",
        f"seeds: {', '.join(map(str, board.seeds))}",
        f"retention text: {board.retention or 'none'}",
        f"suite version: {shared['suite_version']}",
    ]
    return [one_line(line) for line in lines]
