"""LWF: how confident the base model is of its answers, against the definition, and the choice."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.core.errors import BenchError, CellError
from bench.gradients.fisher import Confidence
from bench.planning.plan import Plan
from bench.rows.source import Folder, Told
from bench.rows.task import Task
from bench.running.session import CellSession
from bench.running.single import run_cell
from bench.selfcheck.world import only_cell, plan_for, stage_for, trained, weights, workspace_for
from bench.training.loop import train
from methods.lwf import judging, selection
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
    words += ("lwf.temperature=1",)  # its own answers are much alike
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
    found = selection.weigh(stage.run, config_of(stage), answers).confidence
    assert torch.allclose(found.value, want, rtol=1e-5, atol=0)
    assert found.score.argsort().tolist() == want.argsort().tolist()
    change = want - constant
    assert (found.change - change).abs().max() < 1e-4 * change.abs().max()
    assert change.std() > 0.01 * change.abs().max(), "the answers must differ for this to test"
    assert all(torch.equal(x, before[name]) for name, x in weights(stage).items())


def test_alpha_0_ranks_by_the_limit(lwf_plan: Make, tmp_path: Path) -> None:
    """FC is a constant there, but has a limit's order; α is no part of the work that is shared."""
    stage = stage_for(lwf_plan("lwf.alpha=0", "lwf.share=0.25", "lwf.keep=all"), tmp_path)
    answers = kept_answers(stage)
    chosen = pairs(prepared(stage).rows)
    found = selection.weigh(stage.run, config_of(stage), answers).confidence
    assert len(set(found.value.tolist())) == 1
    near = LWFConfig(alpha=1e-9, fisher_rows=16)
    close = selection.weigh(stage.run, near, answers).confidence.change
    best = close.argsort(descending=True)[: len(chosen)].tolist()
    assert chosen == [pairs(answers)[i] for i in best]
    assert stage.run.reported["elicited"]["weighed"]["rank_limit"] == pytest.approx(1)


def test_the_rise_is_that_from_the_base_to_the_tuned_weights(
    lwf_plan: Make, tiny_causal: Path, tiny_data: Path, tmp_path: Path
) -> None:
    stage = stage_for(lwf_plan(), tmp_path)
    answers = kept_answers(stage)
    found = selection.weigh(stage.run, config_of(stage), answers).rise
    plain = trained(plan_for(["finetune"], ["cola"], tiny_causal, tiny_data), tmp_path / "plain")
    base = hf.AutoModelForCausalLM.from_pretrained(tiny_causal)
    for rise, (prompt, answer) in zip(found.tolist(), pairs(answers), strict=True):
        ids, gold = torch.tensor([[*prompt, *answer]]), torch.tensor(answer)
        with torch.no_grad():
            now, then = (
                float(cross_entropy(net(input_ids=ids).logits[0, len(prompt) - 1 : -1], gold))
                for net in (plain.run.net, base)
            )
        assert rise == pytest.approx(now - then, abs=1e-5)


def test_theta_star_and_its_fisher_are_freed_after_selection(
    lwf_plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Tensor]] = []
    real = selection.forgetting_confidence

    def noted(net: Any, parts: Any, losses: Any, fisher: Any, star: Any, alpha: float) -> Any:
        held.extend(weakref.ref(x) for values in (fisher, star) for x in values.values())
        return real(net, parts, losses, fisher, star, alpha)

    monkeypatch.setattr(selection, "forgetting_confidence", noted)
    stage = stage_for(lwf_plan(), tmp_path)
    prepared(stage)
    assert len(held) == 2 * len(stage.loaded.base)
    assert not any(one() is not None for one in held)


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
    brief = selection.weigh(stage.run, config_of(stage), answers)
    whole = selection.weigh(stage.run, LWFConfig(fisher_rows=16), answers)
    assert not torch.equal(brief.confidence.change, whole.confidence.change)
    assert not torch.equal(brief.rise, whole.rise)


CHANGES = torch.tensor([0.0, 5.0, 9.0, -2.0, 3.0, -1.0], dtype=torch.float64)
KEPT = [0, 1, 3, 4, 5]  # all but the most confident
TOLD = [None, Told(True, "a"), Told(True, "b"), Told(False, "a"), Told(True, "a"), None]


def selected(plan: Plan, folder: Path) -> list[int]:
    stage = stage_for(plan, folder)
    return selection.select(stage.run, config_of(stage), KEPT, CHANGES, TOLD)


@pytest.mark.parametrize(
    ("end", "share", "best"),
    [
        ("high", 0.4, [1, 4]),
        ("high", 1.0, [1, 4, 0, 5, 3]),
        ("high", 0.01, [1]),
        ("low", 0.4, [3, 5]),
        ("unsure", 0.4, [1, 4]),
        ("all", 0.4, KEPT),
    ],
)
def test_the_share_at_one_end_is_selected(
    end: str, share: float, best: list[int], lwf_plan: Make, tmp_path: Path
) -> None:
    assert selected(lwf_plan(f"lwf.select={end}", f"lwf.share={share}"), tmp_path) == best


def test_the_oracle_unlearns_what_is_known_to_be_outdated(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan(), tmp_path)
    config = LWFConfig(select="oracle", share=0.1)
    assert selection.select(stage.run, config, KEPT, CHANGES, TOLD) == [1, 4]
    with pytest.raises(CellError, match=r"none of the model's 2 answers .* is outdated"):
        selection.select(stage.run, config, [0, 3], CHANGES, TOLD)


def test_the_oracle_is_refused_where_no_truth_is_known(lwf_plan: Make) -> None:
    with pytest.raises(BenchError, match=r"lwf:oracle.* on .*: it needs to know which answers are"):
        lwf_plan("lwf.select=oracle")
    plan = plan_for(["lwf:oracle"], ["cola"], "micro", "micro", forget=["qasc"])
    assert only_cell(plan).label.startswith("lwf:oracle")


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
    confidence = selection.weigh(stage.run, config_of(stage), answers).confidence.value
    count = round(0.25 * len(answers))
    best = sorted(range(len(answers)), key=lambda i: -confidence[i])[:count]
    assert set(pairs(method.rows)) == {pairs(answers)[i] for i in best}
    assert len(method.rows) == count > 1


def test_prepare_selects_what_the_base_is_least_sure_of(lwf_plan: Make, tmp_path: Path) -> None:
    """By a loop of one answer at a time; no label is read, and no θ* made."""
    stage = stage_for(lwf_plan("lwf.select=unsure", "lwf.keep=all", "lwf.share=0.25"), tmp_path)
    method = prepared(stage)
    assert "finetuned" not in method.needs
    answers = kept_answers(stage)
    unsure = []
    for prompt, answer in pairs(answers):
        with torch.no_grad():
            logits = stage.run.net.eval()(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        told = [float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(answer)]
        unsure.append(-sum(told) / len(told))
    best = sorted(range(len(answers)), key=lambda i: -unsure[i])[: round(0.25 * len(answers))]
    assert set(pairs(method.rows)) == {pairs(answers)[i] for i in best}
    assert len(method.rows) == len(best) > 1


@dataclass(frozen=True)
class Knowing(Folder):
    """Knows of texts with the words in `said` whether they are outdated."""

    said: dict[str, bool] = field(default_factory=dict)
    items: dict[str, bool] = field(default_factory=dict)  # item -> whether it is taught

    def truth(self) -> Callable[[str], Told | None]:
        def told(text: str) -> Told | None:
            return next((Told(old, word) for word, old in self.said.items() if word in text), None)

        return told

    def asked(self, task: Task) -> dict[str, bool]:
        return self.items


def weighed(changes: Tensor, rise: Tensor) -> selection.Weighed:
    """With a limit that ranks the other way round."""
    square = 4 * changes
    return selection.Weighed(Confidence(1.0, -changes, square, alpha=1.0), rise)


def auc(scores: list[float], conflicting: list[int], true: list[int]) -> float:
    """Of all pairs of a conflicting and a true answer, counted one by one."""
    won = sum(
        (scores[c] > scores[t]) + (scores[c] == scores[t]) / 2 for c in conflicting for t in true
    )
    return won / (len(conflicting) * len(true))


def test_what_is_known_of_the_answers_is_counted(lwf_plan: Make, tmp_path: Path) -> None:
    stage = stage_for(lwf_plan(), tmp_path)
    words = stage.tokenizer.convert_tokens_to_ids(["cat", "dog", "bird", "saw"])
    cat, dog, bird, saw = words
    answers = AnswerSet([[2, saw]] * 6, [[dog], [cat], [bird], [cat], [dog], [cat]])
    stage.run.source = Knowing("", {"cat": True, "dog": False})
    told = judging.told_of(stage.run, answers)
    assert told == [Told(word == "cat", word) if word != "bird" else None for word in ANIMALS]
    rise = torch.tensor([1.0, 2.0, 9.0, 3.0, 0.5, 1.5])
    found = judging.judge(stage.run, told, KEPT, [1, 4, 0], weighed(CHANGES, rise))
    assert found["all"] == {"answers": 6, "conflicting": 3, "true": 2}
    assert found["kept"] == {"answers": 5, "conflicting": 3, "true": 2}
    assert found["unlearned"] == {"answers": 3, "conflicting": 1, "true": 2}
    assert found["auc"] == pytest.approx(auc(CHANGES.tolist(), [1, 3, 5], [0, 4]))
    assert found["auc_kept"] == found["auc"], "the bird is neither"
    its = found["weighed"]
    assert its is not None
    assert its["rise_kept"] == pytest.approx(8 / 5)
    assert its["rise_unlearned"] == pytest.approx(3.5 / 3)
    assert its["rank_limit"] == pytest.approx(-1)
    assert its["rank_rise"] == pytest.approx(spearman(CHANGES[KEPT], rise[KEPT]))
    assert its["taught"] is its["untaught"] is None, "the task asks about no animal"
    assert its["scores_kept"] == pytest.approx(CHANGES[KEPT].tolist(), rel=1e-2)
    assert its["scores_unlearned"] == pytest.approx(CHANGES[[1, 4, 0]].tolist(), rel=1e-2)
    nothing = judging.judge(stage.run, told, KEPT, [1], None)
    assert nothing["auc"] is nothing["weighed"] is None
    reverse = judging.judge(stage.run, told, [1, 2, 3], [1], weighed(-CHANGES, rise))
    assert reverse["auc"] == pytest.approx(1 - auc(CHANGES.tolist(), [1, 3, 5], [0, 4]))
    assert reverse["auc_kept"] is None, "no true answer is kept"
    stage.run.source = Folder("")
    told = judging.told_of(stage.run, answers)
    unknown = judging.judge(stage.run, told, KEPT, [1], weighed(CHANGES, rise))
    assert unknown["all"] == {"answers": 6, "conflicting": None, "true": None}
    assert unknown["auc"] is None
    assert unknown["weighed"] is not None, "the rise is measured on any data"


ANIMALS = ["dog", "cat", "bird", "cat", "dog", "cat"]


def spearman(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of the ranks, without ties."""
    ranks = torch.stack([one.argsort().argsort(), other.argsort().argsort()]).double()
    return float(torch.corrcoef(ranks)[0, 1])


def test_the_yardstick_is_on_items_that_the_task_asks_about(lwf_plan: Make, tmp_path: Path) -> None:
    """Taught and untaught apart, by confidence and by rise; items that are not asked about count
    in neither."""
    stage = stage_for(lwf_plan(), tmp_path)
    stage.run.source = Knowing("", {"x": True}, {"taught": True, "untaught": False})
    items = [("taught", True), ("taught", False), ("untaught", True), ("untaught", False)]
    told = [Told(old, item) for item, old in [*items * 2, ("other", True), ("other", False)]]
    scores = torch.tensor([5.0, 1, 2, 3, 4, 6, 7, 8, 0, 9], dtype=torch.float64)
    rise = torch.tensor([1.0, 5, 8, 3, 4, 1, 7, 7, 0, 9])  # with ties
    found = judging.judge(stage.run, told, list(range(10)), [0], weighed(scores, rise))["weighed"]
    assert found is not None
    for name, conflicting, true in (("taught", [0, 4], [1, 5]), ("untaught", [2, 6], [3, 7])):
        assert found[name] == {  # type: ignore[literal-required]
            "answers": 4,
            "conflicting": 2,
            "auc": auc(scores.tolist(), conflicting, true),
            "auc_rise": auc(rise.tolist(), conflicting, true),
        }
    stage.run.task = replace(stage.run.task, files=(("train", "mine.csv"),))
    own = judging.judge(stage.run, told, list(range(10)), [0], weighed(scores, rise))["weighed"]
    assert own is not None and own["taught"] is own["untaught"] is None


def test_all_answers_are_ranked_and_some_unlearned(lwf_plan: Make, tmp_path: Path) -> None:
    sampled = "lwf.temperature=1"
    stage = stage_for(lwf_plan(sampled, "lwf.keep=wrong", "lwf.share=0.5"), tmp_path)
    stage.run.source = Knowing("", {"yes": True, "": False})
    prepared(stage)
    found = stage.run.reported["elicited"]
    said = len(elicited(lwf_plan(sampled, "lwf.keep=all"), tmp_path))
    wrong = len(elicited(lwf_plan(sampled), tmp_path))
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
    resumed, *_ = run_cell(cell, workspace, share_weights=False)
    assert resumed["provenance"]["resumes"] == 1
    assert resumed["elicited"] == whole["elicited"]
