"""Cell results -> boards: pure functions over records, so that a board needs no training to test.

A board holds only cells that can be compared; figures are in metric units, not yet times 100.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.board import chance
from bench.board.closest import Closest, closest
from bench.board.confidence_table import Elicitation, Ranking, elicitations, rankings
from bench.board.forgetting_matrix import ForgettingMatrix, matrices
from bench.board.grouping import (
    MethodKey,
    Variant,
    belongs,
    by_dev_rows,
    canonical,
    distinct,
    families,
    method_names,
    method_of,
    on_equal_terms,
    scored_on,
    shared_part,
    sources_of,
)
from bench.board.lm_eval_table import Outside, outsides
from bench.board.measures import MEASURES
from bench.board.metrics_table import OtherMetric, other_metrics
from bench.board.one_seed import Answers, OneSeed, one_seed
from bench.board.path_table import WeightPath, weight_paths
from bench.board.retained_table import Retained, retained_tasks
from bench.board.rows import Figures, Measured, Row, across, reference_of, rows_of
from bench.board.standing import Standing, standings
from bench.board.transfer import Transfer, transfers
from bench.board.tuning_table import Searched, searches
from bench.board.verdicts import Verdict, limits, verdicts
from bench.cells.measured import On
from bench.cells.result import CellResult
from bench.rows.portions import VALIDATION
from bench.scoring.metrics import is_lower, on_split

AVERAGE = "average"
GLUE_AVERAGE = "glue average"
GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
"""The tasks of the GLUE score (Wang et al. 2019, arXiv 1804.07461, section 5)."""


@dataclass(frozen=True)
class Table:
    """One task, or the average over tasks."""

    task: str
    title: str
    metric: str | None  # None in the average, and where no cell finished
    majority: float | None  # the score of the commonest answer; None where that is not known
    data_hash: str | None  # of the task's rows; None in the average
    forget: tuple[str, ...]  # the forgetting tasks; none for an encoder, whose head has one task
    stages: tuple[str, ...]  # the tasks of a sequence, in order; none where there is one task
    rows: tuple[Row, ...]  # the reference first, then by score
    closest: Closest | None  # the two best beside the reference, if they share two seeds
    notes: tuple[str, ...]  # failed and missing cells, one line each


@dataclass(frozen=True)
class Board:
    """Cells of one model, one set of data, one budget, one suite version: comparable ones."""

    key: str  # 12 hex digits of all that its cells share
    model: str
    data: str
    retention: str | None  # the retention text's name
    text_error: float | None  # the largest standard error of a rise that this text leaves
    shared: dict[str, Any]  # the common part of the cells: suite_version, model, training, ...
    dev_rows: int | None  # that scores are of; None: all, or as the common part says
    seeds: tuple[int, ...]
    tables: tuple[Table, ...]  # by task name
    average: Table | None  # over tasks whose scores are shares; None where there is one
    glue: Table | None  # the average that GLUE defines; None where tasks are missing
    standings: tuple[Standing, ...]  # over the tasks of the average; none of one method
    verdicts: tuple[Verdict, ...]  # of each row of `tables`, then of the average
    limits: tuple[str, ...]  # what so few seeds cannot show, one line each
    one_seed: tuple[OneSeed, ...]  # of methods with one seed, where answers are at hand
    searches: tuple[Searched, ...]  # for the settings of tuned methods, by task and method
    metrics: tuple[OtherMetric, ...]  # those that are not primary
    retained: tuple[Retained, ...]  # retention tasks, where they were asked for
    paths: tuple[WeightPath, ...]  # by task and method, where they were asked for
    transfers: tuple[Transfer, ...]  # by task, where the model's twin was run too
    elicitations: tuple[Elicitation, ...]  # by task and method, where the truth is known
    rankings: tuple[Ranking, ...]  # by task and method that goes by a confidence
    outsides: tuple[Outside, ...]  # scores of lm-evaluation-harness, where they were asked for
    cells: tuple[CellResult, ...]  # all that it is made of, also those that failed or were refused
    names: Mapping[MethodKey, str]  # what each method is called in its tables
    matrices: tuple[ForgettingMatrix, ...] = ()
    """Of each method that was run with several forgetting tasks; these are several boards, of which
    the last has it."""


def boards(results: Iterable[CellResult], answers: Answers = lambda _: None) -> list[Board]:
    """One board per set of comparable cells, in an order that depends on the results alone; trials
    of a search are on none. `answers` is asked of methods that have one seed, and of no others.

    Raises:
        BenchError: two results of one cell have different scores.
    """
    groups = by_dev_rows(one for one in distinct(results) if "trial" not in one["labels"])
    built = [
        _board(family, [r for r in group if belongs(r, family)], groups, answers)
        for group in groups
        for family in families(sources_of(group))
    ]
    built.sort(key=lambda board: (board.model, board.data, board.key))
    alike = {_alike(group): group for group in groups}
    last = {_alike(board.cells): number for number, board in enumerate(built)}
    for key, number in last.items():
        group = alike[key]
        built[number] = replace(built[number], matrices=matrices(group, method_names(group)))
    return built


def _alike(results: Sequence[CellResult]) -> str:
    """What all cells of a group have in common, as text."""
    return canonical([shared_part(results[0]), scored_on(results)])


def _board(
    family: frozenset[Variant],
    results: Sequence[CellResult],
    groups: Sequence[list[CellResult]],
    answers: Answers,
) -> Board:
    for part in ("retention", "lm_eval", "retain_tasks", "path"):
        results = on_equal_terms(results, part)
    shared, on = canonical(shared_part(results[0])), scored_on(results)
    names = method_names(results)
    seeds = tuple(sorted({result["cell"]["seed"] for result in results}))
    by_task = {
        variant.task: [result for result in results if result["cell"]["task"] == variant.task]
        for variant in sorted(family)
    }
    forget = {variant.task: _forget_of(variant, by_task[variant.task]) for variant in family}
    by_task = {task: _forgetting(cells, forget[task]) for task, cells in by_task.items()}
    measured = {task: _measured(cells) for task, cells in by_task.items()}
    texts = [r["retention"] for r in results if r["retention"] is not None]
    errors = [error for text in texts if (error := text.get("error")) is not None]
    single = {task: measured[task] for task, cells in by_task.items() if _is_averaged(cells)}
    identity = canonical([shared, sorted(family), on])
    alike = [r for group in groups if scored_on(group) == on for r in group]
    tables = tuple(
        _task_table(cells, measured[task], forget[task], names, seeds)
        for task, cells in by_task.items()
    )
    average = _average_table(single, names, seeds) if len(single) > 1 else None
    judged = verdicts(tables)
    return Board(
        key=hashlib.sha256(identity.encode()).hexdigest()[:12],
        model=min(result["labels"]["model"] for result in results),
        data=min(result["labels"]["data"] for result in results),
        retention=min(text["text"] for text in texts) if texts else None,
        text_error=max(errors, default=None),
        shared=json.loads(shared),
        dev_rows=on.get("rows"),
        seeds=seeds,
        tables=tables,
        average=average,
        glue=_glue_table(by_task, names, seeds),
        standings=_standings(single, names, seeds) if average and len(names) > 1 else (),
        verdicts=(*judged, *(verdicts([average]) if average else ())),
        limits=limits(judged),
        one_seed=one_seed(by_task, names, answers),
        searches=searches(results, names),
        metrics=other_metrics(results, names),
        retained=retained_tasks(results, names),
        paths=weight_paths(results, names),
        transfers=transfers(results, alike, names),
        elicitations=elicitations(results, names),
        rankings=rankings(results, names),
        outsides=outsides(results, names),
        cells=tuple(results),
        names=names,
    )


def _is_averaged(cells: Sequence[CellResult]) -> bool:
    """Whether a task counts in the average: no sequence, no perplexity beside shares, and none
    that the model cannot learn, by whatever method, or on which nothing beat the majority."""
    if "stages" in cells[0]["cell"] or all(result["status"] == "refused" for result in cells):
        return False
    if chance.unbeaten(cells):
        return False
    primary = [result["scores"]["primary"] for result in cells if result["scores"]]
    return not any(map(is_lower, primary))


def _forget_of(variant: Variant, cells: Sequence[CellResult]) -> tuple[str, ...]:
    """The forgetting tasks of a table: those that a method reads, or that most cells score; none
    for an encoder, whose head has one task."""
    if cells[0]["cell"]["model"]["kind"] != "causal":
        return ()
    found = (r["forgotten"] for r in on_equal_terms(cells, "forgotten"))
    scored = next((tuple(each["tasks"]) for each in found if each is not None), ())
    return variant.forgets or scored


def _forgetting(cells: Sequence[CellResult], forget: tuple[str, ...]) -> list[CellResult]:
    """The cells with their loss on the table's forgetting tasks, and on no other."""

    def fits(on: On) -> bool:
        return set(on["tasks"]) == set(forget)

    return on_equal_terms(cells, "forgotten", fits)


def _measured(cells: Sequence[CellResult]) -> dict[MethodKey, dict[int, Figures]]:
    measured: dict[MethodKey, dict[int, Figures]] = {}
    for result in cells:
        if result["status"] == "done":
            figures = {measure.name: measure.from_result(result) for measure in MEASURES}
            measured.setdefault(method_of(result), {})[result["cell"]["seed"]] = figures
    return measured


def _by_all_metrics(result: CellResult) -> CellResult:
    """The result, scored by the mean of its metrics in place of the primary one."""
    if (scores := result["scores"]) is None:
        return result
    reported = [name for name in scores["after"] if not name.startswith(on_split(VALIDATION, ""))]
    before, after = (
        {"mean": sum(found[name] for name in reported) / len(reported)}
        for found in (scores["before"], scores["after"])
    )
    return {**result, "scores": {**scores, "primary": "mean", "before": before, "after": after}}


def _task_table(
    cells: Sequence[CellResult],
    measured: Measured,
    forget: tuple[str, ...],
    names: Mapping[MethodKey, str],
    seeds: tuple[int, ...],
) -> Table:
    cell = cells[0]["cell"]
    metrics = sorted(result["scores"]["primary"] for result in cells if result["scores"])
    rows = rows_of(measured, names, len(seeds), bool(metrics) and is_lower(metrics[0]))
    return Table(
        task=cell["task"],
        title=min(result["labels"].get("task", cell["task"]) for result in cells),
        metric=metrics[0] if metrics else None,
        majority=chance.majority_of(cells),
        data_hash=cell["data"]["hash"],
        forget=forget,
        stages=tuple(cell.get("stages", ())),
        rows=rows,
        closest=closest(rows, measured, names),
        notes=(*_cell_notes(cells, names, seeds), *chance.notes(cells, names)),
    )


def _cell_notes(
    cells: Sequence[CellResult], names: Mapping[MethodKey, str], seeds: tuple[int, ...]
) -> tuple[str, ...]:
    """Each failed cell with its reason, why a method was refused, scores that stand in for
    undefined ones, and the seeds that were not run, by method."""
    notes, by_method = [], dict[MethodKey, dict[int, CellResult]]()
    for result in cells:
        by_method.setdefault(method_of(result), {})[result["cell"]["seed"]] = result
    for key, name in sorted(names.items(), key=lambda item: item[1]):
        mine = by_method.get(key, {})
        notes += [
            f"{name} seed {seed} failed: {mine[seed]['error']}"
            for seed in sorted(mine)
            if mine[seed]["status"] == "failed"
        ]
        refused = {r["error"] for r in mine.values() if r["status"] == "refused"}
        notes += [f"{name} refused: {reason}" for reason in sorted(map(str, refused))]
        remarks: dict[str, list[str]] = {}
        for seed, result in sorted(mine.items()):
            for remark in result["scores"].get("notes", []) if result["scores"] else []:
                remarks.setdefault(remark, []).append(str(seed))
        notes += [f"{name} seed {', '.join(which)}: {text}" for text, which in remarks.items()]
        if absent := [str(seed) for seed in seeds if seed not in mine]:
            notes.append(f"{name}: not run for seed {', '.join(absent)}")
    return tuple(notes)


def _average_table(
    measured: Mapping[str, Measured], names: Mapping[MethodKey, str], seeds: tuple[int, ...]
) -> Table:
    """Each seed's average over tasks, then the mean over seeds.

    Methods with at least one finished cell in every task are averaged, over the seeds that all of
    them finished in every task: a row is never better for what it left out.
    """
    whole, common = _complete(measured, names, seeds)
    averages = {
        key: {seed: across([table[key][seed] for table in measured.values()]) for seed in common}
        for key in whole
    }
    notes = [
        f"{name}: no average, {sum(key in t for t in measured.values())} of {len(measured)} tasks"
        for key, name in sorted(names.items(), key=lambda item: item[1])
        if key not in whole
    ]
    if whole and len(common) < len(seeds):
        these = f"seed {', '.join(map(str, common))} only" if common else "no seed"
        notes.append(f"averaged over {these}: those that every averaged method finished everywhere")
    rows = rows_of(averages, names, len(seeds))
    return Table(
        task=AVERAGE,
        title=f"Average of {len(measured)} tasks",
        metric=None,
        majority=None,
        data_hash=None,
        forget=(),
        stages=(),
        rows=rows,
        closest=closest(rows, averages, names),
        notes=tuple(notes),
    )


def _complete(
    measured: Mapping[str, Measured], names: Iterable[MethodKey], seeds: tuple[int, ...]
) -> tuple[list[MethodKey], list[int]]:
    """The methods with a finished cell in every task, and the seeds that all finished."""
    tables = list(measured.values())
    whole = [key for key in names if all(key in table for table in tables)]
    return whole, [s for s in seeds if all(s in table[key] for table in tables for key in whole)]


def _standings(
    measured: Mapping[str, Measured], names: Mapping[MethodKey, str], seeds: tuple[int, ...]
) -> tuple[Standing, ...]:
    whole, common = _complete(measured, names, seeds)
    reference = reference_of(whole)
    scores = {
        names[key]: {
            task: [value for seed in common if (value := table[key][seed]["after"]) is not None]
            for task, table in measured.items()
        }
        for key in whole
    }
    return standings(scores, names[reference] if reference else None) if common else ()


def _glue_table(
    by_task: Mapping[str, Sequence[CellResult]],
    names: Mapping[MethodKey, str],
    seeds: tuple[int, ...],
) -> Table | None:
    """The mean over GLUE's tasks of the mean of each task's metrics (of mnli, of both dev sets).

    Many papers leave out wnli; the title says where it is. None where another task is missing, and
    for generated rows, whose tasks only have the same names.
    """
    there = [task for task in GLUE if task in by_task]
    generated = any(cell["generated"] for task in there for cell in by_task[task])
    if generated or not set(GLUE) - set(there) <= {"wnli"}:
        return None
    scored = {task: [_by_all_metrics(cell) for cell in by_task[task]] for task in there}
    measured = {task: _measured(cells) for task, cells in scored.items()}
    title = "GLUE average, wnli included" if "wnli" in there else "GLUE average, without wnli"
    return replace(_average_table(measured, names, seeds), task=GLUE_AVERAGE, title=title)
