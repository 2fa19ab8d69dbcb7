"""LWF: how confident the base model is of its answers, against the definition, and the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.gradients.fisher import Confidence
from bench.planning.plan import Plan
from bench.rows.source import Folder, Told
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, stage_for, trained, weights, workspace_for
from bench.training.loop import train
from methods.lwf import unlearning
from methods.lwf.settings import LWFConfig
from methods.shared.answers import AnswerSet
from tests.helpers.lwf_cells import Make, config_of, elicited, kept_answers, pairs, prepared
from tests.helpers.worlds import results


def examples(stage: CellSession) -> Iterator[tuple[list[int], list[int]]]:
    """The training rows as (prompt, gold answer)."""
    rows = stage.run.train_rows
    for i in range(len(rows)):
        yield rows.prompts[i], rows.answers[i][rows.gold[i]]


def gradient(net: Any, prompt: list[int], answer: list[int], reduction: str) -> list[Tensor]:
    """The gradient of one answer's loss, by the network's own forward pass."""
    ids = torch.tensor([prompt + answer])
    logits = net(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    loss = cross_entropy(logits, torch.tensor(answer), reduction=reduction)
    return list(torch.autograd.grad(loss, list(net.parameters())))


@pytest.mark.parametrize(("alpha", "weighed"), [(None, True), (0.3, True), (0.3, False)])
def test_confidence_is_its_definition(
    alpha: float | None,
    weighed: bool,
    lwf_plan: Make,
    tiny_causal: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    """FC(x) = ½ Σ F_L (θ0 − α g(x) − θ*)², one example at a time in float64, with F_L over all
    rows at the weights that the finetune cell ends with, or 1."""
    plain = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data)
    star = {k: x.double() for k, x in weights(trained(plain, tmp_path / "plain")).items()}
    net = hf.AutoModelForCausalLM.from_pretrained(tiny_causal).double().eval()
    base = {name: p.detach().clone() for name, p in net.named_parameters()}

    words = "lwf.fisher_rows=1000", f"lwf.alpha={alpha or 'none'}", f"lwf.fisher={weighed}"
    stage = stage_for(lwf_plan(*words), tmp_path)
    net.load_state_dict(star, strict=False)
    squares = [[g.square() for g in gradient(net, p, a, "sum")] for p, a in examples(stage)]
    fisher = [torch.stack(column).mean(0) for column in zip(*squares, strict=True)]
    if not weighed:
        fisher = [torch.ones_like(f) for f in fisher]
    net.load_state_dict(base, strict=False)
    step = stage.cell.training.lr if alpha is None else alpha
    answers = kept_answers(stage)
    expected, constant = [], 0.0
    for prompt, answer in zip(answers.prompts, answers.answers, strict=True):
        g = gradient(net, prompt, answer, "mean")
        gaps = [base[name] - star[name] for name in base]
        terms = zip(fisher, gaps, g, strict=True)
        expected.append(sum(0.5 * (f * (d - step * x).square()).sum() for f, d, x in terms))
        constant = sum(
            0.5 * float((f * d.square()).sum()) for f, d in zip(fisher, gaps, strict=True)
        )
    want = torch.stack(expected)

    before = weights(stage)
    found = unlearning.confidence(stage.run, config_of(stage), answers)
    assert torch.allclose(found.value, want, rtol=1e-5, atol=0)
    change = want - constant
    assert (found.change - change).abs().max() < 1e-4 * change.abs().max()
    assert change.std() > 0.01 * change.abs().max(), "the answers must differ for this to test"
    assert all(torch.equal(x, before[name]) for name, x in weights(stage).items())


def test_theta_star_is_the_end_of_the_finetune_cell(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plain = weights(trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path))
    star = stage_for(lwf_plan(), tmp_path / "alone").run.finetuned(None)
    assert star.keys() == plain.keys()
    assert all(torch.equal(x, star[name]) for name, x in plain.items())
    other = stage_for(lwf_plan(first_seed=1), tmp_path / "alone").run.finetuned(None)
    assert not all(torch.equal(x, other[name]) for name, x in plain.items())


def test_the_finetune_cell_leaves_its_weights_and_its_price(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = lwf_plan(no_reference=False)
    trainings = []
    real = train

    def counted(run: Any, method: Any, *rest: Any) -> Any:
        trainings.append(method.name)
        return real(run, method, *rest)

    monkeypatch.setattr("bench.running.session.train", counted)
    finetune, lwf = results(plan, tmp_path)
    assert trainings == ["finetune", "lwf"], "plain fine-tuning runs once for both cells"
    assert finetune["costs"] is not None
    assert lwf["costs"] is not None
    assert lwf["costs"]["prepare"] > finetune["costs"]["train"]


def test_theta_star_of_a_short_run(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    plan = plan_for(["finetune"], ["cola"], tiny_causal, tiny_data, "train.steps=2")
    short = weights(trained(plan, tmp_path / "plain"))
    stage = stage_for(lwf_plan("lwf.theta_l_steps=2"), tmp_path)
    star = stage.run.finetuned(2)
    assert all(torch.equal(x, star[name]) for name, x in short.items())
    answers = kept_answers(stage)
    brief = unlearning.confidence(stage.run, config_of(stage), answers)
    whole = unlearning.confidence(stage.run, LWFConfig(fisher_rows=16), answers)
    assert not torch.equal(brief.change, whole.change)


CHANGES = torch.tensor([0.0, 5.0, 9.0, -2.0, 3.0, -1.0], dtype=torch.float64)
KEPT = [0, 1, 3, 4, 5]  # all but the most confident


def selected(plan: Plan, folder: Path) -> list[int]:
    stage = stage_for(plan, folder)
    return unlearning.select(stage.run, config_of(stage), Confidence(1.0, CHANGES), KEPT)


@pytest.mark.parametrize(
    ("end", "share", "best"),
    [
        ("high", 0.4, [1, 4]),
        ("high", 1.0, [1, 4, 0, 5, 3]),
        ("high", 0.01, [1]),
        ("low", 0.4, [3, 5]),
    ],
)
def test_the_share_at_one_end_is_selected(
    end: str, share: float, best: list[int], lwf_plan: Make, tmp_path: Path
) -> None:
    assert selected(lwf_plan(f"lwf.select={end}", f"lwf.share={share}"), tmp_path) == best


def test_random_answers_depend_on_the_seed(lwf_plan: Make, tmp_path: Path) -> None:
    def drawn(seed: int) -> tuple[int, ...]:
        plan = lwf_plan("lwf.select=random", "lwf.share=0.4", first_seed=seed)
        return tuple(selected(plan, tmp_path))

    found = [drawn(seed) for seed in range(8)]
    assert drawn(0) == found[0]
    assert len(set(found)) > 2
    assert all(len(set(some)) == 2 and set(some) <= set(KEPT) for some in found)


def test_prepare_selects_by_confidence(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.share=0.25"), tmp_path)
    method = prepared(stage)
    answers = kept_answers(stage)
    confidence = unlearning.confidence(stage.run, config_of(stage), answers).value
    count = round(0.25 * len(answers))
    best = sorted(range(len(answers)), key=lambda i: -confidence[i])[:count]
    assert set(pairs(method.unlearned)) == {pairs(answers)[i] for i in best}
    assert len(method.unlearned) == count > 1


@dataclass(frozen=True)
class Knowing(Folder):
    """Knows of texts with the words in `said` whether they are outdated."""

    said: dict[str, bool] = field(default_factory=dict)

    def truth(self) -> Callable[[str], Told | None]:
        def told(text: str) -> Told | None:
            return next((Told(old, word) for word, old in self.said.items() if word in text), None)

        return told


def test_what_is_known_of_the_answers_is_counted(lwf_plan: Make, tmp_path: Path) -> None:
    """AUC against all pairs of a conflicting and a true answer, counted one by one."""
    stage = stage_for(lwf_plan(), tmp_path)
    words = stage.tokenizer.convert_tokens_to_ids(["cat", "dog", "bird", "saw"])
    cat, dog, bird, saw = words
    answers = AnswerSet([[2, saw]] * 6, [[dog], [cat], [bird], [cat], [dog], [cat]])
    stage.run.source = Knowing("", {"cat": True, "dog": False})
    found = unlearning.judge(stage.run, answers, Confidence(1.0, CHANGES), KEPT, [1, 4, 0])
    assert found["all"] == {"answers": 6, "conflicting": 3, "true": 2}
    assert found["kept"] == {"answers": 5, "conflicting": 3, "true": 2}
    assert found["unlearned"] == {"answers": 3, "conflicting": 1, "true": 2}
    conflicting, true = CHANGES[[1, 3, 5]].tolist(), CHANGES[[0, 4]].tolist()
    won = sum(c > t for c in conflicting for t in true)
    assert found["auc"] == pytest.approx(won / 6)
    assert found["auc_kept"] == found["auc"], "the bird is neither"
    reverse = unlearning.judge(stage.run, answers, Confidence(1.0, -CHANGES), [1, 2, 3], [1])
    assert reverse["auc"] == pytest.approx(1 - won / 6)
    assert reverse["auc_kept"] is None, "no true answer is kept"
    stage.run.source = Folder("")
    unknown = unlearning.judge(stage.run, answers, Confidence(1.0, CHANGES), KEPT, [1])
    assert unknown["all"] == {"answers": 6, "conflicting": None, "true": None}
    assert unknown["auc"] is None


def test_all_answers_are_ranked_and_some_unlearned(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan("lwf.keep=wrong", "lwf.share=0.5"), tmp_path)
    stage.run.source = Knowing("", {"yes": True, "": False})
    prepared(stage)
    found = stage.run.reported["elicited"]
    said = len(elicited(lwf_plan("lwf.keep=all"), tmp_path))
    wrong = len(elicited(lwf_plan(), tmp_path))
    assert found["all"]["answers"] == said > wrong
    assert found["kept"]["answers"] == wrong
    assert found["unlearned"]["answers"] == round(wrong / 2)
    assert 0 < found["all"]["conflicting"] < said
    assert 0 <= found["auc"] <= 1


def test_the_result_holds_what_was_elicited_after_a_resume_too(
    lwf_plan: Make, tmp_path: Path
) -> None:
    plan = lwf_plan()
    (whole,) = results(plan, tmp_path / "whole")
    assert whole["elicited"] is not None
    assert whole["elicited"]["all"]["conflicting"] is None, "only the micro world knows"
    workspace = workspace_for(plan, tmp_path / "parts")
    cell = only_cell(plan)
    stage = CellSession(cell, workspace)
    train(stage.run, stage.method, workspace.checkpoint(cell), stop_at=2)
    resumed, _ = run_cell(cell, workspace, share_weights=False)
    assert resumed["provenance"]["resumes"] == 1
    assert resumed["elicited"] == whole["elicited"]
