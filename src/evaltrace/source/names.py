"""Names of files: joined, and spelled so that they can be shown."""

from __future__ import annotations

import re

from evaltrace.untrusted import printable

_STRAY_BYTE = re.compile("[\udc80-\udcff]")


def path_in(folder: str, name: str) -> str:
    """Give the path of a name in a folder of a source, whose top is the empty path."""
    return f"{folder}/{name}" if folder else name


def spelled(name: str) -> str:
    """Spell out the bytes of a file's name that are no UTF-8, as `\\xff`: names stay apart."""
    if name.isascii():
        return name
    return _STRAY_BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)


def readable(text: str) -> str:
    """Give a name, or a text that holds names, as one printable line."""
    if text.isascii() and text.isprintable():
        return text
    return printable(spelled(text)).replace("\n", "\\n").replace("\t", "\\t")
