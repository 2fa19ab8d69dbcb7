"""What tasks are scored by: gold and predicted values in, one number out, always a finite one.

What counts right answers is written out, because scikit-learn takes a second to import and each
run would wait for it; the tests hold it to scikit-learn's numbers, bit for bit. The others compute
with scipy or sacrebleu. Where a formula has no value (one class only, constant predictions) it
returns what its docstring says and warns with `Degenerate`.
`bench.scoring.evaluate_metrics` has the same metrics as `evaluate.Metric` classes.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from bench.core.errors import unknown_name
from bench.rows.portions import VALIDATION

Labels = Sequence[int]
Numbers = Sequence[float]
Texts = Sequence[str]


class Degenerate(UserWarning):
    """A metric's formula has no value for these rows; the value that stands in is named."""


def accuracy(gold: Labels, predicted: Labels) -> float:
    """The share of right answers. Raises ValueError for no rows, or lists of unequal length."""
    _check(gold, predicted)
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / len(gold)


def f1(gold: Labels, predicted: Labels) -> float:
    """F1 of label 1 of a two-label task; 0 where that label is neither gold nor predicted.

    Raises:
        ValueError: no rows, lists of unequal length, or more than two labels.
    """
    _check(gold, predicted)
    labels = {*gold, *predicted}
    if len(labels) > 2:
        raise ValueError(f"F1 of label 1 is for two labels, not {len(labels)}")
    if 1 not in labels:
        _warn("F1", "label 1 is neither gold nor predicted")
        return 0.0
    return _f1_of(1, gold, predicted)


def f1_macro(gold: Labels, predicted: Labels) -> float:
    """The unweighted mean of the labels' F1, over the labels that are gold or predicted.

    Raises:
        ValueError: no rows, or lists of unequal length.
    """
    _check(gold, predicted)
    labels = sorted({*gold, *predicted})
    return sum(_f1_of(label, gold, predicted) for label in labels) / len(labels)


def _f1_of(label: int, gold: Labels, predicted: Labels) -> float:
    """2 TP / (2 TP + FP + FN) of a label that is gold or predicted."""
    right = sum(g == p == label for g, p in zip(gold, predicted, strict=True))
    there = sum(g == label for g in gold) + sum(p == label for p in predicted)
    return 2 * right / there


def matthews_correlation(gold: Labels, predicted: Labels) -> float:
    """Matthews' correlation, of two labels or more (Gorodkin 2004); 0 where gold or predicted
    labels are all the same.

    Raises:
        ValueError: no rows, or lists of unequal length.
    """
    _check(gold, predicted)
    if _constant(gold, predicted, "Matthews correlation"):
        return 0.0
    n, right = len(gold), sum(g == p for g, p in zip(gold, predicted, strict=True))
    golds, guesses = Counter(gold), Counter(predicted)
    together = n * right - sum(golds[label] * guesses[label] for label in golds)
    apart = [n * n - sum(count * count for count in found.values()) for found in (golds, guesses)]
    return together / math.sqrt(apart[0] * apart[1])


def pearson(gold: Numbers, predicted: Numbers) -> float:
    """Pearson's correlation; 0 where gold or predicted values are all the same.

    Raises:
        ValueError: no rows, lists of unequal length, or a value that is not finite.
    """
    from scipy.stats import pearsonr

    _check(gold, predicted)
    if _constant(gold, predicted, "Pearson correlation"):
        return 0.0
    return _finite(pearsonr(gold, predicted).statistic)


def spearman(gold: Numbers, predicted: Numbers) -> float:
    """Spearman's rank correlation; 0 where gold or predicted values are all the same.

    Raises:
        ValueError: no rows, lists of unequal length, or a value that is not finite.
    """
    from scipy.stats import spearmanr

    _check(gold, predicted)
    if _constant(gold, predicted, "Spearman correlation"):
        return 0.0
    return _finite(spearmanr(gold, predicted).statistic)


def exact_match(gold: Texts, predicted: Texts) -> float:
    """The share of equal texts, blanks at the ends aside; numbers are compared by value, so that
    "$1,000.00" is "1000", and "**-€5**" is "-5".

    Raises:
        ValueError: no rows, or lists of unequal length.
    """
    _check(gold, predicted)
    pairs = zip(gold, predicted, strict=True)
    return sum(_value(g) == _value(p) for g, p in pairs) / len(gold)


def bleu(gold: Texts, predicted: Texts) -> float:
    """Corpus BLEU of sacrebleu at its defaults, one reference a row, as a share (not times 100);
    where there is no match of four words, what its smoothing makes of the shorter ones.

    Raises:
        ValueError: no rows, or lists of unequal length.
    """
    from sacrebleu import corpus_bleu

    _check(gold, predicted)
    found = corpus_bleu(list(predicted), [list(gold)])
    value = float(found.score) / 100
    if not found.counts[-1]:
        _warn("BLEU", "no four words in a row are right", value)
    return value


def perplexity(tokens: Labels, nats: Numbers) -> float:
    """exp of the mean loss per token, from each row's number of tokens and summed loss in nats.

    Raises:
        ValueError: no rows or tokens, lists of unequal length, or a loss too large for a number.
    """
    _check(tokens, nats)
    if not sum(tokens):
        raise ValueError("no tokens to score")
    mean = sum(nats) / sum(tokens)
    if not mean < math.log(1e300):
        raise ValueError(f"a loss of {mean:g} nats per token has no perplexity")
    return math.exp(mean)


@dataclass(frozen=True)
class Metric:
    """A metric and how boards show it."""

    compute: Callable[[Sequence[Any], Sequence[Any]], float]
    title: str
    lower: bool = False  # whether less is better; such a metric is no share, and not shown ×100


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "accuracy"),
    "f1": Metric(f1, "F1"),
    "f1_macro": Metric(f1_macro, "macro F1"),
    "matthews_correlation": Metric(matthews_correlation, "Matthews correlation"),
    "pearson": Metric(pearson, "Pearson correlation"),
    "spearman": Metric(spearman, "Spearman correlation"),
    "exact_match": Metric(exact_match, "exact match"),
    "bleu": Metric(bleu, "BLEU"),
    "perplexity": Metric(perplexity, "perplexity", lower=True),
}


def on_split(split: str, name: str) -> str:
    """What a metric, or a remark on it, is called on a split: on dev by its own name."""
    return name if split == "dev" else f"{split}_{name}"


def is_lower(name: str) -> bool:
    """Whether less of a metric is better, also on validation rows; names that are no metric (an
    average) are shares."""
    name = name.removeprefix(on_split(VALIDATION, ""))
    return name in METRICS and METRICS[name].lower


def title_of(name: str) -> str:
    """A metric as boards call it."""
    plain = name.removeprefix(on_split(VALIDATION, ""))
    title = METRICS[plain].title if plain in METRICS else plain
    return title if plain == name else f"{title} on validation rows"


def score(
    names: Iterable[str], gold: Sequence[Any], predicted: Sequence[Any]
) -> tuple[dict[str, float], list[str]]:
    """Each named metric -> its value, in the order of `names`; and what `Degenerate` said.

    Raises:
        BenchError: a name that is no metric.
        ValueError: as the metrics do.
    """
    values: dict[str, float] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in names:
            if name not in METRICS:
                raise unknown_name("metric", name, METRICS)
            values[name] = METRICS[name].compute(gold, predicted)
    return values, [str(w.message) for w in caught if issubclass(w.category, Degenerate)]


def _check(gold: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold values but {len(predicted)} predictions")
    if not len(gold):
        raise ValueError("no rows to score")


def _warn(title: str, reason: str, value: float = 0.0) -> None:
    warnings.warn(f"{title} is {value:.2g}: {reason}", Degenerate, stacklevel=3)


def _constant(gold: Sequence[Any], predicted: Sequence[Any], title: str) -> bool:
    """Whether either side has one value only, which is then warned of."""
    for values, side in ((gold, "gold value"), (predicted, "prediction")):
        if len(set(values)) == 1:
            warnings.warn(f"{title} is 0: every {side} is {values[0]}", Degenerate, stacklevel=3)
            return True
    return False


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a value to score is not a finite number")
    return float(value)


def _value(text: str) -> str | Decimal:
    """The number that a text spells, or the text without blanks at its ends."""
    plain = text.strip()
    bare = plain.strip("*").replace(",", "").removesuffix(".")
    sign = bare[:1] if bare[:1] in ("-", "+", "−") else ""
    try:
        number = Decimal(sign.replace("−", "-") + bare.removeprefix(sign).strip("$€£¥₹ "))
    except InvalidOperation:
        return plain
    return number if number.is_finite() else plain
