"""A cell is trained once: only what is new runs, and what is measured later is scored only."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Container
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from bench.board.leaderboard import boards
from bench.cells.cell import Cell
from bench.cells.measured import PARTS, at, fields_of
from bench.cells.store import Store
from bench.cells.weights import Weights, bound_of
from bench.cli.jobs import Jobs
from bench.cli.main import main
from bench.core.errors import BenchError
from bench.core.version import SCORES_VERSION
from bench.planning.options import read
from bench.running.export import export
from bench.running.finishing import finished
from bench.running.job import Job, planned
from bench.running.measuring import ON_PATH, Measured, Measuring
from bench.running.reasons import NEVER, reason, summed
from bench.running.single import run_cell
from bench.selfcheck.world import World, cells_of, workspace_for

QUICK = {
    "train": {"steps": 2, "max_eval": 8, "retention_tokens": 64, "forget_rows": 8},
    "lwf": {"samples": 4, "max_new_tokens": 2, "fisher_rows": 4, "interval": 1, "keep": "all"},
}
KEPT = "(its weights are kept: it is only scored)"
WORDS = {"methods": ("recadam", "lwf"), "tasks": ("cola", "rte"), "seeds": 1, "settings": QUICK}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished grid of finetune, recadam and lwf on cola and rte."""
    out = tmp_path_factory.mktemp("grid")
    results = finished(planned(read({**WORDS, "out": out})), quiet=True).results
    assert [result["status"] for result in results] == ["done"] * 6
    return out


@pytest.mark.parametrize(
    ("change", "trained", "scored"),
    [
        ({}, {}, {}),
        (
            {"tasks": ("cola", "rte", "mrpc")},
            {"finetune": 1, "recadam": 1, "lwf": 3},
            {"finetune": 2, "recadam": 2},
        ),
        ({"tasks": ("rte", "cola")}, {}, {}),
        ({"tasks": ("cola",)}, {"lwf": 1}, {"finetune": 1, "recadam": 1}),
        ({"methods": ("recadam", "lwf", "l2sp")}, {"l2sp": 2}, {}),
        ({"methods": ("lwf",)}, {}, {}),
        ({"seeds": 2}, {"finetune": 2, "recadam": 2, "lwf": 2}, {}),
        ({"first_seed": 1}, {"finetune": 2, "recadam": 2, "lwf": 2}, {}),
        ({"forget": ("sst2",)}, {"lwf": 2}, {"finetune": 2, "recadam": 2}),
        ({"path": 2}, {}, {"finetune": 2, "recadam": 2, "lwf": 2}),
        ({"retain_tasks": ("sst2",)}, {}, {"finetune": 2, "recadam": 2, "lwf": 2}),
    ],
)
def test_only_what_is_new_runs(
    folder: Path, change: dict[str, object], trained: dict[str, int], scored: dict[str, int]
) -> None:
    job = planned(read({**WORDS, "out": folder, **change}))
    weights = Weights(folder)
    kept = [isinstance(cell, Cell) and weights.holds(cell) for cell in job.todo]
    names = [cell.method.name for cell in job.todo]
    assert Counter(name for name, k in zip(names, kept, strict=True) if not k) == trained
    assert Counter(name for name, k in zip(names, kept, strict=True) if k) == scored
    only = f", {sum(scored.values())} only to score" if scored else ""
    said = Jobs((job,)).plans(200)
    assert f" done{only}, {sum(trained.values())} to run\n" in said


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The finished grid, to be changed."""
    shutil.copytree(folder, tmp_path / "grid")
    return tmp_path / "grid"


def again(folder: Path, **change: object) -> Job:
    """The same grid with other words."""
    words: dict[str, Any] = {**WORDS, "out": folder, **change}
    settings = {k: v for k, v in words["settings"].items() if k in ("train", *words["methods"])}
    return planned(read({**words, "settings": settings}))


def changed(**train: object) -> dict[str, object]:
    return {"settings": {**QUICK, "train": {**QUICK["train"], **train}}}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (changed(max_eval=12), {"scores"}),
        (changed(retention_tokens=128), {"retention"}),
        ({"forget": ("sst2",), "methods": ("recadam",)}, {"forgotten"}),
        ({"path": 2, "methods": ("recadam",)}, {"path"}),
        ({"retain_tasks": ("sst2",), "methods": ("recadam",)}, {"retain_tasks"}),
    ],
)
def test_only_what_is_lacking_is_measured(
    copy: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], parts: set[str]
) -> None:
    """Nothing is trained, and what was there stays, to the digit."""
    before = {result["hash"]: result for result in Store(copy).all()}
    monkeypatch.setattr("bench.running.session.train", None)
    measured: list[set[str]] = []
    whole = Measuring.measure

    def counted(self: Measuring, base: bool, parts: Container[str]) -> Measured:
        if not base:
            measured.append({part for part in PARTS if part in parts})
        return whole(self, base, parts)

    monkeypatch.setattr(Measuring, "measure", counted)
    job = again(copy, **change)
    results = finished(job, quiet=True).results
    on_path = set(ON_PATH) if parts == {"path"} else set()
    assert all(found == parts | on_path or found == on_path for found in measured)
    assert len(measured) == len(job.todo) * (2 if on_path else 1), "half-way, and in the end"
    assert len(job.todo) == len(results)
    for result in results:
        old = before[result["hash"]]
        for part in PARTS.keys() - parts:
            assert fields_of(result, part) == fields_of(old, part), part
        for name in ("costs", "curve", "drift", "provenance", "elicited"):
            assert result[name] == old[name]  # type: ignore[literal-required]
        for part in parts & {"scores", "retention", "forgotten"}:
            first, last = old["measured"][part], result["measured"][part]  # type: ignore[literal-required]
            assert first != last
            assert fields_of(at(result, part, first) or result, part) == fields_of(old, part)
    assert again(copy, **change).todo == () == again(copy).todo, "neither runs again"


def test_what_is_asked_for_is_at_the_top(copy: Path) -> None:
    """Of two texts, or two numbers of rows, boards show what was asked for last; nothing runs."""
    rows = [8, 12, 8]
    for wanted in rows:
        finished(again(copy, methods=("recadam",), **changed(max_eval=wanted)), quiet=True)
        found = {r["data"]["dev_rows"] for r in Store(copy).all() if r["cell"]["method"] != "lwf"}
        assert found == {wanted}
    shown = boards(Store(copy).all())
    assert sorted((board.dev_rows, len(board.tables[0].rows)) for board in shown) == [(8, 3)]


def test_the_display_says_the_scores_that_were_asked_for(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not those of the last call's rows, where something else is measured."""
    finished(again(copy, methods=("recadam",), **changed(max_eval=12)), quiet=True)
    capsys.readouterr()
    results = finished(again(copy, methods=("recadam",), path=2)).results
    said = capsys.readouterr().err
    assert len(results) == 4
    for result in results:
        scores = result["scores"]
        assert scores is not None
        first, last = (100 * scores[when][scores["primary"]] for when in ("before", "after"))
        label = result["labels"]["method"]
        name = f"{label} x {result['cell']['task']} x seed 0: "
        (line,) = (line for line in said.splitlines() if name in line)
        assert f" x100 {first:.1f} -> {last:.1f}, " in line


def test_weights_that_were_not_kept_are_trained_again_and_that_is_said(copy: Path) -> None:
    shutil.rmtree(copy / "weights")
    assert again(copy, tasks=("cola", "rte", "mrpc")).reasons().keys() == {
        "it forgets cola, mrpc instead of cola",
        "it forgets rte, mrpc instead of rte",
        NEVER,
    }, "nobody asked for other forgetting tasks of what does not read them"
    job = again(copy, methods=("recadam",), forget=("sst2",))
    said = "to measure: forgetting tasks (its weights were not kept: it is trained again)"
    assert {reason: len(cells) for reason, cells in job.reasons().items()} == {said: 4}
    before = {result["hash"]: result["scores"] for result in Store(copy).all()}
    for result in finished(job, quiet=True).results:
        assert result["status"] == "done" and result["scores"] == before[result["hash"]]
        assert result["forgotten"] is not None and result["forgotten"]["tasks"] == ["sst2"]


def test_a_measurement_that_fails_leaves_the_cell_and_is_said(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store(copy).all()
    monkeypatch.setattr(Measuring, "path", lambda *_: 1 / 0)
    results = finished(again(copy, methods=("recadam",), path=2), quiet=True).results
    assert {r["error"] for r in results} == {"could not be measured: path"}
    assert {r["status"] for r in results} == {"failed"}
    assert Store(copy).all() == before


def test_forgetting_tasks_that_are_named_stay(folder: Path, tmp_path: Path) -> None:
    named = {**WORDS, "forget": ("sst2",), "methods": ("lwf",)}
    before = {cell.hash for cell in planned(read({**named, "out": tmp_path})).cells}
    more = {**named, "tasks": ("cola", "rte", "mrpc")}
    assert before < {cell.hash for cell in planned(read({**more, "out": tmp_path})).cells}


def test_the_plan_says_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = planned(read({**WORDS, "tasks": ("cola", "rte", "mrpc"), "out": folder}))
    lwf = more.plan.spec.methods[-1].label
    assert summed(more.reasons()) == [
        f"4 finetune, recadam: to measure: forgetting tasks {KEPT}",
        f"1 {lwf}: it forgets rte, mrpc instead of rte",
        f"1 {lwf}: it forgets cola, mrpc instead of cola",
        f"3 finetune, recadam, {lwf}: {NEVER}",
    ]
    faster = {**QUICK, "train": {**QUICK["train"], "lr": 1e-3}}
    (line,) = summed(planned(read({**WORDS, "settings": faster, "out": folder})).reasons())
    assert line == "6 train.lr 0.0005 -> 0.001"
    other = {**QUICK, "lwf": {**QUICK["lwf"], "interval": 2}}
    (line,) = summed(planned(read({**WORDS, "settings": other, "out": folder})).reasons())
    assert line == "2 lwf.interval 1 -> 2"
    longer = {**QUICK, "train": {**QUICK["train"], "max_eval": 12}}
    (line,) = summed(planned(read({**WORDS, "settings": longer, "out": folder})).reasons())
    assert line == f"6 to measure: dev rows {KEPT}"


def test_why_says_nothing_of_what_only_measures(folder: Path) -> None:
    """Results before 0.5.0 have it in their identity: how much is scored, what is only scored."""
    job = again(folder, methods=("recadam",), forget=("rte",), seeds=1)
    cell = next(cell for cell in job.cells if cell.method.name == "recadam")
    old = deepcopy(next(r for r in Store(folder).all() if r["hash"] == cell.hash))
    old["hash"] = "older"
    old["cell"]["suite_version"] = "0.4.0"
    old["cell"]["forget"] = {"tasks": ["sst2"], "hash": "sst2"}
    old["cell"]["training"] |= {"max_eval": 4, "retention_tokens": 8192, "forget_rows": 256}
    found = reason(cell, [old], Store(folder / "elsewhere"))
    assert found == f"suite version 0.4.0 -> {SCORES_VERSION}: scores may change"
    reads = replace(cell, method=replace(cell.method, needs=("text",)))
    for text, more in ((reads.retention.hash, ""), ("another", "; the text that it reads changed")):
        old["cell"]["retention"] = {"hash": text}
        assert reason(reads, [old], Store(folder / "elsewhere")) == found + more


def test_explain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--methods", "recadam,lwf", "--tasks", "cola,rte,mrpc", "--seeds", "1"]
    words += ["--out", str(folder), "--set"]
    words += [f"{owner}.{k}={v}" for owner, its in QUICK.items() for k, v in its.items()]
    assert main(["explain", "x cola", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("): ")[2] for line in lines] == [
        f"to measure: forgetting tasks {KEPT}",
        f"to measure: forgetting tasks {KEPT}",
        "it forgets rte, mrpc instead of rte",
    ]
    assert main(["explain", "x sst9", *words]) == 2
    assert "unknown cell 'x sst9'" in capsys.readouterr().err
    capsys.readouterr()
    assert main(["explain", "x sst9", *words, "--seeds", "9"]) == 2
    said = capsys.readouterr().err
    assert "such as" in said and len(said) < 200
    assert main(["explain", "--methods", "lwf"]) == 2
    assert "required: CELL" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    assert "explain CELL --methods" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["causal", "encoder"])
@pytest.mark.parametrize("method", ["finetune", "lora", "mixout", "wise_ft"])
def test_what_is_measured_later_is_scored_only(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, kind: str
) -> None:
    """The scores of kept weights are those of a cell that trains, bit for bit."""

    def results(place: str, rows: int, trains: bool) -> list[object]:
        plan = world.plan(method, kind, f"train.max_eval={rows}", "train.retention_tokens=64")
        workspace = workspace_for(plan, tmp_path / place)
        workspace.keep_bytes = bound_of("all")
        if not trains:
            monkeypatch.setattr("bench.running.session.train", None)
        result, predictions, _ = run_cell(cells_of(plan)[0], workspace, False)
        parts = ("scores", "retention", "forgotten", "drift", "curve", "flips")
        memory = result["costs"] and result["costs"]["above_model_mib"]
        assert memory is None or memory >= 0.8 * made.get("memory", 0.0)
        made["memory"] = memory
        return [*(result[part] for part in parts), predictions["scores_after"]]  # type: ignore[literal-required]

    made: dict[str, Any] = {}
    fresh = results("b", 9, True)
    made.clear()
    results("a", 6, True)  # its training's memory is that of the cell that is scored later, too
    assert results("a", 9, False) == fresh


def test_what_is_kept_and_how_much(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = world.plan("finetune", "causal")
    (cell,) = cells_of(plan)
    tensors = {"a": torch.arange(250.0)}  # 1000 bytes
    record = {"curve": []}
    weights = Weights(tmp_path, 1500)
    weights.keep(cell, 2, tensors, record)
    found = weights.find(cell)
    assert found is not None and torch.equal(found.tensors["a"], tensors["a"])
    assert (found.cell, found.outputs, found.record) == (cell, 2, record)
    other = cells_of(world.plan("finetune", "causal", "train.lr=1e-3"))[0]
    weights.keep(other, 2, tensors, record)
    assert weights.find(other) is None, "beyond the bound"
    (path,) = weights.folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    assert weights.find(cell) is None, "another content than was written"
    assert f"{path} is damaged (ValueError: not as it was written)" in capsys.readouterr().err
    weights.keep(cell, 2, tensors, record)
    assert weights.find(cell) is not None, "in place of the damaged ones"
    path.with_suffix(".json").write_text("[" * 100_000)
    assert weights.find(cell) is None
    Weights(tmp_path / "none").keep(cell, 2, tensors, record)
    assert not (tmp_path / "none").exists()


def test_bounds() -> None:
    assert (bound_of("none"), bound_of("0.5")) == (0.0, 2**29)
    assert bound_of("all") > 2**60
    for word in ("some", "-1", "nan"):
        with pytest.raises(BenchError, match="neither all nor none nor a number of GiB"):
            bound_of(word)


@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_an_exported_folder_is_the_tuned_model(world: World, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    words = {"methods": ("finetune",), "tasks": ("cola",), "seeds": 1, "steps": 2, "out": out}
    words |= {"model": (str(world.models[kind]),), "data": str(world.data)}
    (result,) = finished(planned(read(words)), quiet=True).results
    path = next(out.glob(f"cells/*{result['hash'][:12]}.json"))
    cell = export(path, tmp_path / "model")
    kept = Weights(out).find(cell)
    factory = AutoModelForCausalLM if kind == "causal" else AutoModelForSequenceClassification
    net = factory.from_pretrained(tmp_path / "model")
    assert kept is not None
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, kept.tensors[name]), name
    assert AutoTokenizer.from_pretrained(tmp_path / "model")("the cat saw")["input_ids"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "fine-tuned on cola with finetune" in card and "matthews_correlation" in card
    with pytest.raises(BenchError, match="is not empty"):
        export(path, tmp_path / "model")
    with pytest.raises(BenchError, match="is no result of a cell"):
        export(tmp_path / "nothing.json", tmp_path / "other")
    for file in (out / "weights").iterdir():
        file.unlink()
    with pytest.raises(BenchError, match="--keep-weights all"):
        export(path, tmp_path / "other")


def test_the_board_is_of_the_folder(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--tasks", "cola", "--model", str(world.models["causal"]), "--data", str(world.data)]
    words += ["--seeds", "1", "--steps", "1", "--out", str(tmp_path), "--no-reference"]
    assert main(["--methods", "finetune", *words]) == 0
    assert main(["--methods", "l2sp", *words]) == 0
    written = (tmp_path / "leaderboard.md").read_text()
    assert "| finetune |" in written and "| l2sp |" in written
    assert {r["cell"]["method"] for r in Store(tmp_path).all()} == {"finetune", "l2sp"}
    assert json.loads((tmp_path / "leaderboard.json").read_text())
