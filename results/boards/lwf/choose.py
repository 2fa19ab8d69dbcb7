"""The micro world with the forget split in the place of dev: to choose settings on.

Validation rows of micro's training sets hold taught items only, on which there is nothing to win.
The forget split is on all items and no board reports it. A plug-in, for example of

    python run_bench.py --plugin results/boards/lwf/choose.py --data micro_choose --model micro \
      --methods lwf,lwf:all_wrong --tasks psychol --forget recall_synonyms --seeds 2 \
      --first-seed 100 --max-eval 500 --set lwf.max_rise=1.0,2.3 lwf.taper=true,false \
      lwf.weight=0.2 lwf.interval=4 --out DIR

and for the cap, with `--first-seed 102 --seeds 6` (dental: 4). On stories260K:

    python run_bench.py --methods lwf --tasks rte --forget sst2 --data DATA \
      --model stories260K --steps 120 --max-train 2000 --max-eval 100 --first-seed 100 --seeds 5 \
      --set lwf.max_rise=1.0,2.3 lwf.taper=true,false --out DIR
"""

from bench.rows.source import SOURCES
from bench.rows.task import Row, Task
from tasks.micro.source import MicroWorld


class Choosing(MicroWorld):
    """Scores on rows of the forget split; all else is micro's."""

    embedded_models = {}

    def rows(self, task: Task, split: str) -> list[Row]:
        return super().rows(task, "forget" if split == "dev" else split)

    def fingerprint(self, task: Task) -> str:
        return super().fingerprint(task)[:-1] + "x"


SOURCES.add("micro_choose", Choosing(), __name__)
