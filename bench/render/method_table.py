"""The table of methods in `docs/methods.md`, made of their cards:

python -m bench.render.method_table docs/methods.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.planning.plugins import load_builtin
from bench.render.wording import kept
from bench.training.method import METHODS

START = "<!-- methods: python -m bench.render.method_table docs/methods.md -->\n"
END = "<!-- /methods -->\n"
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{5})")


def with_methods(text: str) -> str:
    """The page `text` with the table of all built-in methods between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"no {START.strip()} ... {END.strip()}")
    return before + start + _table() + end + after


def _table() -> str:
    lines = ["| name | what | equation | paper | extra passes | kept in memory beside |"]
    lines.append("|---|---|---|---|---|---|")
    for name in sorted(METHODS.names()):
        if not METHODS.get(name).__module__.startswith("methods."):
            continue  # of a plug-in
        card = METHODS.get(name).card
        paper = _ARXIV.sub(r"[\1](https://arxiv.org/abs/\1)", card.paper)
        held = kept(METHODS.get(name)())
        cells = (f"`{name}`", card.title, card.equation, paper, card.passes, held)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    load_builtin()
    file = Path(sys.argv[1])
    file.write_text(with_methods(file.read_text(encoding="utf-8")), encoding="utf-8")
