"""From the words of a run to its jobs: one, or of a preset one for each part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cells.cell import steps_of
from bench.core.errors import BenchError
from bench.planning import presets
from bench.planning.options import read
from bench.planning.plugins import load_all
from bench.planning.presets import Preset, Wanted, cost

if TYPE_CHECKING:
    from bench.core.memory import Place
    from bench.running.job import Job


@dataclass(frozen=True)
class Jobs:
    """What is to run, in one folder."""

    jobs: tuple[Job, ...]
    wanted: Wanted | None = None  # of a preset
    missing: tuple[BenchError, ...] = ()  # why parts of it cannot be planned: what is not here

    def plans(self, width: int) -> str:
        """What will run, for the terminal."""
        from bench.render.plan import plan_text
        from bench.running.reasons import is_scored, summed

        texts = []
        for job in self.jobs:
            failed, todo = sum(map(len, job.failed.values())), len(job.todo)
            done, reasons = len(job.cells) - failed - todo, job.reasons()
            scored = sum(len(cells) for text, cells in reasons.items() if is_scored(text))
            why, errors = summed(reasons), summed(job.failed)
            texts.append(
                plan_text(job.plan, job.folder, done, todo, why, failed, errors, scored, width)
            )
        return "\n".join([*([self._preset_text(width)] if self.wanted else []), *texts])

    def forecasts(
        self, width: int, probe: bool, card: Place | None, tell: Callable[[str], None]
    ) -> str:
        """What each job will take, for the terminal, here or on a `card`; `probe` measures, and
        `tell` is told of it."""
        from bench.planning.compatibility import in_words
        from bench.render.plan import forecast_text
        from bench.running.forecast import forecasts
        from bench.running.room import beyond, here

        place = card or here()
        return "\n\n".join(
            forecast_text(
                forecasts(job, probe, tell, place),
                job.workers,
                in_words(beyond(job.plan, place)),
                width=width,
            )
            for job in self.jobs
        )

    def _preset_text(self, width: int) -> str:
        from bench.render.presets import preset_text

        assert self.wanted is not None
        cells = {cell.hash: steps_of(cell) for job in self.jobs for cell in job.cells}
        whole = not (self.missing or self.wanted.missing)
        costs = (len(cells), sum(cells.values())) if whole else cost(self.wanted.whole)
        return preset_text(self.wanted, *costs, self.lacking, width)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What of a preset is not here, one line each."""
        lines = self.wanted.missing if self.wanted else ()
        return tuple(dict.fromkeys([*lines, *map(str, self.missing)]))

    def require(self) -> None:
        """Raises BenchError where nothing is left to run."""
        if self.jobs:
            return
        assert self.wanted is not None, "without a preset there is a job, or an error"
        name, lines = self.wanted.preset.name, "; ".join(self.lacking)
        raise BenchError(f"nothing of {name} can run here: {lines}")


def jobs_of(given: dict[str, Any], dry: bool = False, cut: bool = False) -> Jobs:
    """The jobs of what is asked for by name, `preset` and `config` among it; `dry` ones are not to
    run, here or where weights are `cut`. Parts of a preset whose model or data is not here are left
    out.

    Raises:
        BenchError: a mistake in what was asked for.
    """
    from bench.running.job import planned

    words = dict(given)
    name, config = words.pop("preset", None), words.pop("config", None)
    if name is None:
        return Jobs((planned(read(words, config), dry, cut),))
    if config is not None:
        raise BenchError("--preset and --config are both files of options: give one of them.")
    wanted = presets.wanted(preset_of(name, words), words)
    jobs, missing = [], []
    for options in wanted.runs:
        try:
            jobs.append(planned(options, dry, cut))
        except BenchError as error:
            missing.append(error)
    return Jobs(tuple(jobs), wanted, tuple(missing))


def preset_of(name: str, given: dict[str, Any]) -> Preset:
    """The preset, once the plug-ins and task files that its names may be of are loaded."""

    def paths(key: str) -> Iterable[Path]:
        return map(Path, given.get(key, ()))

    load_all(paths("plugin"), paths("task_file"))
    return presets.load(name)
