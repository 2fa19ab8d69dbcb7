"""One HTML file with all that there is to see of a run's folder: no network, no library."""

from bench.render.page.document import Shown, render

__all__ = ["Shown", "render"]
