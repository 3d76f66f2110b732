"""Text and values that come from outside: cleaned, bounded, safe to print.

Nothing here knows where the text came from. Lengths are in characters.
"""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

MAX_DEPTH = 32
"""Nesting of a kept JSON value; jq and most readers stop at a few hundred."""

MAX_ITEMS = 2000
"""Items kept of one list or object."""

_KEY_LIMIT = 200
_NOTE_WIDTH = 50

REACH = 4096
"""Characters that are given up at most to cut a text where no word stands."""

BESIDE = 80
"""Characters before a cut that may name what stands behind it."""

_TOKEN = 512
"""Characters that few tokens have."""
_FEW = 32
_IN_TOKENS = 3
# What to cut at, best first, and what part of a text may be given up for it. The third stands in
# no token; the last one, of number _IN_TOKENS, in some.
_BREAKS = (
    (re.compile("\n"), 4),
    (re.compile("[ \t-\r]"), 2),
    (re.compile(r"[^A-Za-z0-9_.~%+/=:@\\$&*!?#^-]"), 2),
    (re.compile(r"[^A-Za-z0-9_\\-]"), 2),
)
_NAMES = re.compile(
    "pass|secret|token|key|auth|cookie|bearer|cred|pwd|log.?in|curl|wget|--?p |-u ", re.I
)
_GOES_ON = re.compile(r"[:=>,\[({|\\]\Z")
_BROKEN_WORD = re.compile(r"(?=[^\d\s]{0,80}\d)[\w./+=-]{8,80}\Z")
_WIDE = 60
"""Columns from which on a line may have been broken for its length."""

_SURROGATE = re.compile("[\ud800-\udfff]")
# A string that nobody ends must not swallow the lines after it. That another escape ends it, as
# on a terminal, also keeps the time linear: nothing is looked through twice.
_CONTROL = re.compile(
    "(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\\\|\x9c|(?=[\x1b\n])|$)"  # OSC: title, link
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*+(?:\x1b\\\\|\x9c|(?=[\x1b\n])|$)"  # DCS, APC
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colour, cursor
    "|\x1b[ -/]*[0-~]"  # other escapes
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"  # control, bidi
)
# JSON escapes what is below a space itself.
_RAW = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# The same in UTF-8, by its first byte: one pattern for all of it takes ten times as long.
_RAW_UTF8 = {
    b"\x7f": re.compile(rb"\x7f"),
    b"\xc2": re.compile(rb"\xc2[\x80-\x9f]"),
    b"\xd8": re.compile(rb"\xd8\x9c"),
    b"\xe2": re.compile(rb"\xe2(?:\x80[\x8e\x8f\xa8-\xae]|\x81[\xa6-\xa9])"),
}
_BEGUN = re.compile(rb"(?:[\xc2\xd8]|\xe2[\x80\x81]?)\Z")
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


class PrintableJson:
    """An output for JSON in UTF-8 that escapes on the way what `printable_json` does.

    It comes in blocks that may end anywhere; `finish` writes what was held of a character.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._held = b""

    def write(self, block: bytes | bytearray | memoryview) -> int:
        """Write a block, but for a last character that it may not hold as a whole."""
        text = bytes(block)
        if self._held or not text.isascii() or b"\x7f" in text:
            text = self._held + text
            begun = _BEGUN.search(text, max(len(text) - 2, 0))
            self._held = begun[0] if begun else b""
            text = text[: begun.start()] if begun else text
            for first, pattern in _RAW_UTF8.items():
                if first in text:
                    text = pattern.sub(_escaped, text)
        self._out.write(text)
        return len(block)

    def flush(self) -> None:
        """Pass on what was written."""
        self._out.flush()

    def finish(self) -> None:
        """End the output, which stays open."""
        self._out.write(self._held)
        self._held = b""
        self._out.flush()


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match[0].decode())


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

    The note counts too, where there is room for it. No word is cut in two if that can be helped:
    half a secret is no longer known as one.
    """
    if len(text) <= limit:
        return text
    half = max(limit - _NOTE_WIDTH, 0) // 2 or limit // 2
    end, start = head_end(text, half), tail_start(text, len(text) - half)
    return f"{text[:end]}\n[... {start - end} characters cut ...]\n{text[start:]}"


def first_part(text: str, limit: int) -> str:
    """Keep what a text begins with, up to a place between words; nothing says that it was cut."""
    if len(text) <= limit:
        return text
    end = _end_between_words(text, limit, 2 * limit)
    return text[: max(limit - REACH, 0) if end is None else end]


def excerpt(text: str, width: int) -> str:
    """Give the text as one_line, but with whole words only: to be redacted afterwards."""
    head = first_part(text, width * 8)
    line = " ".join(printable(head).split())
    if len(line) <= width and len(head) == len(text):
        return line
    room = max(width - 2, 0)
    end = min(len(line), room) if len(line) <= room else _end_between_words(line, room, 2 * room)
    return f"{line[:end].rstrip()} …".strip()[:width] if end else "…"[:width]


def head_end(text: str, end: int, kept: int | None = None) -> int:
    """Find where to cut a text at `end` or somewhat before: between lines, or else words.

    `kept` is how long the head is, where the text is only the end of it and what follows.
    What has no such place is cut at `end`.
    """
    found = _end_between_words(text, end, end if kept is None else kept)
    return end if found is None else found


def tail_start(text: str, start: int) -> int:
    """Find where the tail of a text begins: at `start` or somewhat behind it, as in head_end.

    Of a word that goes on for too long, as much is left out as may be the rest of a token.
    """
    if start <= 0:
        return 0
    size = len(text) - start
    places = (
        [match.end() for match in pattern.finditer(text, start - 1, start + _reach(size, part))]
        for pattern, part in _BREAKS
    )
    found = _best(text, places)
    return min(start + _TOKEN, len(text)) if found is None else found


def _end_between_words(text: str, end: int, kept: int) -> int | None:
    if end >= len(text):
        return len(text)
    places = (
        [m.start() for m in pattern.finditer(text, max(end - _reach(kept, part), 0), end + 1)][::-1]
        for pattern, part in _BREAKS
    )
    return _best(text, places)


def _reach(size: int, part: int) -> int:
    return min(REACH, size // part)


def _best(text: str, kinds: Iterable[list[int]]) -> int | None:
    """Pick the first place that parts no name and its value, or else the first of all.

    Rather between any two lines than within what may be a line of a key.
    """
    first = None
    for number, places in enumerate(kinds):
        if number == _IN_TOKENS and first is not None:
            break
        for place in places[:_FEW]:
            if _is_apart(text, place):
                return place
        if first is None and places:
            first = places[0]
    return first


def _is_apart(text: str, place: int) -> bool:
    """Tell whether what stands behind a place is surely no value of a name before it."""
    line = text[max(place - BESIDE, 0) : place].rstrip().rpartition("\n")[2]
    if "\n" not in text[max(place - 1, 0) : place + 1]:
        return not _NAMES.search(line)
    if _GOES_ON.search(line) and _NAMES.search(line):
        return False
    return len(line) < _WIDE or not _BROKEN_WORD.search(line)


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
