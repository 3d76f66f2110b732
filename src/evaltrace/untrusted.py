"""Text and values that come from outside: cleaned, bounded, safe to print.

Nothing here knows where the text came from. Lengths are in characters.
"""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import islice
from typing import Any

MAX_DEPTH = 32
"""Nesting of a kept JSON value; jq and most readers stop at a few hundred."""

MAX_ITEMS = 2000
"""Items kept of one list or object."""

_KEY_LIMIT = 200
_NOTE_WIDTH = 50

_SURROGATE = re.compile("[\ud800-\udfff]")
# A string that nobody ends must not swallow the lines after it. That another escape ends it, as
# on a terminal, also keeps the time linear: nothing is looked through twice.
_CONTROL = re.compile(
    "(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\\\|\x9c|(?=[\x1b\n])|$)"  # OSC: title, link
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*+(?:\x1b\\\\|\x9c|(?=[\x1b\n])|$)"  # DCS, APC
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colour, cursor
    "|\x1b[ -/]*[0-~]"  # other escapes
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"  # control, bidi
)
# JSON escapes what is below a space itself.
_RAW = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CUT_SEQUENCE = re.compile("\x1b\\[?[0-?]*[ -/]*$")


def clean(text: str) -> str:
    """Replace lone surrogates by U+FFFD, so that the text can be encoded as UTF-8."""
    if not text.isascii():
        try:
            text.encode()  # several times faster than a search for what hinders it
        except UnicodeEncodeError:
            return _SURROGATE.sub("\ufffd", text)
    return text


def printable(text: str) -> str:
    """Clean a text of terminal control sequences and characters; keep tabs and line feeds."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", clean(text).replace("\r\n", "\n"))


def printable_json(text: str | bytes) -> str:
    """Escape in JSON what it may hold as it is, and a terminal would act on; the value stays."""
    given = text.decode() if isinstance(text, bytes) else text
    return _RAW.sub(lambda match: f"\\u{ord(match[0]):04x}", given)


def one_line(text: str, width: int) -> str:
    """Give the text as one printable line of at most `width` characters."""
    head = text[: width * 8]
    cut = len(head) < len(text)
    line = " ".join(printable(_CUT_SEQUENCE.sub("", head) if cut else head).split())
    if len(line) <= width and not cut:
        return line
    return (line[: max(width - 1, 0)] + "…")[:width]


def digest(data: bytes) -> str:
    """Name content by its SHA-256, as `sha256:<hex>`."""
    return "sha256:" + sha256(data).hexdigest()


def shorten(text: str, limit: int) -> str:
    """Keep the head and the tail of a text within `limit`, and say in between what was cut.

    The note counts too, where there is room for it.
    """
    if len(text) <= limit:
        return text
    half = max(limit - _NOTE_WIDTH, 0) // 2 or limit // 2
    cut = len(text) - 2 * half
    return f"{text[:half]}\n[... {cut} characters cut ...]\n{text[len(text) - half :]}"


def is_bounded(value: Any, limit: int, depth: int = MAX_DEPTH) -> bool:
    """Tell whether a JSON value is clean and within bounds: `bounded` would change nothing."""
    if isinstance(value, dict):
        return depth > 0 and len(value) <= MAX_ITEMS and _has_bounded(value, limit, depth - 1)
    if isinstance(value, str):
        return len(value) <= limit and (value.isascii() or clean(value) is value)
    if isinstance(value, list):
        if depth == 0 or len(value) > MAX_ITEMS:
            return False
        return all(is_bounded(item, limit, depth - 1) for item in value)
    return not isinstance(value, float) or value - value == 0


def _has_bounded(value: dict[Any, Any], limit: int, depth: int) -> bool:
    for key, item in value.items():
        if key.__class__ is not str or len(key) > _KEY_LIMIT:
            return False
        if not key.isascii() and clean(key) is not key:
            return False
        if item.__class__ is str:  # most are: without a call for each
            if len(item) > limit or not (item.isascii() or clean(item) is item):
                return False
        elif not is_bounded(item, limit, depth):
            return False
    return True


def bounded(value: Any, limit: int, depth: int = MAX_DEPTH) -> Any:
    """Copy a JSON value with strings, nesting and item counts bounded and cleaned.

    What was left out is noted where it stood.
    """
    if isinstance(value, str):
        return shorten(clean(value), limit)
    if isinstance(value, dict):
        return _bounded_object(value, limit, depth)
    if isinstance(value, list):
        if depth == 0:
            return f"[list of {len(value)} items, nested too deeply]"
        kept = [bounded(item, limit, depth - 1) for item in value[:MAX_ITEMS]]
        cut = len(value) - len(kept)
        return [*kept, f"[... {cut} items cut ...]"] if cut else kept
    return None if isinstance(value, float) and value - value != 0 else value


def _bounded_object(value: dict[Any, Any], limit: int, depth: int) -> Any:
    if depth == 0:
        return f"[object of {len(value)} keys, nested too deeply]"
    kept = {
        shorten(clean(str(key)), _KEY_LIMIT): bounded(item, limit, depth - 1)
        for key, item in islice(value.items(), MAX_ITEMS)
    }
    cut = len(value) - len(kept)
    return {**kept, "[...]": f"[... {cut} keys cut ...]"} if cut else kept
