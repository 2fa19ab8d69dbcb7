"""Transfer and forgetting against figures worked out by hand."""

from __future__ import annotations

import copy

import pytest

from bench.board import sequence_measures

# Two tasks: the second costs the first 0.2, the first had lifted the second by 0.1.
TWO = [[0.5, 0.3], [0.8, 0.4], [0.6, 0.9]]
# Task 1 goes on improving after its stage: nothing is forgotten, and the figure says so.
IMPROVING = [[0.1, 0.1], [0.5, 0.1], [0.7, 0.6]]
# Task 1 collapses at stage 3, task 2 was best before its own stage (R[1][2] = 0.8).
COLLAPSING = [[0.5, 0.5, 0.5], [0.9, 0.8, 0.5], [0.9, 0.7, 0.4], [0.0, 0.6, 0.9]]

GOLDEN = {
    # name: (matrix, average of the last row, backward, forward, forgetting)
    "two tasks": (TWO, 0.75, -0.2, 0.1, 0.2),
    "an improving task": (IMPROVING, 0.65, 0.2, 0.0, -0.2),
    "a collapsing task": (
        COLLAPSING,
        0.5,
        ((0.0 - 0.9) + (0.6 - 0.7)) / 2,
        ((0.8 - 0.5) + (0.4 - 0.5)) / 2,
        ((0.9 - 0.0) + (0.8 - 0.6)) / 2,
    ),
    "a task that forgets below zero": (
        [[0.0, 0.0], [-0.1, 0.2], [-0.4, 0.3]],
        -0.05,
        -0.3,
        0.2,
        0.3,
    ),
}


@pytest.mark.parametrize(
    ("matrix", "average", "backward", "forward", "forgetting"), GOLDEN.values(), ids=GOLDEN
)
def test_golden(
    matrix: list[list[float]], average: float, backward: float, forward: float, forgetting: float
) -> None:
    before = copy.deepcopy(matrix)
    assert sequence_measures.average(matrix[-1]) == pytest.approx(average)
    assert sequence_measures.backward(matrix) == pytest.approx(backward)
    assert sequence_measures.forward(matrix) == pytest.approx(forward)
    assert sequence_measures.forgetting(matrix) == pytest.approx(forgetting)
    assert matrix == before
