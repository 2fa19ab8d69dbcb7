"""Recall of facts, and the ceiling of forgetting, against loops that ask one question at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from bench.board.leaderboard import boards
from bench.board.part_figures import figures
from bench.board.verification import verify
from bench.render import terminal
from bench.rows.lookup import Lookup
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, workspace_for
from tasks.micro.facts import fact_rows
from tasks.micro.rows import rows
from tasks.micro.source import MicroWorld
from tests.helpers.made_up import result
from tests.helpers.worlds import results


def said(net: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """The answer's log-likelihood after the prompt, token by token."""
    start = len(tokenizer(prompt)["input_ids"])
    ids = tokenizer(f"{prompt} {answer}", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logs = net(input_ids=ids).logits.log_softmax(-1)[0, :-1]
    return float(logs.gather(1, ids[0, 1:, None])[start - 1 :, 0].sum())


def loaded(name: str) -> tuple[Any, Any]:
    """An embedded model and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = MicroWorld.embedded_models[name].folder
    net = AutoModelForCausalLM.from_pretrained(folder).eval()
    return net, AutoTokenizer.from_pretrained(folder)


def recalled(name: str) -> dict[bool, float]:
    """Disputed or not -> share of facts whose answer is likelier than the foil."""
    net, tokenizer = loaded(name)
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row in fact_rows():
        told, foil = (said(net, tokenizer, row["question"], row[n]) for n in ("answer", "foil"))
        right[row["disputed"]].append(told > foil)
    return {disputed: sum(answers) / len(answers) for disputed, answers in right.items()}


def test_an_untrained_cell_recalls_what_a_slow_loop_says(tmp_path: Path) -> None:
    plan = plan_for(
        ["finetune"], ["cola"], "micro", "micro", "train.steps=0", "train.max_eval=4", forget=[]
    )
    (cell,) = results(plan, tmp_path)
    expected = recalled("micro")
    assert cell["facts"] is not None
    both = (cell["facts"]["settled"], False), (cell["facts"]["disputed"], True)
    for found, disputed in both:
        share = expected[disputed]
        assert found == {"questions": 80, "before": share, "after": share}


def test_the_ceiling_of_an_untrained_cell_is_what_a_slow_loop_says(tmp_path: Path) -> None:
    plan = plan_for(
        ["finetune"], ["dental"], "micro", "micro", "train.steps=0", "train.max_eval=60", forget=[]
    )
    cell, kept, behind = run_cell(only_cell(plan), workspace_for(plan, tmp_path), False)
    net, tokenizer = loaded("micro")
    right = []
    for row in rows("dental", "dev"):
        if row["id"] not in kept["id"] or row["outdated"] == row["label"]:
            continue
        left = [name for place, name in enumerate("abcd") if place != row["outdated"]]
        prompt = f"Question: {row['question']}\nAnswer:"
        best = max(left, key=lambda name: said(net, tokenizer, prompt, row[name]))
        right.append(best == "abcd"[row["label"]])
    share = sum(right) / len(right)
    assert cell["ceiling"] == {"rows": len(right), "answers": 4, "before": share, "after": share}
    assert 20 < len(right) < 40
    checked = verify(cell, kept, Lookup("micro"), behind)
    assert (checked.differ, checked.unchecked) == ((), ("drift", "costs"))
    told = {"scores.after.accuracy_norm", "ceiling.after", "facts.settled.before"}
    assert told <= figures(cell, behind).keys()


def test_boards_show_the_change_of_settled_facts_where_there_are_any() -> None:
    told = result("ewc")
    told["facts"] = {
        "settled": {"questions": 80, "before": 0.75, "after": 0.5},
        "disputed": {"questions": 80, "before": 0.25, "after": 0.75},
    }
    (board,) = boards([result(), told])
    means = {row.method: row.mean("facts") for row in board.tables[0].rows}
    assert means == {"finetune": None, "ewc": -0.25}
    assert "-25.00" in terminal.render([board])
    assert "facts" in terminal.render([board])
    assert "facts" not in terminal.render(boards([result()]))
