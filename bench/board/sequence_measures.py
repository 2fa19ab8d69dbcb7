"""What a sequence of tasks did to each of them, from R: pure functions that change nothing.

R[k][i] is the primary metric on task i after stage k, both counted from 1, and R[0] is the row of
the untouched base model. So T tasks make T + 1 rows of T scores, in metric units.

Lopez-Paz and Ranzato 2017 (arXiv 1706.08840) define `average` and `backward`; their forward
transfer compares with random weights, here it is the base model. Chaudhry et al. 2018 (arXiv
1801.10112, eq. 3) define `forgetting`. Forgetting has other definitions too, so boards name theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[float]]


def average(scores: Sequence[float]) -> float:
    """(1/T) Σ_i R[k][i], of one row."""
    return sum(scores) / len(scores)


def backward(matrix: Matrix) -> float:
    """(1/(T-1)) Σ_{i<T} R[T][i] - R[i][i]: what later tasks did to earlier ones."""
    last = len(matrix) - 1
    return average([matrix[last][i - 1] - matrix[i][i - 1] for i in range(1, last)])


def forward(matrix: Matrix) -> float:
    """(1/(T-1)) Σ_{i>1} R[i-1][i] - R[0][i]: what earlier tasks did to later ones."""
    last = len(matrix) - 1
    return average([matrix[i - 1][i - 1] - matrix[0][i - 1] for i in range(2, last + 1)])


def forgetting(matrix: Matrix) -> float:
    """(1/(T-1)) Σ_{i<T} max_{1≤k<T} R[k][i] - R[T][i]; negative where the tasks improved."""
    last = len(matrix) - 1
    best = [max(matrix[k][i - 1] for k in range(1, last)) for i in range(1, last)]
    return average([b - matrix[last][i] for i, b in enumerate(best)])
