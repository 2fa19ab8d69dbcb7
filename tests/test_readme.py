"""What the README and the pages of docs/ show is run: methods, tasks, settings, options, links."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench import api
from bench.board.leaderboard import boards
from bench.cells.store import Store
from bench.cli.main import main
from bench.render import terminal, tidy
from bench.selfcheck.world import World
from tests.helpers.made_up import result

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / ".github").rglob("*.md"),
    *ROOT.glob("results/*/*.md"),
    *ROOT.glob("results/boards/*/README.md"),
    ROOT / "tasks/micro/README.md",
]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def block(name: str, language: str, containing: str) -> str:
    """The fenced block of a page in a language that holds a text."""
    found = re.findall(rf"^```{language}\n(.*?)^```", page(name), re.M | re.S)
    (text,) = [text for text in found if containing in text]
    return text


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(page("README.md").splitlines()) <= 160


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("README.md", "my_methods.py"),
        ("docs/add_a_method.md", "my_methods.py"),
        ("docs/add_a_task.md", "my_tasks.py"),
    ],
)
def test_the_examples_are_those_that_are_shown(name: str, file: str) -> None:
    kept = (EXAMPLES / file).read_text(encoding="utf-8")
    assert block(name, "python", "register_") == kept
    assert len([line for line in kept.splitlines() if line]) <= 30


def test_the_board_has_the_columns_that_are_printed() -> None:
    """Its figures are of a demo on one machine; those that are made up here are as wide."""
    cells = []
    for method, after in (("finetune", 0.42), ("lwf", 0.43), ("recadam", 0.38)):
        for seed in range(3):
            cell = result(method, "cola", seed, after + seed / 100)
            few = {"questions": 80, "before": 0.9, "after": 0.8625 + seed / 1000}
            cells.append(cell | {"facts": {"settled": few, "disputed": None}})
    printed = heading(terminal.render(boards(cells), "utf-8", 80))
    assert heading(block("README.md", "", "cola: Matthews")) == printed


def heading(table: str) -> list[list[str]]:
    """The words over a printed table's first rule."""
    lines = table[table.index("\nmethod ") :].splitlines()[1:]
    rule = next(number for number, line in enumerate(lines) if line.startswith("--"))
    return [line.split() for line in lines[:rule]]


def test_what_is_said_of_needs_is_what_the_committed_board_shows() -> None:
    cells = Store(ROOT / "results/boards/micro").all()
    rows = [row for row in tidy.records(boards(cells)) if row["model"] == "micro"]
    means = {row["method"]: row for row in rows if row["task"] == "average"}
    text = page("README.md")
    for name in ("lwf", "recadam", "ewc"):
        gain, half = (100 * means[name][part] for part in ("gain", "gain_half_width"))
        assert f"`{name}` {gain:.2f} ± {half:.2f}" in text
    drift = {name: float(row["drift"]) for name, row in means.items()}
    shown = "`recadam`: drift {recadam:.1f}, `ewc` {ewc:.1f}, finetune {finetune:.1f}"
    assert shown.format(**drift) in text
    lost = {name: -100 * float(row["facts"]) for name, row in means.items()}
    fewer = [lost["finetune"] - lost[name] for name in ("ewc", "recadam")]
    assert fewer == pytest.approx([1.3, 1.3], abs=0.051) and "lose 1.3 points fewer" in text
    assert f"of finetune's {lost['finetune']:.1f}" in text
    rise = float(means["finetune"]["retention"]) - float(means["ewc"]["retention"])
    assert f"`ewc` lowers its rise by {rise:.3f} " in text
    times = {name: round(float(row["time_ratio"])) for name, row in means.items()}
    assert times == {"finetune": 1, "recadam": 1, "ewc": 3, "lwf": 3}


def test_what_is_said_of_forgetting_is_what_the_committed_board_shows() -> None:
    found = api.load(ROOT / "results/boards/lwf/lwf.zip").results
    rows = [row for row in tidy.records(boards(found)) if row["model"] == "micro"]
    of = {
        (row["task"], row["method"]): {k: v for k, v in row.items() if isinstance(v, float)}
        for row in rows
        if row["metric"] == "accuracy"
    }
    text = " ".join(page("README.md").split())
    for task in ("dental", "psychol", "qasc"):
        lwf, half = of[task, "lwf"], of[task, "lwf:random_answers"]
        assert f"{100 * lwf['gain']:.1f} ± {100 * lwf['gain_half_width']:.1f}" in text, task
        assert lwf["gain"] > lwf["gain_half_width"]
        assert 0.075 <= lwf["recovered"] <= 0.205 and "recovers 8 to 20 %" in text
        assert lwf["retention"] - of[task, "finetune"]["retention"] < 0.0125
        assert "loses 0.012 nats of retention or less" in text
        assert half["gain"] > half["gain_half_width"], "a random half does as well"


@pytest.mark.usefixtures("registry_of_this_test")
def test_the_method_runs(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--plugin", EXAMPLES / "my_methods.py", "--methods", "my_l2sp", "--tasks", "cola"]
    words += ["--model", tiny_causal, "--data", tiny_data, "--out", tmp_path / "run"]
    words += ["--seeds", 1, "--steps", 8, "--set", "my_l2sp.alpha=1e6", "train.clip=0"]
    assert main([str(word) for word in words]) == 0
    assert "my_l2sp[alpha=1000000.0]" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("registry_of_this_test")
def test_the_method_passes_selfcheck(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck", "my_l2sp", "--plugin", str(EXAMPLES / "my_methods.py")]) == 0
    assert "0 FAILED" in capsys.readouterr().out


@pytest.mark.usefixtures("registry_of_this_test")
def test_what_else_a_method_may_say_of_itself(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page("docs/add_a_method.md")
    said = re.findall(r"^\* `((?:needs|roles|variants|holds) = .+?)`[:,]", text, re.M)
    assert len(said) == 4
    plugin = tmp_path / "my_methods.py"
    method = (EXAMPLES / "my_methods.py").read_text(encoding="utf-8")
    plugin.write_text(method + "".join(f"\n    {line}\n" for line in said))
    models = ",".join(str(folder) for folder in world.models.values())
    words = ["--plugin", plugin, "--methods", "my_l2sp:strong,my_l2sp+lwf", "--tasks", "cola"]
    words += ["--data", world.data, "--model", models, "--no-reference", "--dry-run"]
    assert main([str(word) for word in words]) == 0
    out = capsys.readouterr().out
    assert "methods    my_l2sp:strong, lwf+my_l2sp\n" in out
    assert "refused    my_l2sp:strong, lwf+my_l2sp on tiny-encoder (cola): it needs a model" in out


@pytest.mark.usefixtures("registry_of_this_test")
def test_the_task_runs_in_both_forms(
    tiny_causal: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toml = block("README.md", "toml", 'name = "spam"')
    assert block("docs/add_a_task.md", "toml", 'name = "spam"') == toml
    assert len([line for line in toml.splitlines() if line]) <= 20
    monkeypatch.chdir(tmp_path)
    for split in ("train", "dev"):
        Path(f"{split}.csv").write_text('body,class\n"a cat, a dog",ham\nthe king,spam\n')
    Path("spam.toml").write_text(toml, encoding="utf-8")
    words = ["--methods", "finetune", "--model", str(tiny_causal), "--seeds", "1", "--steps", "1"]
    words += ["--forget", "cola", "--out", "run", "--set", "train.retention_tokens=128"]
    own = ["--task-file", "spam.toml", "--plugin", str(EXAMPLES / "my_tasks.py")]
    assert main([*words, *own, "--tasks", "spam,my_spam"]) == 0
    out = capsys.readouterr().out
    assert "spam: accuracy" in out and "my_spam: accuracy" in out


def test_the_lines_of_python_run(
    tiny_causal: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"model": str(tiny_causal), "data": str(tiny_data), "steps": 1, "out": tmp_path / "run"}
    settings = {"train": {"retention_tokens": 128}, "lwf": {"samples": 4, "fisher_rows": 4}}
    shown = partial(api.compare, progress=False, settings=settings, **small)
    monkeypatch.setattr(api, "compare", shown)
    names: dict[str, Any] = {}
    exec(block("README.md", "python", "compare("), names)
    assert len(names["runs"].frame()) == 6 and names["runs"].failed == ()
    assert "cola" in str(names["runs"].board())


def test_the_settings_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "run.toml"
    config.write_text(block("docs/usage.md", "toml", "[train]"), encoding="utf-8")
    assert main(["--config", str(config), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "3 methods x 2 tasks x 1 model x 5 seeds = 30 cells" in out
    assert "learning rate 0.0003" in out
    assert "recadam[k=0.2]" in out


@pytest.mark.parametrize("name", ["README.md", "docs/usage.md", "docs/tasks.md"])
def test_every_option_that_is_named_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["list"], ["show"], ["table"], ["status"], ["submission"], ["selfcheck"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    option = r"(?<![\w-])--[a-z][a-z-]+"
    known = set(re.findall(option, capsys.readouterr().out))
    named = set(re.findall(option, page(name)))
    assert named <= known, named - known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {anchor_of(heading) for heading in headings}, f"{path.name}: {link}"


def anchor_of(heading: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
