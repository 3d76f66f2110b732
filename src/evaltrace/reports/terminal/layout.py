"""Blocks of labelled text, laid out for a terminal of a given width."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.quantities import counted
from evaltrace.reports.columns import fill
from evaltrace.untrusted import clean, printable

MIN_WIDTH = 40
"""Columns below which no layout is tried."""

COLOURS = {"pass": 32, "partial": 33, "fail": 31, "error": 35, "cancelled": 35, "running": 36}
"""Terminal colours by status."""

TOKEN_KINDS = {
    "input": "input",
    "output": "output",
    "cache_creation": "cache write",
    "cache_read": "cache read",
}
"""What the parts of the tokens are called."""

_LABEL = 13

Block = tuple[str, list[list[str]], int]
"""A label, paragraphs of items that stay together where they fit, and the most lines shown."""


def lay_out(block: Block, width: int) -> list[str]:
    """Give the lines of a block, its label before the first."""
    label, paragraphs, limit = block
    room = max(width, MIN_WIDTH) - _LABEL
    texts = [
        text for items in paragraphs for text in fill([_safe(item) for item in items], room, " · ")
    ]
    if len(texts) > limit:
        texts[limit:] = [f"... {counted(len(texts) - limit, 'more line')}"]
    labels = [label] + [""] * len(texts)
    return [f"{name:<{_LABEL}}{text}".rstrip() for name, text in zip(labels, texts, strict=False)]


def _safe(text: str) -> str:
    return clean(printable(text)).replace("\n", " ").replace("\t", " ").rstrip()


def rest_of(more: Sequence[object], word: str) -> list[str]:
    """Count what is not shown; nothing for nothing."""
    return [f"... {counted(len(more), f'more {word}')}"] if more else []
