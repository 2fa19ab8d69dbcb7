"""Equal searches for every method's settings: the same number of trials, on validation rows.

A trial is a cell like others, with settings of its own, from a seed that is not reported. Its
settings are proposed by optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011)
from a fixed seed and the results before it; the first ones at random, so that they can run at once.
The results in the run's folder are all that a search consists of: it goes on from them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.cells.cell import AnyCell, Besides, MethodSpec, TaskSequence
from bench.cells.grid import RunSpec, key_of
from bench.cells.recipe import Training
from bench.cells.tuned import Tuned, TunedIdentity
from bench.core.errors import BenchError, unknown_name
from bench.core.hashing import derive_seed
from bench.core.settings import Range, Space, changed, kinds, spelled
from bench.rows.portions import VALIDATION
from bench.scoring.metrics import is_lower
from bench.training.method import CommonSettings, Method
from bench.training.stack import Stack, build

if TYPE_CHECKING:
    from bench.cells.result import CellResult

SEED = 1000
"""The seed of all trials."""
VALIDATED = 0.1
"""The share of the training rows that trials are scored on, where nobody says which."""
_AT_RANDOM = 10  # proposals that no result has a part in, as optuna has it
_DIGITS = 3  # of a value that is proposed

Read = Callable[[AnyCell], "CellResult | None"]


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched: `strength`, or in a stack `ewc.strength`."""

    name: str
    space: Space
    whole: bool  # whether its values are whole numbers

    def value(self, found: Any, recipe: Training, rate: float) -> Any:
        """What a proposal means under a recipe and the method's own rate."""
        if not isinstance(self.space, Range) or self.whole:
            return found
        times = {None: 1.0, "train.lr": recipe.lr, "1/lr": 1 / rate}[self.space.of]
        return float(f"{found * times:.{_DIGITS}g}")


@dataclass(frozen=True)
class Tuning:
    """The search that each method of a run gets on each task."""

    trials: int
    share: float  # of the steps of a reported cell
    dimensions: dict[str, tuple[Dimension, ...]]  # of a method, by its label

    def identity(self, method: MethodSpec) -> TunedIdentity:
        """See `Tuned.identity`."""
        space = {one.name: spelled(one.space) for one in self.dimensions[method.label]}
        return {
            "trials": self.trials,
            "share": self.share,
            "seed": SEED,
            "space": space,
            "settings": method.settings,
        }


def tuning_of(
    methods: Sequence[Method],
    trials: int,
    share: float,
    wanted: Sequence[str],
    given: dict[str, dict[str, Any]],
) -> Tuning:
    """The search of so many trials for `methods`, over all their spaces but of what is `given`, or
    over those that are `wanted` by name: lr, or METHOD.SETTING.

    Raises:
        BenchError: a space that there is not; a method of which nothing is searched.
    """
    known = {word for method in methods for part in _parts(method) for word in _words(part)}
    for word in wanted:
        if word not in known:
            raise unknown_name("search space", word, known)
    found = {method.label: tuple(_dimensions(method, wanted, given)) for method in methods}
    for label, dimensions in found.items():
        if not dimensions:
            raise BenchError(f"--tune: nothing of {label} is left to search; see list methods.")
    return Tuning(trials, share, found)


def _parts(method: Method) -> Sequence[Method]:
    return method.parts if isinstance(method, Stack) else [method]


def _words(part: Method) -> list[str]:
    """What the spaces of a method are asked for by."""
    own = [f.name for f in fields(part.Config) if f.metadata.get("search")]
    shared = [f.name for f in fields(CommonSettings) if f.metadata["search"]]
    return [*shared, *(f"{part.name}.{name}" for name in (*own, *shared))]


def _dimensions(
    method: Method, wanted: Sequence[str], given: dict[str, dict[str, Any]]
) -> Iterator[Dimension]:
    """What is searched of a method. A stack has one learning rate, that of its first part."""
    parts = _parts(method)
    for part in parts:
        owners = (name for name in given if name.partition(":")[0] == part.name)
        fixed = {*changed(part.config), *changed(part.common)}
        fixed |= {name for owner in owners for name in given[owner]}
        shared = fields(CommonSettings) if part is parts[0] and method.lr is None else ()
        types = kinds(part.Config) | kinds(CommonSettings)
        for field in (*shared, *fields(part.Config)):
            space, word = field.metadata.get("search"), f"{part.name}.{field.name}"
            asked = not wanted or word in wanted or field.name in wanted
            if space is not None and asked and field.name not in fixed:
                name = word if len(parts) > 1 else field.name
                yield Dimension(name, space, types[field.name] is int)


def settled(spec: RunSpec, tuning: Tuning, read: Read) -> tuple[RunSpec, list[AnyCell]]:
    """The grid as far as trials that have run have shown it, and all trials that are known by now;
    `read` gives the result of a cell, None where it has not run."""
    chosen, searched, trials = {}, set(), []
    grid = replace(spec, besides=Besides())
    for model, training, tasks in spec.places():
        recipe = replace(training, score=VALIDATION)
        for method in spec.methods:
            key = key_of(model, method, tasks)
            if key in spec.refused:
                continue
            place = partial(grid.cell, tasks=tasks, model=model, training=recipe, seed=SEED)
            found = _trials(method, tuning, recipe, partial(place, share=tuning.share), read)
            trials += [one.cell for one in found]
            if len(found) < tuning.trials or any(one.result is None for one in found):
                searched.add(key)
            else:
                chosen[key] = _best(method, tuning, found)
    return replace(spec, chosen=chosen, searched=frozenset(searched)), trials


class _Trial(NamedTuple):
    cell: AnyCell
    values: dict[str, Any]  # of what is searched; none of the first, which is as asked for
    result: CellResult | None


def _trials(
    method: MethodSpec,
    tuning: Tuning,
    recipe: Training,
    cell: Callable[..., AnyCell],
    read: Read,
) -> list[_Trial]:
    """The trials of a method at one place, as far as they can be known without others' results."""
    dimensions = tuning.dimensions[method.label]
    first = cell(method, trial=0)
    found = [_Trial(first, {}, read(first))]
    study = _study(first) if tuning.trials > 1 else None
    while study is not None and len(found) < tuning.trials:
        if len(found) > _AT_RANDOM and any(one.result is None for one in found):
            break
        asked = study.ask(_distributions(dimensions))
        values = _values(dimensions, asked.params, recipe, method)
        one = cell(_with(method, values), trial=len(found))
        found.append(_Trial(one, values, read(one)))
        if (result := found[-1].result) is not None:
            _tell(study, asked, result)
    return found


def _study(first: AnyCell) -> Any:
    """A search whose proposals depend on the method, the task and the model alone."""
    try:
        import optuna
    except ImportError as error:
        raise BenchError(f"--tune needs optuna: pip install '.[tune]' ({error}).") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = first.stages[0] if isinstance(first, TaskSequence) else first
    seed = derive_seed("tuning", first.method.name, place.model.hash, first.name) % 2**32
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_AT_RANDOM)
    return optuna.create_study(sampler=sampler, direction="maximize")


def _distributions(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """What optuna draws from."""
    from optuna import distributions as d

    found: dict[str, Any] = {}
    for one in dimensions:
        space = one.space
        if not isinstance(space, Range):
            found[one.name] = d.CategoricalDistribution(space)
        elif one.whole:
            found[one.name] = d.IntDistribution(int(space.low), int(space.high), log=space.log)
        else:
            found[one.name] = d.FloatDistribution(space.low, space.high, log=space.log)
    return found


def _values(
    dimensions: Sequence[Dimension], params: dict[str, Any], recipe: Training, method: MethodSpec
) -> dict[str, Any]:
    """The settings that a proposal means; the learning rate is the first of them."""
    values: dict[str, Any] = {}
    rate = recipe.lr if method.lr is None else method.lr
    for one in dimensions:
        values[one.name] = one.value(params[one.name], recipe, rate)
        if one.name.rpartition(".")[2] == "lr":
            rate = values[one.name]
    return values


def _with(method: MethodSpec, values: dict[str, Any]) -> MethodSpec:
    """The method with other settings."""
    settings = copy.deepcopy(method.settings)
    for name, value in values.items():
        part, _, setting = name.rpartition(".")
        (settings[part] if part else settings)[setting] = value
    return build(replace(method, settings=settings)).spec


def _tell(study: Any, asked: Any, result: CellResult) -> None:
    """Let later proposals know how a trial went."""
    from optuna.trial import TrialState

    value = _goodness(result)
    study.tell(asked, value, TrialState.FAIL if value is None else None)


def _score(result: CellResult | None) -> float | None:
    """The score of a trial, in metric units; None where it has none."""
    scores = result["scores"] if result else None
    return scores["after"][scores["primary"]] if scores else None


def _goodness(result: CellResult | None) -> float | None:
    """The same, more being better."""
    value, scores = _score(result), result["scores"] if result else None
    return -value if value is not None and scores and is_lower(scores["primary"]) else value


def _best(method: MethodSpec, tuning: Tuning, found: Sequence[_Trial]) -> MethodSpec:
    """The method with the settings of the best trial, the first of equal ones; as it was asked for
    where all have failed."""
    scored = [(good, one) for one in found if (good := _goodness(one.result)) is not None]
    best = max(scored, key=lambda pair: pair[0])[1] if scored else found[0]
    worst = min(scored, key=lambda pair: pair[0])[1] if scored else found[0]
    costs = [one.result["costs"] for one in found if one.result]
    tuned = Tuned(
        identity=tuning.identity(method),
        chosen=best.values,
        failed=len(found) - len(scored),
        best=_score(best.result),
        worst=_score(worst.result),
        seconds=sum(cost["method"] for cost in costs if cost),
    )
    return replace(best.cell.method, label=f"{method.label} tuned", tuned=tuned)
