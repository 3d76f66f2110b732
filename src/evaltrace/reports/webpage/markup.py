"""Markup as strings that know they are markup: everything else is escaped when it joins."""

from __future__ import annotations

import re
from html import escape

from evaltrace.reports.columns import columns, head
from evaltrace.untrusted import one_line

MARGIN = 4.0
"""Percent of a drawing's width kept free at either side, so that marks at the edge fit."""

CUT = "…"


class Markup(str):
    """Markup whose text is already escaped; templates take it as it stands."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


_FIGURE = re.compile(r"\S+ %|\bp [=<] [\d.]+")


def unbroken(words: str) -> Markup:
    """Keep a number and its percent sign, and a p and its value, on one line."""
    return Markup(
        _FIGURE.sub(lambda found: f'<span class="unbroken">{found[0]}</span>', escape(words))
    )


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Write one element; `class_` is class, other underscores are hyphens, None is left out.

    Children that are no markup are text: cleaned and escaped.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(c if isinstance(c, Markup) else escape(one_line(c, 1000)) for c in children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def across(fraction: float) -> str:
    """Place a fraction (0 to 1) of an axis across a drawing, within its margins, in percent."""
    return f"{MARGIN + fraction * (100 - 2 * MARGIN):.2f}%"


def horizontal(x1: str, x2: str, y: float, class_: str) -> Markup:
    """Draw a line between two places from `across`, at a height in pixels."""
    return element("line", x1=x1, y1=y, x2=x2, y2=y, class_=class_)


def vertical(x: str, y1: float, y2: float, class_: str) -> Markup:
    """Draw a line between two heights in pixels, at a place from `across`."""
    return element("line", x1=x, y1=y1, x2=x, y2=y2, class_=class_)


def label(text: str, x: str, y: float, class_: str, title: str | None = None) -> Markup:
    """Write a text with its baseline at `y`; the class sets anchor, size and colour."""
    tip = [element("title", title)] if title is not None and title != text else []
    return element("text", *tip, text, x=x, y=y, class_=class_)


_SHAPES = {
    "up": "M0 -6.5L6 4.5H-6Z",
    "down": "M0 6.5L6 -4.5H-6Z",
    "diamond": "M0 -6L6 0L0 6L-6 0Z",
    "circle": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z",
    "square": "M-5 -5H5V5H-5Z",
    "left": "M-6 0L3 -5V5Z",
    "right": "M6 0L-3 -5V5Z",
}


def shape(kind: str, x: str, y: float, class_: str, scale: float = 1.0) -> Markup:
    """Draw a mark centred at a place: its size does not change with the drawing's width."""
    size = None if scale == 1.0 else f"scale({scale:.2f})"
    path = element("path", d=_SHAPES[kind], class_=class_, transform=size)
    return element("svg", path, x=x, y=y, class_="at")


def drawing(name: str, title: str, description: str, height: float, *marks: Markup) -> Markup:
    """Wrap marks as a picture with a title and a description for those who cannot see it.

    Widths are in percent, heights and text in pixels: a drawing fits any width with its
    text at full size.
    """
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *marks,
        class_="drawing",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        width="100%",
        height=height,
    )


def cut_middle(text: str, width: int) -> str:
    """Shorten a name to a display width; its tail is kept, as names often differ there."""
    name = one_line(text, 1000)
    if columns(name) <= width:
        return name
    start = head(name, (width - 1) // 2)
    tail = head(name[::-1], width - 1 - columns(start))[::-1]
    return f"{start}{CUT}{tail}"
