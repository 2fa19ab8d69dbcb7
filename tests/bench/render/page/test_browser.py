"""The page in a real browser, where there is one: sorting, filtering, keys, and nothing hostile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.render.page import render
from tests.helpers import rich
from tests.helpers.browser import Browser, browser, found

pytestmark = pytest.mark.skipif(found() is None, reason="needs Chromium, and aiohttp to drive it")

TABLE = "document.querySelector('[aria-label^=\"All \"] table')"
COLUMN = f"[...{TABLE}.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[%d].textContent)"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The rich page, opened anew; nothing may be complained of."""
    (tmp_path / "report.html").write_text(render(rich.shown(rich.cells())), "utf-8")
    chromium.errors.clear()
    chromium.open(tmp_path / "report.html")
    yield chromium
    assert chromium.errors == []


def column(page: Browser, number: int) -> list[str]:
    found: list[str] = page.ask(COLUMN % number)
    return found


def test_a_heading_sorts_up_and_down_by_number_or_word(page: Browser) -> None:
    heads: list[str] = page.ask(f"[...{TABLE}.tHead.rows[0].cells].map(c => c.textContent)")
    place = next(i for i, head in enumerate(heads) if head.startswith("after"))
    click = f"{TABLE}.tHead.rows[0].cells[{place}].querySelector('button').click()"
    page.ask(click)
    figures = [float(text) for text in column(page, place) if text != "-"]
    assert figures == sorted(figures) and len(set(figures)) > 3
    assert column(page, place)[-2:] == ["-", "-"]  # missing comes last, both ways
    page.ask(click)
    assert column(page, place)[-2:] == ["-", "-"]
    assert [float(text) for text in column(page, place) if text != "-"] == figures[::-1]
    sorts = (
        f"[...{TABLE}.tHead.rows[0].cells].map(c => c.getAttribute('aria-sort')).filter(Boolean)"
    )
    assert page.ask(sorts) == ["descending"]
    page.ask(f"{TABLE}.tHead.rows[0].cells[0].querySelector('button').click()")
    names = column(page, 0)
    assert names == sorted(names)


def test_a_filter_shows_the_rows_that_hold_all_words(page: Browser) -> None:
    page.ask("document.querySelector('input[aria-label*=\"All \"]').focus()")
    page.press(*"lwf rte")
    assert set(column(page, 0)) == {"lwf"} and set(column(page, 1)) == {"rte"}
    said = page.ask("document.activeElement.nextElementSibling.textContent")
    assert said == f"3 of {len(rich.cells())} rows"


def test_a_method_is_followed_through_the_board(page: Browser) -> None:
    press = "[...document.querySelectorAll('.legend button')].find(b => b.textContent == 'lwf')"
    number = page.ask(f"{press}.click(), {press}.dataset.m")
    lit = page.ask("[...new Set([...document.querySelectorAll('.lit')].map(e => e.dataset.m))]")
    assert lit == [number]
    assert page.ask(f"document.querySelectorAll('.dim[data-m=\"{number}\"]').length") == 0
    assert page.ask("document.querySelectorAll('.dim').length") > 20
    page.ask(f"{press}.click()")
    assert page.ask("document.querySelectorAll('.dim, .lit').length") == 0


def test_the_keyboard_reaches_all_that_can_be_used(page: Browser) -> None:
    every = "a[href], button, input, summary, [tabindex='0']"
    usable = f"[...document.querySelectorAll(`{every}`)].filter(e => e.checkVisibility())"
    count: int = page.ask(f"{usable}.length")
    page.ask("window.reached = new Set()")
    for _ in range(count + 2):
        page.press("Tab")
        page.ask("window.reached.add(document.activeElement), 0")
    missed = f"{usable}.filter(e => !reached.has(e)).map(e => e.outerHTML.slice(0, 90))"
    assert page.ask(missed) == []


def test_keys_press_headings_and_open_the_data_of_a_plot(page: Browser) -> None:
    page.ask(f"{TABLE}.tHead.rows[0].cells[2].querySelector('button').focus()")
    page.press("Enter")
    seeds = [int(text) for text in column(page, 2)]
    assert seeds == sorted(seeds)
    page.ask("document.querySelector('figure summary').focus()")
    page.press("Enter")
    assert page.ask("document.querySelector('figure details').open")


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_as_wide_as_its_window_in_both_colours(
    page: Browser, tmp_path: Path, width: int, dark: bool
) -> None:
    long = "lwf:oracle[samples=1000,share=1.0,interval=1,weight=0.3]"
    cells = [*rich.cells(), *(rich.cell(long, "cola", seed) for seed in range(3))]
    (tmp_path / "long.html").write_text(render(rich.shown(cells)), "utf-8")
    page.open(tmp_path / "long.html", width, dark)
    assert page.ask("document.documentElement.scrollWidth") <= width
    paper = page.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 24, 28)" if dark else "rgb(255, 255, 255)")


def test_on_paper_there_is_nothing_to_press(page: Browser) -> None:
    page.send("Emulation.setEmulatedMedia", media="print")
    shown = "e => e.checkVisibility()"
    assert page.ask(f"[...document.querySelectorAll('nav, input, .legend')].some({shown})") is False
    assert page.ask(f"[...document.querySelectorAll('figure svg, table')].some({shown})") is True


def test_names_and_texts_of_strangers_do_nothing(chromium: Browser, tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    place.write_text(render(rich.shown(rich.hostile(), rich.HOSTILE)), "utf-8")
    chromium.errors.clear()
    chromium.open(place)
    assert chromium.ask("document.images.length + document.scripts.length") == 1
    assert chromium.ask("document.title").startswith(rich.HOSTILE)
    chromium.ask("document.querySelectorAll('.legend button').forEach(b => b.click())")
    chromium.ask("document.querySelectorAll('thead button').forEach(b => b.click())")
    assert chromium.errors == []


def test_the_policy_stops_what_is_not_the_pages_own(chromium: Browser, tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    text = render(rich.shown(rich.cells()))
    place.write_text(text.replace("</main>", "<script>window.ran = 1</script></main>"), "utf-8")
    chromium.errors.clear()
    chromium.open(place)
    assert chromium.ask("window.ran === undefined")
    assert "Content Security Policy" in chromium.errors[0]
