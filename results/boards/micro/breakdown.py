"""Accuracy on disputed and other dev rows, from the answers that stand beside finetune's cells.

python results/boards/micro/breakdown.py, from the project's folder, at a commit whose generator is
version 2: rows of another version are not those that were answered.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tasks.micro import world  # noqa: E402
from tasks.micro.rows import GENERATOR_VERSION, samples  # noqa: E402
from tasks.micro.sample import Sample  # noqa: E402

if GENERATOR_VERSION != 2:
    sys.exit(f"these answers are to rows of generator version 2; this is {GENERATOR_VERSION}")


def taught(sample: Sample) -> bool | None:
    """Whether training rows speak of the sample's item; None where that is not looked up here."""
    question = sample.columns.get("question", "")
    items = world.ITEMS.get(sample.topic, ())
    return next(
        (i.taught for i in items if f" {i.word} " in f"{question} ".replace("'", " ")), None
    )


def share(right: list[bool]) -> str:
    """In percent."""
    return f"{100 * statistics.mean(right):.0f}" if right else "-"


found: dict[tuple[str, str, str], list[tuple[Sample, bool]]] = {}
for file in sorted((HERE / "cells").glob("finetune-*.rows.json")):
    answers = json.loads(file.read_text())
    cell = json.loads(file.with_name(file.name.replace(".rows", "")).read_text())
    rows = samples(cell["cell"]["task"], "dev")
    for when in ("before", "after"):
        key = (cell["cell"]["task"], cell["labels"]["model"], when)
        pairs = zip(rows, answers[when], strict=False)  # mnli's second dev set comes behind
        found.setdefault(key, []).extend((s, a == s.label) for s, a in pairs)

for (task, model, when), pairs in sorted(found.items()):
    disputed = [(s, right) for s, right in pairs if s.old != s.label]
    print(
        f"{task:8} {model:12} {when:7}",
        "disputed", share([right for _, right in disputed]),
        "(taught", share([right for s, right in disputed if taught(s) is True]),
        "untaught", share([right for s, right in disputed if taught(s) is False]) + ")",
        "others", share([right for s, right in pairs if s.old == s.label]),
    )  # fmt: skip
