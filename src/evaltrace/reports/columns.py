"""Text measured in terminal columns: a CJK character or an emoji takes two.

Where terminals disagree (joined emoji), the larger measure is taken, so that a line
is never wider than it was meant to be.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from evaltrace.untrusted import clean, printable

_INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_PAIR = "\ue000\ue001"


def columns(text: str) -> int:
    """Count the terminal columns of one line of text."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


@lru_cache(maxsize=4096)
def _columns_of(character: str) -> int:
    if character == "\ufe0f":  # makes the character before it wide
        return 1
    if character in _INVISIBLE or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def line_of(text: str) -> str:
    """Make one printable line of a text from outside."""
    return " ".join(clean(printable(text)).split())


def lines_of(text: str) -> list[str]:
    """Split a text from outside into printable lines, without blank ones at either end."""
    return clean(printable(text)).expandtabs(4).strip("\n").split("\n")


def head(text: str, width: int) -> str:
    """Keep what fits `width` columns from the start."""
    used = 0
    for index, character in enumerate(text):
        used += _columns_of(character)
        if used > width:
            return text[:index]
    return text


def shorten_middle(text: str, width: int) -> str:
    """Cut one line in its middle to `width` columns: names differ at both ends."""
    if columns(text) <= width:
        return text
    start = head(text, width // 2)
    end = head(text[::-1], width - 1 - columns(start))[::-1]
    return f"{start}…{end}"


def fill(items: Iterable[str], width: int, separator: str) -> list[str]:
    """Put as many items on each line as fit; an item is broken only when it has to be."""
    lines: list[str] = []
    for item in items:
        joined = f"{lines[-1]}{separator}{item}" if lines else item
        if lines and columns(joined) <= width:
            lines[-1] = joined
        elif columns(item) <= width:
            lines.append(item)
        elif separator == " ":
            lines.extend(_broken(item, width))
        else:
            lines.extend(fill(item.split(), width, " "))
    return lines


def _broken(word: str, width: int) -> Iterator[str]:
    while word:
        part = head(word, width) or word[:1]
        yield part
        word = word[len(part) :]


class Widened:
    """Lets a library that counts characters lay out text that is measured in columns.

    `hide` replaces each wide character by two narrow ones, `show` puts them back in order.
    """

    def __init__(self) -> None:
        self._hidden: list[str] = []

    def hide(self, text: str) -> str:
        """Make a text whose length is its width."""
        return "".join(map(self._narrow, unicodedata.normalize("NFC", text)))

    def _narrow(self, character: str) -> str:
        if character in _PAIR or _columns_of(character) == 0:
            return ""
        if _columns_of(character) == 1:
            return character
        self._hidden.append(character)
        return _PAIR

    def show(self, text: str) -> str:
        """Put the wide characters back into the text that was laid out."""
        hidden = iter(self._hidden)
        return re.sub(_PAIR, lambda _: next(hidden), text)
