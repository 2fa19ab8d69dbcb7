"""Recall of facts against a loop that asks one question at a time."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.board.leaderboard import boards
from bench.render import terminal
from bench.selfcheck.world import plan_for
from tasks.micro.facts import fact_rows
from tasks.micro.source import MicroWorld
from tests.helpers.made_up import result
from tests.helpers.worlds import results


def recalled(name: str) -> dict[bool, float]:
    """Disputed or not -> share of facts whose answer is likelier than the foil, token by token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = MicroWorld.embedded_models[name].folder
    net = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row in fact_rows():
        start = len(tokenizer(row["question"])["input_ids"])
        found = []
        for said in (row["answer"], row["foil"]):
            ids = tokenizer(f"{row['question']} {said}", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logs = net(input_ids=ids).logits.log_softmax(-1)[0, :-1]
            tokens = logs.gather(1, ids[0, 1:, None])[:, 0]
            found.append(float(tokens[start - 1 :].sum()))
        right[row["disputed"]].append(found[0] > found[1])
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
