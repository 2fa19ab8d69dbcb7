"""The embedded micro world: generated tasks, and models that were pretrained on it.

It is generated, it is not GLUE. Nothing here imports torch until a model is trained (`pretrain`).
"""

from __future__ import annotations

from bench.rows.source import SOURCES
from tasks.micro.source import MicroWorld

SOURCES.add("micro", MicroWorld(), __name__)
