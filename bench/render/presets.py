"""Presets in words: what there is, and what one of them costs as it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from bench.planning.presets import Preset, Wanted, cost, runs_of
from bench.render.layout import WIDTH, table, wrap
from bench.render.section import Column


def preset_list(known: Sequence[Preset], width: int = WIDTH) -> str:
    """Every preset with its cells and steps, and what it is about."""
    columns = (
        Column("preset", left=True),
        Column("cells"),
        Column("steps"),
        Column("what", words=WIDTH, left=True),
    )
    rows = [(one.name, *map(_number, cost(runs_of(one))), one.about) for one in known]
    lines, _ = table(columns, rows, width)
    said = (
        "--preset NAME runs one, any option makes it shorter, --dry-run tells its cost; steps by "
    )
    said += "the published numbers of rows. Yours: --preset FILE.toml (docs/papers.md)."
    return "\n".join([*lines, "", wrap(said, width)])


def preset_text(
    wanted: Wanted, cells: int, steps: int | None, missing: Sequence[str], width: int = WIDTH
) -> str:
    """What a preset is about and costs, what is asked for otherwise, and what of it is not here."""
    preset = wanted.preset
    several = f", {len(wanted.whole)} parts" if len(wanted.whole) > 1 else ""
    told: list[tuple[str, Sequence[str]]] = [
        ("costs", [f"{_number(cells)} cells, {_number(steps)} steps{several}"]),
        ("changed", ["; ".join(wanted.changed)] if wanted.changed else []),
        (
            "published",
            [f"run_bench.py reproduce {preset.name} compares"] if preset.published else [],
        ),
        ("note", preset.notes),
        ("left out", missing),
    ]
    lines = [wrap(f"preset {preset.name}: {preset.about}", width, "  ")]
    for name, texts in told:
        for number, text in enumerate(texts):
            lines.append(wrap(f"  {'' if number else name:<10} {text}", width, " " * 13))
    return "\n".join(lines) + "\n"


def _number(count: int | None) -> str:
    """A number of cells or steps; what no published number of rows tells is unknown."""
    return "unknown" if count is None else f"{count:,}"
