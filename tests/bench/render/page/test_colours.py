"""The colours of methods: seen on the paper, and told apart, also by people who see fewer."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

STYLE = (Path(__file__).parents[4] / "bench" / "render" / "page" / "page.css").read_text("utf-8")
Colours = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0, on linear RGB.
SIGHTS = {
    "all three": np.eye(3),
    "no long waves": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no middle waves": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no short waves": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip


def linear(name: str, dark: bool) -> Colours:
    """A colour of the style in linear RGB, shape (3,)."""
    value = re.findall(rf"--{name}: #([0-9a-f]+)", STYLE)[dark]
    value = value if len(value) == 6 else "".join(2 * c for c in value)
    srgb = np.array([int(value[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    found: Colours = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return found


def luminance(colour: Colours) -> float:
    """WCAG 2.2's relative luminance."""
    return float(colour @ [0.2126, 0.7152, 0.0722])


def oklab(colour: Colours) -> Colours:
    """Ottosson 2020."""
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    found: Colours = np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(colour, 0, 1))
    return found


@pytest.mark.parametrize("dark", [False, True])
def test_a_mark_stands_out_from_the_paper_as_graphics_must(dark: bool) -> None:
    paper = luminance(linear("paper", dark))
    for number in range(9):
        low, high = sorted([paper, luminance(linear(f"m{number}", dark))])
        assert (high + 0.05) / (low + 0.05) >= 2.95, number


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_colours_look_alike(sight: str, dark: bool) -> None:
    seen = [oklab(np.array(SIGHTS[sight]) @ linear(f"m{number}", dark)) for number in range(9)]
    apart = {
        pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]])
        for pair in itertools.combinations(range(9), 2)
    }
    assert min(apart.values()) > 0.09, min(apart, key=lambda pair: apart[pair])
