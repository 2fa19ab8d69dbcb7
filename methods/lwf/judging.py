"""What is known of the elicited answers, and how far the forgetting confidence goes by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from bench.cells import result
    from bench.rows.source import Told
    from bench.training.context import TrainingContext
    from methods.lwf.selection import Weighed
    from methods.shared.answers import AnswerSet


def told_of(run: TrainingContext, answers: AnswerSet) -> list[Told | None]:
    """What each answer says, behind its prompt; None where that cannot be told."""
    truth = run.source.truth()
    if truth is None:
        return [None] * len(answers)
    pairs = zip(answers.prompts, answers.answers, strict=True)
    texts = run.tokenizer.batch_decode([p + a for p, a in pairs], skip_special_tokens=True)
    return [truth(text) for text in texts]


def judge(
    run: TrainingContext,
    told: Sequence[Told | None],
    kept: list[int],
    chosen: list[int],
    weighed: Weighed | None,
) -> result.Elicited:
    """What is known of all answers, of those `kept` and of those `chosen`; and, where they were
    `weighed`, how the confidence ranks them."""
    known = run.source.truth() is not None
    everything = range(len(told))
    found: result.Elicited = {
        "all": _judged(told, everything, known),
        "kept": _judged(told, kept, known),
        "unlearned": _judged(told, chosen, known),
        "auc": None,
        "auc_kept": None,
        "weighed": None,
    }
    if weighed is not None:
        score = weighed.confidence.score
        found["auc"], found["auc_kept"] = _auc(score, told, everything), _auc(score, told, kept)
        # a task of files of its own asks nothing about the world that `--data` names
        asked = {} if run.task.files else run.source.asked(run.task)
        found["weighed"] = _weighed(told, kept, chosen, weighed, asked)
    return found


def _judged(told: Sequence[Told | None], indices: Sequence[int], known: bool) -> result.Judged:
    says = [its.conflicting for i in indices if (its := told[i]) is not None]
    return {
        "answers": len(indices),
        "conflicting": says.count(True) if known else None,
        "true": says.count(False) if known else None,
    }


def _weighed(
    told: Sequence[Told | None],
    kept: list[int],
    chosen: list[int],
    weighed: Weighed,
    asked: Mapping[str, bool],
) -> result.Weighed:
    """How FC ranks the answers `kept`; and of all, those on items `asked`, taught or not."""
    score, slope, rise = weighed.confidence.score, weighed.confidence.linear, weighed.rise
    return {
        "rise_kept": float(rise[kept].mean()),
        "rise_unlearned": float(rise[chosen].mean()),
        "rank_rise": _correlation(score[kept], rise[kept]),
        "rank_limit": _correlation(score[kept], slope[kept]),
        "taught": _ranked(told, weighed, asked, taught=True),
        "untaught": _ranked(told, weighed, asked, taught=False),
        "scores_kept": [float(f"{value:.3g}") for value in score[kept].tolist()],
        "scores_unlearned": [float(f"{value:.3g}") for value in score[chosen].tolist()],
    }


def _ranked(
    told: Sequence[Told | None], weighed: Weighed, asked: Mapping[str, bool], taught: bool
) -> result.Ranked | None:
    """How FC and the rise rank the answers on items `asked` that are `taught`, or are not."""
    among = [i for i, its in enumerate(told) if its and asked.get(its.item) is taught]
    if not among:
        return None
    return {
        "answers": len(among),
        "conflicting": sum(its.conflicting for i in among if (its := told[i])),
        "auc": _auc(weighed.confidence.score, told, among),
        "auc_rise": _auc(weighed.rise, told, among),
    }


def _auc(scores: Tensor, told: Sequence[Told | None], indices: Sequence[int]) -> float | None:
    """ROC AUC of the scores, for outdated against true; None unless both occur. It is how often an
    outdated answer ranks above a true one, ties counting half: Mann and Whitney's U, by ranks
    (scikit-learn's takes a second to import)."""
    from scipy.stats import rankdata

    known = [(its.conflicting, i) for i in indices if (its := told[i]) is not None]
    ranks = rankdata(scores[[i for _, i in known]].numpy())
    outdated = [rank for rank, (conflicting, _) in zip(ranks, known, strict=True) if conflicting]
    pairs = len(outdated) * (len(known) - len(outdated))
    if not pairs:
        return None
    return float((sum(outdated) - len(outdated) * (len(outdated) + 1) / 2) / pairs)


def _correlation(one: Tensor, other: Tensor) -> float | None:
    """Spearman's rank correlation of two rankings [n]; None where one of them is all ties."""
    from scipy.stats import spearmanr

    if one.min() == one.max() or other.min() == other.max():
        return None
    return float(spearmanr(one.numpy(), other.numpy()).statistic)
