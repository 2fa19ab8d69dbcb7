"""The embedded micro world: generated tasks, and models that were pretrained on it.

It is generated, it is not GLUE. Nothing here imports torch until a model is trained (`pretrain`).
"""

from __future__ import annotations

from pathlib import Path

from tasks.micro.facts import FACTS, fact_rows
from tasks.micro.rows import GENERATOR_VERSION, fingerprint, rows
from tasks.micro.text import retention_text
from tasks.micro.truth import is_conflicting

MODELS: dict[str, Path] = {
    name: Path(__file__).parent / "models" / name
    for name in ("micro", "micro-clean", "micro-encoder")
}

# conflicted model -> the same without the conflict
TWINS = {"micro": "micro-clean"}

__all__ = [
    "FACTS",
    "GENERATOR_VERSION",
    "MODELS",
    "TWINS",
    "fact_rows",
    "fingerprint",
    "is_conflicting",
    "retention_text",
    "rows",
]
