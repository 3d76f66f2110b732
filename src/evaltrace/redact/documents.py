"""JSON within texts: its strings are rewritten one by one, and everything else stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import msgspec

Rewrite = Callable[[str, str, int], str]
"""Gives a text back without its secrets, given the name it stands behind and its offset."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_LEAST = 2
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
        changed = rewrite(value, name, start)
        written = raw if changed == value else json.dumps(changed, ensure_ascii=raw.isascii())
        parts += [between, written]
        place = match.end()
    return "".join([*parts, text[place:]])


class Names:
    """What names the next string: the key before it, the flag before it, the `name` beside it."""

    def __init__(self) -> None:
        self.key = ""
        self.before = ""
        self.beside = ""

    def of_key(self, text: str, between: str) -> str:
        """Remember a key; it stands behind no name itself."""
        if "{" in between or "}" in between:
            self.beside = ""
        self.key = text
        return ""

    def of(self, text: str, between: str) -> str:
        """Give the name of a string that is no key, and remember it for the next."""
        if ":" in between:
            name = self.beside if self.key == "value" and self.beside else self.key
        else:
            name = self.before if _FLAG.fullmatch(self.before) else self.key
        if self.key in ("name", "key") and ":" in between:
            self.beside = text
        self.before = text
        return name


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
