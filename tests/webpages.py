"""What the tests of the web page share: a comparison of many tasks, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from msgspec.structs import replace

from comparisons import sample_comparison
from evaltrace.comparison import Comparison, Flips

VOID = {"meta", "br", "hr", "img", "input", "link"}


def many_tasks(count: int = 500, name: str = "repository__issue-") -> Comparison:
    """The sample with its tasks repeated under other names; every third one is a gain."""
    sample = sample_comparison()
    rows, gained = [], []
    for number in range(count):
        row = sample.tasks[number % len(sample.tasks)]
        task = f"{name}{number:04}"
        rows.append(replace(row, task=task))
        if number % 3 == 0:
            gained.append(replace(sample.flips.gained[0], task=task))
    flips = Flips(
        gained=gained, lost=[], unstable=[], unchanged=0, chance=None, statement="Many moved."
    )
    return replace(sample, tasks=rows, flips=flips)


class Page(HTMLParser):
    """The elements and texts of a page, and whatever is not balanced."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        self.wrong += [f"never closed: {tag}" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.wrong.append(f"attribute twice: {tag} {attrs}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if "svg" not in self.open and tag not in VOID:
            self.wrong.append(f"closes itself outside of a figure: {tag}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"closed out of order: {tag} at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [str(found[attribute]) for _, found in self.elements if attribute in found]

    def shown(self) -> str:
        """The text of the page without style and script."""
        return "".join(text for tag, text in self.texts if tag not in ("style", "script"))

    def tagged(self, tag: str) -> list[dict[str, Any]]:
        """The attributes of every element of a tag."""
        return [found for name, found in self.elements if name == tag]
