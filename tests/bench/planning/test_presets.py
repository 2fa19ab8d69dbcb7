"""Presets: files that say what can be, which flags shorten and parts divide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.board.published import FOLDER as PUBLISHED
from bench.board.published import read_published
from bench.core.errors import BenchError
from bench.planning import presets
from bench.planning.plugins import load_builtin
from bench.planning.presets import Preset, Wanted, cost, load, runs_of, wanted

load_builtin()
MINE = """
about = "mine"
methods = ["recadam"]
data = "micro"
model = "micro-encoder"
seeds = 3

[train]
lr = 1e-4
batch_size = 4

[recadam]
k = [0.1, 0.2]

[[part]]
tasks = "cola"
steps = 40

[[part]]
tasks = ["rte", "mrpc"]
steps = 20
[part.recadam]
t0 = 5
"""


def mine(tmp_path: Path, text: str = MINE) -> Preset:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def asked(tmp_path: Path, **given: Any) -> Wanted:
    return wanted(mine(tmp_path), given)


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_of_the_suite_says_what_can_be(name: str) -> None:
    found = load(name)
    assert found.about and found.name == name and found.recipes
    cells, steps = cost(runs_of(found))
    assert cells > 0
    # of rows that have no published number, how many steps is not known
    assert steps is None if name.startswith("lwf-") else steps is not None and steps > 0
    if found.published:
        figures = read_published(PUBLISHED / f"{found.published}.toml")
        tasks = {task for row in figures.rows for task in row.values}
        assert tasks & found.recipes.keys() or "ablation" in name  # somebody else's task


def test_every_preset_has_a_twin_in_small() -> None:
    whole = {name for name in presets.names() if not name.startswith("micro-")}
    twins = {name.removeprefix("micro-") for name in presets.names()} - whole
    without = {name for name in whole if f"micro-{name}" not in presets.names()}
    others = {"lwf-qa-1b", "lwf-qa-8b", "small-glue-bert-large", "sequence-bert"}
    assert twins >= {"lwf-qa", "small-glue", "sequence"} and without >= others
    assert without - others == {
        "recadam-glue-dev-albert",  # recadam-glue-dev's, with another model
        "recadam-glue-test",  # micro has no test rows
        "lwf-translation",  # nor sentences in two languages
    }


def test_the_published_recipe_of_recadam() -> None:
    recipes = load("recadam-glue-dev").recipes
    steps = {task: recipe["steps"] for task, recipe in recipes.items()}
    assert steps == {
        "mnli": 61360, "qqp": 56855, "qnli": 33890, "sst2": 21050,
        "cola": 13400, "stsb": 9000, "mrpc": 11500, "rte": 7800,
    }  # fmt: skip
    rest = {"lr": 2e-5, "batch_size": 32, "warmup": 0.0, "weight_decay": 0.0, "max_length": 128}
    assert all(recipe.items() >= rest.items() for recipe in recipes.values())


def test_parts_go_over_the_file_and_their_settings_beside_it(tmp_path: Path) -> None:
    cola, rest = runs_of(mine(tmp_path))
    assert (cola.tasks, rest.tasks) == (("cola",), ("rte", "mrpc"))
    assert cola.settings["train"] == {"lr": 1e-4, "batch_size": 4, "steps": 40}
    assert cola.settings["recadam"] == {"k": [0.1, 0.2]}
    assert rest.settings["recadam"] == {"k": [0.1, 0.2], "t0": 5}


def test_what_it_costs_counts_every_cell_once(tmp_path: Path) -> None:
    """finetune and two values of k, three seeds: 9 cells a task."""
    assert cost(runs_of(mine(tmp_path))) == (27, 9 * 40 + 18 * 20)
    twice = mine(tmp_path, MINE.replace('["rte", "mrpc"]', '"cola"').replace("= 20", "= 40"))
    assert cost(runs_of(twice)) == (9 + 6, 15 * 40), "t0 = 5 is another recadam, no other finetune"


def test_flags_go_before_the_preset_and_are_said(tmp_path: Path) -> None:
    found = asked(tmp_path, seeds="1", settings=["recadam.k=0.5", "train.lr=2e-4"], steps="7")
    assert [run.seeds for run in found.runs] == [1, 1]
    assert all(run.settings["train"]["steps"] == "7" for run in found.runs)
    assert set(found.changed) == {
        "seeds 3 -> 1", "train.lr 0.0001 -> 2e-4", "recadam.k 0.1,0.2 -> 0.5",
        "train.steps 40 -> 7", "train.steps 20 -> 7",
    }  # fmt: skip
    assert found.runs[0].out == Path("results/local/mine")
    assert asked(tmp_path, out="x").runs[0].out == Path("x")


def test_tasks_choose_among_the_parts(tmp_path: Path) -> None:
    (only,) = asked(tmp_path, tasks="mrpc").runs
    assert only.tasks == ("mrpc",) and only.settings["train"]["steps"] == 20
    assert len(asked(tmp_path, tasks="cola,rte").runs) == 2
    with pytest.raises(BenchError, match="unknown part of mine: --tasks 'sst2'"):
        asked(tmp_path, tasks="sst2")
    (one,) = wanted(mine(tmp_path, MINE.partition("[[part]]")[0]), {"tasks": "sst2"}).runs
    assert one.tasks == ("sst2",), "without parts there is nothing to choose among"


def test_forgetting_tasks_choose_among_the_parts() -> None:
    found = wanted(load("lwf-qa-1b"), {"forget": "mixed,dental", "tasks": "qasc"})
    assert [run.forget for run in found.runs] == [("dental",), ("mixed",)]
    assert {run.tasks for run in found.runs} == {("qasc",)}


def test_settings_go_to_the_parts_that_have_the_method() -> None:
    found = wanted(load("sequence-bert"), {"settings": ["ewc.blocks=4"]})
    assert [run.settings.get("ewc", {}).get("blocks") for run in found.whole] == ["4", None, None]
    with pytest.raises(BenchError, match=r"unknown method 'ecw'\. Did you mean 'ewc'"):
        wanted(load("sequence-bert"), {"settings": ["ecw.blocks=4"]})
    left = wanted(load("small-glue-bert-large"), {"methods": "mixout"})
    assert left.runs[0].settings.keys() == {"train"}, "what the file says of others goes with them"


def test_what_is_not_here_is_left_out_with_its_files(tiny_data: Path) -> None:
    """The tiny world has CoLA and RTE."""
    found = wanted(load("recadam-init"), {"data": str(tiny_data)})
    assert [run.tasks for run in found.runs] == [("cola",), ("rte",)]
    assert len(found.whole) == 4
    assert f"stsb is not in {tiny_data}: glue/STS-B: train.tsv, dev.tsv" in found.missing
    gone = wanted(load("lwf-qa-1b"), {"data": str(tiny_data)})
    assert gone.runs == () and any("dental" in line for line in gone.missing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("methods = = 3", "configuration .*mine.toml: "),
        ("step = 3\n" + MINE, "unknown key of .* 'step'. Did you mean 'steps'"),
        (MINE.replace('"recadam"', '"recadem"'), "unknown method 'recadem'"),
        (MINE.replace('"cola"', '"colla"'), "unknown task 'colla'. Did you mean 'cola'"),
        (MINE.replace("k = [", "kk = ["), "unknown setting of recadam 'kk'"),
        (MINE.replace("lr = 1e-4", "lr = 0"), "train.lr = 0.* > 0"),
        (MINE.replace("seeds = 3", "seeds = 0"), "seeds = 0 is out of range"),
        (MINE.replace("seeds = 3", 'forget = "colla"'), "unknown forgetting task 'colla'"),
        ('about = "x"\npart = 3', r"parts are tables that begin with \[\[part\]\]"),
        ("about = 3", "about is a text, not 3"),
        ('notes = "x"', "notes is a list of texts, not 'x'"),
        (MINE + "[part.lwf]\nk = 1", "unknown method of this run .*'lwf'"),
    ],
)
def test_a_file_with_a_mistake_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BenchError, match=said) as error:
        mine(tmp_path, text)
    assert "\n" not in str(error.value)


def test_a_preset_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"unknown preset 'recadam-glue'\. Did you mean"):
        load("recadam-glue")
    with pytest.raises(BenchError, match="none"):
        load(str(tmp_path / "none.toml"))


def test_the_preset_that_the_page_shows_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "papers.md"
    text = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    cola, rest = runs_of(mine(tmp_path, text))
    assert (cola.tasks, rest.tasks) == (("cola",), ("rte", "mrpc"))
    assert cost([cola, rest])[0] == 3 * 3 * (1 + 2 + 1)
