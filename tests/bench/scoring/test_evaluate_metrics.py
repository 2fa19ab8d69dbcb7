"""The `evaluate` classes: the figures of the reference libraries, and of the boards."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import sklearn.metrics
from scipy import stats

from bench.scoring.metrics import METRICS, Degenerate

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree"]


def inputs(name: str, seed: int) -> tuple[list, list]:
    """(references, predictions) of the kind that the metric takes."""
    rng = random.Random(f"{name} {seed}")
    rows = rng.randrange(5, 60)
    if name in ("pearson", "spearman"):
        gold = [rng.gauss(0, 1) for _ in range(rows)]
        return gold, [g + rng.gauss(0, 1) for g in gold]
    if name == "perplexity":
        tokens = [rng.randrange(1, 9) for _ in range(rows)]
        return tokens, [t * rng.random() for t in tokens]
    if name in ("exact_match", "bleu"):
        texts = [" ".join(rng.choices(WORDS, k=rng.randrange(4, 9))) for _ in range(rows)]
        return texts, [t if rng.random() < 0.5 else t.replace("cat", "dog") for t in texts]
    labels = [rng.randrange(2 if name == "f1" else 3) for _ in range(rows)]
    return labels, [g if rng.random() < 0.5 else rng.choice(labels) for g in labels]


REFERENCES = {
    "accuracy": sklearn.metrics.accuracy_score,
    "f1": sklearn.metrics.f1_score,
    "f1_macro": lambda g, p: sklearn.metrics.f1_score(g, p, average="macro"),
    "matthews_correlation": sklearn.metrics.matthews_corrcoef,
    "pearson": lambda g, p: stats.pearsonr(g, p)[0],
    "spearman": lambda g, p: stats.spearmanr(g, p)[0],
    "exact_match": lambda g, p: np.mean(np.array(g) == np.array(p)),
    "bleu": lambda g, p: sacrebleu.corpus_bleu(p, [g]).score / 100,
    "perplexity": lambda g, p: np.exp(np.sum(p) / np.sum(g)),
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", METRICS)
def test_a_class_is_the_reference_librarys_figure_and_the_boards(
    name: str, tmp_path: Path, no_network: None
) -> None:
    from bench.scoring import evaluate_metrics

    (cls,) = [
        c
        for c in vars(evaluate_metrics).values()
        if isinstance(c, type) and issubclass(c, evaluate_metrics._Metric) and c().name == name
    ]
    for seed in range(5):
        gold, predicted = inputs(name, seed)
        metric = cls(cache_dir=str(tmp_path))
        (found,) = metric.compute(references=gold, predictions=predicted).items()
        assert found == (name, pytest.approx(REFERENCES[name](gold, predicted), abs=1e-12))
        assert found[1] == METRICS[name].compute(gold, predicted)
        for g, p in zip(gold, predicted, strict=True):
            metric.add(reference=g, prediction=p)
        assert metric.compute() == dict([found])


def test_a_class_warns_of_a_value_that_stands_in() -> None:
    from bench.scoring.evaluate_metrics import MatthewsCorrelation

    with pytest.warns(Degenerate, match="every prediction is 1"):
        found = MatthewsCorrelation().compute(references=[0, 1], predictions=[1, 1])
    assert found == {"matthews_correlation": 0.0}
