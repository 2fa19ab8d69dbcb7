"""The suite's metrics as those of Hugging Face's `evaluate`, usable alone:

    from bench.scoring.evaluate_metrics import MatthewsCorrelation
    MatthewsCorrelation().compute(predictions=[0, 1, 1], references=[0, 1, 0])

Nothing is fetched from a hub. What a class computes is what boards show: runs call the same
metrics in `bench.scoring.metrics` directly, because importing `evaluate` takes seconds.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import datasets
import evaluate

from bench.scoring.metrics import METRICS


class _Metric(evaluate.Metric):  # type: ignore[misc]
    """A metric of `scoring.metrics`, by the class's name; its inputs have the types named."""

    references: ClassVar[str] = "int64"
    predictions: ClassVar[str] = "int64"

    def __init__(self, *, keep_in_memory: bool = True, **options: Any) -> None:
        super().__init__(keep_in_memory=keep_in_memory, **options)

    def _info(self) -> evaluate.MetricInfo:
        inputs = {"predictions": self.predictions, "references": self.references}
        return evaluate.MetricInfo(
            description=inspect.getdoc(type(self)),
            citation="",
            features=datasets.Features({k: datasets.Value(v) for k, v in inputs.items()}),
        )

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        return {self.name: METRICS[self.name].compute(references, predictions)}


class _NumbersMetric(_Metric):
    references = predictions = "float64"


class _TextMetric(_Metric):
    references = predictions = "string"


class Accuracy(_Metric):
    """The share of right labels."""


class F1(_Metric):
    """F1 of label 1 of a two-label task; 0 where that label is neither gold nor predicted."""


class F1Macro(_Metric):
    """The unweighted mean of the labels' F1."""


class MatthewsCorrelation(_Metric):
    """Matthews' correlation; 0 where gold or predicted labels are all the same."""


class Pearson(_NumbersMetric):
    """Pearson's correlation; 0 where gold or predicted values are all the same."""


class Spearman(_NumbersMetric):
    """Spearman's rank correlation; 0 where gold or predicted values are all the same."""


class ExactMatch(_TextMetric):
    """The share of equal texts, blanks at the ends aside; numbers are compared by value."""


class Bleu(_TextMetric):
    """Corpus BLEU of sacrebleu, one reference a row, as a share (not times 100)."""


class Perplexity(_Metric):
    """exp of the mean loss per token; predictions: nats per row, references: tokens per row."""

    predictions = "float64"
