"""The Pareto front, against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.board.front import front

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=7)


@given(POINTS)
def test_a_point_is_on_it_unless_another_is_as_good_in_both_and_better_in_one(
    places: list[tuple[int, int]],
) -> None:
    points = {f"m{i}": (float(good), float(bad)) for i, (good, bad) in enumerate(places)}
    kept = front(points)
    for name, (good, bad) in points.items():
        beaten = False
        for other, (more, less) in points.items():
            if other != name and more >= good and less <= bad and (more > good or less < bad):
                beaten = True
        assert (name in kept) != beaten
    assert [points[name][1] for name in kept] == sorted(points[name][1] for name in kept)
