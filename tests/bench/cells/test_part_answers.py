"""Answers behind parts of a result on disk: added, never replaced, and read with distrust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cells.reading import DamagedError
from bench.cells.result import CellResult, PartAnswers, ReadText
from bench.cells.store import Store, part_answers_name
from tests.helpers.made_up import predictions, result


def behind(of: CellResult, loss: float) -> PartAnswers:
    """One block of text, by which its loss before is this."""
    on = of["measured"]["retention"]
    text: ReadText = {"tokens": [1], "nats": {"before": [loss], "after": [1.625]}}
    return {"part": "retention", "on": dict(on), "rows": {}, "text": text}


def test_answers_behind_parts_stay_with_what_they_gave(tmp_path: Path) -> None:
    store, new = Store(tmp_path), result()
    store.write(new, predictions(new))
    assert store.part_answers(new) == []
    mine = behind(new, 1.5)
    store.write(new, None, [mine])
    assert store.part_answers(new) == [mine]
    store.write(new, None, [behind(new, 9.0)])
    assert store.part_answers(new) == [mine], "what is there is not replaced"
    more = result()
    more["measured"]["retention"] = {"text": "another", "tokens": 64}
    store.write(more, None, [behind(more, 2.0)])
    assert [each["on"].get("text") for each in store.part_answers(new)] == [None, "another"]
    other = result()  # another measurement of what is kept: it stays, without these answers
    other["measured"]["retention"] = {"text": "another", "tokens": 64}
    other["retention"] = {**other["retention"], "before": 7.0}  # type: ignore[typeddict-item]
    path = tmp_path / "cells" / part_answers_name(new)
    path.write_text("{")
    with pytest.raises(DamagedError):
        store.part_answers(new)
    store.write(other, None, [behind(other, 7.0)])
    assert path.read_text() == "{"
    store.write(more, None, [behind(more, 2.0)])
    assert [each["on"].get("text") for each in store.part_answers(new)] == ["another"]
    for change in ({"tokens": [1, 2]}, {"nats": {"before": []}}):
        value = json.loads(path.read_text())
        value["parts"][0]["text"] |= change
        path.write_text(json.dumps(value))
        with pytest.raises(DamagedError, match="unequal lengths: retention, the text"):
            store.part_answers(new)


def test_answers_that_are_lost_are_asked_for_until_they_are_made_again_or_given_up(
    tmp_path: Path,
) -> None:
    store, new = Store(tmp_path), result()
    path = tmp_path / "cells" / part_answers_name(new)

    def stored() -> CellResult:
        (found,) = store.all()
        return found

    store.write(new, predictions(new), [behind(new, 1.5)])
    assert path.name in stored()["answers"] and store.has_answers(stored())
    path.unlink()
    assert store.has_predictions(stored()) and not store.has_answers(stored())
    store.write(new, predictions(new), [behind(new, 1.5)])
    assert store.part_answers(new) == [behind(new, 1.5)] and store.has_answers(stored())
    path.unlink()
    store.write(new, predictions(new))  # measured again on something else: they stay lost
    assert path.name not in stored()["answers"] and store.has_answers(stored())


def test_what_a_killed_writer_left_of_a_cell_is_written_anew(tmp_path: Path) -> None:
    store, new = Store(tmp_path), result()
    store.write(new, predictions(new), [behind(new, 1.5)])
    (whole,) = store.all()
    (tmp_path / "cells" / whole_name(tmp_path)).unlink()
    store.write(new, predictions(new), [behind(new, 1.5)])
    assert store.all() == [whole], "with the digests of both files"


def whole_name(folder: Path) -> str:
    """The one file in it that is a result."""
    (name,) = (p.name for p in (folder / "cells").glob("*.json") if ".rows." not in p.name)
    return name
