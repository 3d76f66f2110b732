"""Text and values that come from outside: cleaned, bounded, safe to print.

Nothing here knows where the text came from. Lengths are in characters.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

MAX_DEPTH = 32
"""Nesting of a kept JSON value; jq and most readers stop at a few hundred."""

MAX_ITEMS = 2000
"""Items kept of one list or object."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(
    "\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\|$)"  # OSC: title, clipboard, hyperlink
    "|\x1b[PX^_][^\x1b]*(?:\x1b\\\\|$)"  # DCS, SOS, PM, APC strings
    "|[\x1b\x9b]\\[?[0-?]*[ -/]*[@-~]"  # CSI: colour, cursor
    "|\x1b[ -/]*[0-~]"  # other escapes
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"  # control, bidi
)


def clean(text: str) -> str:
    """Replace lone surrogates by U+FFFD, so that the text can be encoded as UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def printable(text: str) -> str:
    """Strip terminal control sequences and characters; keep tabs and line feeds."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def one_line(text: str, width: int) -> str:
    """Give the text as one printable line of at most `width` characters."""
    line = " ".join(printable(text[: width * 8]).split())
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def digest(data: bytes) -> str:
    """Name content by its SHA-256, as `sha256:<hex>`."""
    return "sha256:" + sha256(data).hexdigest()


def shorten(text: str, limit: int) -> str:
    """Keep the head and the tail of a text, and say in between how much was cut."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"


def bounded(value: Any, limit: int, depth: int = MAX_DEPTH) -> Any:
    """Copy a JSON value with strings, nesting and item counts bounded and cleaned."""
    if isinstance(value, str):
        return shorten(clean(value), limit)
    if isinstance(value, dict):
        if depth == 0:
            return f"[object of {len(value)} keys, nested too deeply]"
        return {
            shorten(clean(str(key)), 200): bounded(item, limit, depth - 1)
            for key, item in list(value.items())[:MAX_ITEMS]
        }
    if isinstance(value, list):
        if depth == 0:
            return f"[list of {len(value)} items, nested too deeply]"
        return [bounded(item, limit, depth - 1) for item in value[:MAX_ITEMS]]
    return None if isinstance(value, float) and value - value != 0 else value
