"""Random masks: their share, mean and independence, and that a seed fixes them."""

from __future__ import annotations

import pytest
import torch

from methods.shared.masks import inverted_mask


def drawn(shape: tuple[int, ...], p: float, seed: int = 0) -> torch.Tensor:
    return inverted_mask(torch.zeros(shape), p, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.7, 0.99])
def test_a_share_p_is_kept_and_the_mean_is_one(p: float) -> None:
    mask = drawn((1000, 1003), p)
    kept, error = mask > 0, (p * (1 - p) / mask.numel()) ** 0.5
    assert abs(float(kept.double().mean()) - p) < 5 * error
    assert abs(float(mask.double().mean()) - 1) < 5 * error / p
    torch.testing.assert_close(mask[kept], torch.full_like(mask[kept], 1 / p), rtol=2e-3, atol=0)


def test_neighbours_are_independent() -> None:
    """The four entries of one draw, and those of the next: correlations of a fair mask."""
    signs = drawn((1 << 20,), 0.5) - 1
    for lag in range(1, 9):
        assert abs(float((signs[lag:] * signs[:-lag]).double().mean())) < 5 / (1 << 10)
    for place in range(4):  # each of the four 16-bit parts is as often kept
        assert abs(float(signs[place::4].double().mean())) < 5 / (1 << 9)


def test_extremes_and_odd_sizes() -> None:
    assert torch.equal(drawn((7,), 1.0), torch.ones(7))
    assert drawn((3, 5), 0.5).shape == (3, 5)
    assert float(drawn((1 << 18,), 1e-9).count_nonzero()) < 40  # the lowest level: 1 of 65,536
    half = inverted_mask(torch.zeros(9, dtype=torch.bfloat16), 0.5, torch.Generator())
    assert half.dtype == torch.bfloat16 and set(half.tolist()) <= {0.0, 2.0}


def test_a_seed_fixes_the_draw() -> None:
    assert torch.equal(drawn((64, 3), 0.3), drawn((64, 3), 0.3))
    assert not torch.equal(drawn((64, 3), 0.3), drawn((64, 3), 0.3, seed=1))
