"""A plug-in whose steps take a while, until a file `quick` lies beside it."""

SLOW = """\
import time
from pathlib import Path
from bench import Card, Method, register_method

@register_method("slow")
class Slow(Method):
    card = Card("t", "p", "e", "d", "none")

    def after_step(self, run):
        if not Path(__file__).with_name("quick").exists():
            time.sleep(0.1)
"""
