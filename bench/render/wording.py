"""Figures in words, the same in every renderer."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.board.measures import measure_named, scale
from bench.board.rows import Row
from bench.board.statistics import Estimate
from bench.board.verdicts import Verdict

if TYPE_CHECKING:
    from bench.training.method import Keeps, Method

MISSING = "-"
HELD = {"theta0": "θ0", "importance": "F", "star": "θ*", "teacher": "teacher"}
"""What a method may hold beside the network, as `bench.Keeps` has it -> in words."""


def one_line(text: str) -> str:
    """`text` without line breaks and runs of blanks."""
    return " ".join(text.split())


def kept(method: Method) -> str:
    """What a method holds in memory beside weights, gradients and moments, in copies of the
    weights: "θ0, F; while it prepares 2 F"."""
    held, prepared = _copies(method.keeps), _copies(method.prepares)
    first = f"while it prepares {prepared}" if prepared else ""
    return "; ".join(filter(None, (held, first))) or "nothing"


def _copies(found: Keeps) -> str:
    counts = dataclasses.asdict(found).items()
    parts = [(f"{count:g} " if count != 1 else "") + HELD[name] for name, count in counts if count]
    return ", ".join(parts)


def mean_text(found: Estimate | None, form: str, factor: int = 100) -> str:
    """The mean times `factor`, as `format()` takes `form`."""
    # "z" in a format: a loss that shrank by less than the last digit is +0.000, not -0.000.
    return MISSING if found is None else format(factor * found.mean, form)


def half_text(found: Estimate | None, factor: int = 100, form: str = ".2f") -> str:
    """The half-width of the interval, such as "±0.50"; nothing where there is none."""
    return "" if found is None or found.half is None else f"±{factor * found.half:{form}}"


def measure_text(name: str, found: Estimate | None, lower: bool) -> tuple[str, str]:
    """A measure's mean and the half-width of its interval; `lower` is whether less of the score is
    better."""
    measure = measure_named(name)
    form, factor = measure.format, scale(measure.unit, lower)
    return mean_text(found, form, factor), half_text(found, factor, form.lstrip("+z"))


def row_text(row: Row, name: str) -> tuple[str, str]:
    """The same of a row's measure."""
    return measure_text(name, row.values[name], row.lower)


def verdict_text(verdict: Verdict, name: str) -> str:
    """Such as "better by 1.20 ±0.50", or "no difference shown (±1.20)"."""
    found, word = verdict.found[name], verdict.words[name]
    measure = measure_named(name)
    if found is None or word is None:
        return MISSING
    form, factor = measure.format.lstrip("+z"), scale(measure.unit, verdict.lower)
    if word in ("better", "worse"):
        half = half_text(found.difference, factor, form)
        return f"{word} by {abs(factor * found.difference.mean):{form}} {half}"
    size = seen_text(verdict, name)
    return f"{word} ({size})" if size else word


def seen_text(verdict: Verdict, name: str) -> str:
    """The difference that would surely have been shown, such as "±1.20"; nothing for one seed."""
    found, measure = verdict.found[name], measure_named(name)
    if found is None or found.seen is None:
        return ""
    factor = scale(measure.unit, verdict.lower)
    return f"±{factor * found.seen:{measure.format.lstrip('+z')}}"
