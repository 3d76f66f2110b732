"""The web page in a real browser: sorting, policy, widths, and the page without its script."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comparisons import hostile_comparison, poor_comparison, sample_comparison, three_arms
from evaltrace.reports.webpage import render_webpage
from webpages import many_tasks

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

KINDS = {
    "sample": sample_comparison,
    "poor": poor_comparison,
    "three": three_arms,
    "hostile": hostile_comparison,
    "many": many_tasks,
}

WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refused.push(event.effectiveDirective));
"""

OVERLAPS = """() => {
  const found = [];
  for (const drawing of document.querySelectorAll("svg.drawing")) {
    const texts = [...drawing.querySelectorAll("text")]
      .map((text) => [text.textContent, text.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0);
    texts.forEach(([words, a], place) => {
      if (a.left < -1 || a.right > innerWidth + 1) found.push(`cut: ${words}`);
      for (const [others, b] of texts.slice(place + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 3) found.push(`${words} over ${others}`);
      }
    });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, make in KINDS.items():
        (folder / f"{name}.html").write_text(render_webpage(make()), "utf-8")
    return {name: folder / f"{name}.html" for name in KINDS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Any, file: Path, scheme: str = "light", script: bool = True) -> Any:
    """Open a file in a window of its own; the page notes requests and complaints."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    page.requests, page.complaints = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: page.complaints.append(dialog.message) or dialog.dismiss())
    if script:
        page.add_init_script(WATCH)
    page.goto(file.as_uri())
    return page


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open pages that a test may change; they are closed after it."""
    pages = []

    def open_page(file: Path, scheme: str = "light", script: bool = True) -> Any:
        pages.append(opened(browser, file, scheme, script))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()


@pytest.fixture(scope="module")
def seen(browser: Any, files: dict[str, Path]) -> Callable[[str], Any]:
    """Open a page once for all tests that change nothing but its width and colours."""
    return cache(lambda name: opened(browser, files[name]))


def _values(table: Any, column: int) -> list[str | None]:
    rows: list[str | None] = table.evaluate(
        "(table, column) => Array.from(table.tBodies[0].rows, "
        "(row) => row.cells[column].dataset.value ?? null)",
        column,
    )
    return rows


def _table(page: Any, caption: str) -> tuple[Any, list[str]]:
    table = page.locator("table").filter(has=page.locator("caption", has_text=caption)).first
    return table, table.locator("thead th").all_inner_texts()


# Sorting.


def test_a_header_sorts_by_number_and_again_the_other_way(
    show: Callable[..., Any], files: dict[str, Path]
) -> None:
    table, names = _table(show(files["sample"]), "Calls by tool")
    column = names.index("errors, codesearch")
    header = table.locator("thead th").nth(column)
    assert _values(table, column) != sorted(_values(table, column), key=lambda v: float(v or 0))
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    numbers = [float(value or "nan") for value in _values(table, column)]
    assert numbers == [1, 3, 6, 51]  # as text, 51 would stand before 6
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(value or "nan") for value in _values(table, column)] == numbers[::-1]


def test_unknown_values_stay_at_the_end_in_either_direction(
    show: Callable[..., Any], files: dict[str, Path]
) -> None:
    page = show(files["sample"])
    page.locator("summary", has_text="26 tasks").click()
    table, names = _table(page, "Means over valid attempts")
    header = table.locator("thead th").nth(names.index("difference"))
    for order in (1, -1):
        header.locator("button").click()
        *known, last = _values(table, names.index("difference"))
        assert last is None
        numbers = [float(value or "nan") for value in known]
        assert numbers == sorted(numbers, reverse=order < 0)
    assert min(numbers) < 0 < max(numbers)


def test_the_keyboard_sorts_too_and_one_column_at_a_time(
    show: Callable[..., Any], files: dict[str, Path]
) -> None:
    table, names = _table(show(files["sample"]), "Tasks whose outcome")
    table.locator("thead button").nth(names.index("task")).press("Enter")
    tasks = _values(table, 0)
    assert tasks == sorted(tasks, key=str)
    table.locator("thead button").nth(names.index("kind")).press("Space")
    kinds = _values(table, names.index("kind"))
    assert kinds == sorted(kinds, key=str)
    assert table.locator("thead [aria-sort]").count() == 1


def test_every_table_can_be_sorted(seen: Callable[[str], Any]) -> None:
    page = seen("three")
    assert page.locator("table").count() > 20
    assert page.locator("thead th").count() == page.locator("thead th > button").count()


# What the page may do.


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_fetched_and_the_policy_refuses_nothing_of_ours(
    name: str, seen: Callable[[str], Any], files: dict[str, Path]
) -> None:
    page = seen(name)
    assert page.requests == [files[name].as_uri()]
    assert page.complaints == []
    assert page.evaluate("window.refused") == []
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px"


def test_the_policy_refuses_what_is_not_ours(
    show: Callable[..., Any], files: dict[str, Path], tmp_path: Path
) -> None:
    added = (
        "<script>window.ran = 1</script><style>body { margin: 9px }</style>"
        "<img src='http://127.0.0.1:9/x.png' onerror='window.ran = 2'></main>"
    )
    page_file = tmp_path / "added.html"
    page_file.write_text(files["poor"].read_text("utf-8").replace("</main>", added), "utf-8")
    page = show(page_file)
    refused = {str(name).removesuffix("-elem") for name in page.evaluate("window.refused")}
    assert refused >= {"script-src", "style-src", "img-src"}
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.body).margin") == "0px"


def test_a_script_in_a_trace_is_shown_as_text_and_does_not_run(seen: Callable[[str], Any]) -> None:
    page = seen("hostile")
    assert "<script>alert(" in page.locator("body").inner_text()
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    assert page.complaints == []


# How it fits.


@pytest.mark.parametrize("name", KINDS)
def test_a_phone_shows_the_page_without_scrolling_sideways(
    name: str, seen: Callable[[str], Any]
) -> None:
    page = seen(name)
    page.set_viewport_size({"width": 400, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("name", ["sample", "hostile", "many"])
def test_labels_of_figures_do_not_overlap(name: str, seen: Callable[[str], Any]) -> None:
    page = seen(name)
    assert page.locator("figure svg.drawing text").count() > 20
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(OVERLAPS) == []


# Without a mouse, without script, on paper.


def test_without_script_everything_is_there_and_nothing_pretends_to_sort(
    show: Callable[..., Any], files: dict[str, Path]
) -> None:
    page = show(files["sample"], script=False)
    assert page.locator("button").count() == 0
    assert page.locator("thead th").first.is_visible()
    page.locator("#gained-1 summary").click()
    assert page.locator("#gained-1 .trace-id").first.is_visible()


def test_a_trace_id_can_be_copied(show: Callable[..., Any], files: dict[str, Path]) -> None:
    page = show(files["sample"])
    page.locator("#gained-1 summary").click()
    button = page.locator("#gained-1 .copy").first
    button.click()
    page.wait_for_function("(name) => name.textContent !== 'Copy'", arg=button.element_handle())
    wanted = sample_comparison().flips.gained[0].baseline.trace_id
    assert page.evaluate("getSelection().toString()") == wanted


def test_a_link_to_a_dossier_opens_it(show: Callable[..., Any], files: dict[str, Path]) -> None:
    page = show(files["sample"])
    assert not page.locator("#lost-1 .dossier").is_visible()
    page.evaluate("location.hash = '#lost-1'")
    page.locator("#lost-1 .dossier").wait_for(state="visible")


def test_paper_shows_the_dossiers_and_no_contents(
    show: Callable[..., Any], files: dict[str, Path]
) -> None:
    page = show(files["sample"], scheme="dark")
    page.set_viewport_size({"width": 700, "height": 900})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#gained-1 .dossier").is_visible()
    assert not page.locator(".contents").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
