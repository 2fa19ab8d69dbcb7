"""Methods that no other beats on the target and on retention at once."""

from __future__ import annotations

from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names of the points (good, bad) on the Pareto front, by `bad`: no other point has as much
    good for as little bad, and more of one."""

    def beaten(name: str) -> bool:
        good, bad = points[name]
        return any(g >= good and b <= bad and (g, b) != (good, bad) for g, b in points.values())

    return sorted((n for n in points if not beaten(n)), key=lambda n: (points[n][1], n))
