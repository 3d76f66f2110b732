"""JSON within texts: its strings are rewritten one by one, and everything else stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

Rewrite = Callable[[str, str, int], str]
"""Gives a text back without its secrets, given the name it stands behind and its offset."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_BRACE = re.compile("[{}]")
_LEAST = 2
_NAMING = ("name", "key")
_AHEAD, _STRINGS_AHEAD = 600, 8
"""Characters and strings behind a value in which its name may come."""
_FLAG = re.compile(r"--?[A-Za-z][\w-]{0,60}")


def is_document(text: str) -> bool:
    """Tell whether a text is a JSON object or array as a whole."""
    body = text.strip()
    if len(body) < _LEAST or body[0] + body[-1] not in ("{}", "[]"):
        return False
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def rewrite_document(text: str, rewrite: Rewrite) -> str:
    """Rewrite the strings of a JSON document; keys name the strings behind them."""
    parts: list[str] = []
    place = 0
    names = Names()
    for match in _STRING.finditer(text):
        is_key = _next_mark(text, match.end()) == ":"
        between = text[place : match.start()]
        raw, start = match[0], match.start()
        value = json.loads(raw, strict=False) if "\\" in raw else raw[1:-1]
        name = names.of_key(value, between) if is_key else names.of(value, between)
        if not is_key and names.is_unnamed(between):
            name = _name_behind(text, match.end()) or name
        changed = rewrite(value, name, start)
        written = raw if changed == value else json.dumps(changed, ensure_ascii=raw.isascii())
        parts += [between, written]
        place = match.end()
    return "".join([*parts, text[place:]])


class Names:
    """What names the next string: the key before it, the flag before it, the `name` beside it.

    What stands under `value` with no `name` beside it has that of the object that it stands in.
    """

    def __init__(self) -> None:
        self.key = ""
        self.before = ""
        self.beside = ""
        self._around: list[tuple[str, str]] = []

    def of_key(self, text: str, between: str) -> str:
        """Remember a key; it stands behind no name itself."""
        self._enter(between)
        self.key = text
        return ""

    def of(self, text: str, between: str) -> str:
        """Give the name of a string that is no key, and remember it for the next."""
        self._enter(between)
        if ":" in between:
            outer = self._around[-1][0] if self._around else ""
            name = (self.beside or outer or self.key) if self.key == "value" else self.key
        else:
            name = self.before if _FLAG.fullmatch(self.before) else self.key
        if self.key in _NAMING and ":" in between:
            self.beside = text
        self.before = text
        return name

    def is_unnamed(self, between: str) -> bool:
        """Tell whether the last string stood under `value` without a `name` before it."""
        return self.key == "value" and ":" in between and not self.beside

    def _enter(self, between: str) -> None:
        """Enter and leave the objects that begin and end before a string."""
        for mark in _BRACE.findall(between):
            if mark == "{":
                self._around.append((self.key, self.beside))
                self.key = self.beside = ""
            elif mark == "}" and self._around:
                self.key, self.beside = self._around.pop()


def _name_behind(text: str, place: int) -> str:
    """Find the `name` of a value behind it, among the next few strings of the same object."""
    depth, key = 0, ""
    for match in islice(_STRING.finditer(text, place, place + _AHEAD), _STRINGS_AHEAD):
        between = text[place : match.start()]
        for mark in _BRACE.findall(between):
            depth += 1 if mark == "{" else -1
            if depth < 0:
                return ""
        if _next_mark(text, match.end()) == ":":
            key = match[0][1:-1] if depth == 0 else ""
        elif key in _NAMING and ":" in between:
            return match[0][1:-1]
        place = match.end()
    return ""


def _next_mark(text: str, place: int) -> str:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return text[place : place + 1]


def segments(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a text into lines that are JSON documents and the texts between; True marks JSON."""
    if is_document(text):
        yield text, True
        return
    if '{"' not in text and '["' not in text:
        yield text, False
        return
    held: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.lstrip()[:1] in ("{", "[") and is_document(line):
            if held:
                yield "".join(held), False
                held = []
            yield line, True
        else:
            held.append(line)
    if held:
        yield "".join(held), False
