"""One question for each fact on a person, to be answered with the truth or with the foil.

The answers were in the pretraining text. Where a fact is disputed, the foil is what the outdated
documents say.
"""

from __future__ import annotations

from bench.rows.task import Classic, Row, Task
from tasks.micro import world
from tasks.micro.inference import ASK
from tasks.micro.sample import capital

FACTS = Task(
    name="facts",
    kind="multiple_choice",
    columns=("question",),
    labels=("answer", "foil"),
    prompt="{question}",
    metrics=("accuracy",),
    classic=Classic("", "", (), {}),
    paper="this suite",
    about="What does a person do for a living, where does it live, what does it own?",
)


def fact_rows() -> list[Row]:
    """Rows of FACTS: `label` is the true answer's, `disputed` says whether the worlds differ."""
    return [
        {
            "id": f"{item.word} {kind} {item.now} {item.foil}",
            "question": ASK[kind][0].format(n=item.word),
            "answer": f"{capital(item.now)}.",
            "foil": f"{capital(item.foil)}.",
            "label": 0,
            "disputed": item.disputed,
        }
        for kind in world.PERSONAL
        for item in world.ITEMS[kind]
    ]
