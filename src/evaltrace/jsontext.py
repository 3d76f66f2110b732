"""JSON as programs really write it: a fast typed parser, and a patient one behind it.

The fast parser refuses byte order marks, `NaN`, lone surrogates and invalid UTF-8,
although the line around them is fine. Such text is read again with the standard
library before anything is called malformed, so that a good line is never lost.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from evaltrace.untrusted import clean, printable

T = TypeVar("T")

Text = bytes | bytearray | memoryview
"""JSON in UTF-8."""

_PATH = re.compile(r"`\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MAX_DIGITS = 100
_MAX_MENDS = 64


_NO_OBJECT = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:[\x00-\x1a\x1c-\x20\x7f]"
    rb"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colour, cursor
    rb"|\x1b\][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\))*+"  # OSC: title, link
    # What cleaning never takes away: printable ASCII, and all but C1, U+20xx and the mark.
    rb"(?:[!-z|}~\x80-\xc1\xc3-\xe1\xe3-\xee\xf0-\xff]"
    rb"|\xc2[^\x80-\x9f]|\xe2[^\x80\x81]|\xef[^\xbb])"
)
_BRACE = 0x7B


class Malformed(ValueError):
    """The text is not JSON at all, or nested too deeply to read; `code` says which."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


def decode(data: Text, decoder: msgspec.json.Decoder[T]) -> tuple[T, str | None]:
    """Decode one JSON document; also say what had to be mended, if anything.

    Raises Malformed when neither parser can read it.
    """
    try:
        try:
            return decoder.decode(data), None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _decode_patiently(bytes(data), decoder)
    except RecursionError:
        raise Malformed("too_deep", "nested too deeply") from None


def begins_object(line: bytes | memoryview) -> bool:
    """Tell by its first bytes whether a line may be a JSON object; False is certain."""
    return line[0] == _BRACE or _NO_OBJECT.match(line) is None


def _decode_patiently(data: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[T, str]:
    mended: dict[str, None] = {}
    body = data.removeprefix(b"\xef\xbb\xbf")
    if body != data:
        mended["byte order mark"] = None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        mended["invalid UTF-8"] = None
        text = body.decode("utf-8", "replace")
    value = _loads(text, mended)
    return _convert(value, decoder, mended), ", ".join(mended) or "unusual spelling"


def _loads(text: str, mended: dict[str, None]) -> Any:
    def constant(name: str) -> None:
        mended[name] = None

    def integer(digits: str) -> int | None:
        # CPython refuses to convert more than 4,300 digits, and nothing counts that far.
        if len(digits) <= _MAX_DIGITS:
            return int(digits)
        mended["number out of range"] = None
        return None

    def parse(text: str) -> Any:
        # strict=False: raw control characters within strings.
        return json.loads(text, strict=False, parse_constant=constant, parse_int=integer)

    try:
        value = parse(text)
    except ValueError as error:
        if "\x1b" not in text:
            raise Malformed("not_json", str(error)) from None
        try:
            value = parse(printable(text))
        except ValueError:
            raise Malformed("not_json", str(error)) from None
        mended["terminal escapes"] = None
    return _tidied(value, mended)


def _tidied(value: Any, mended: dict[str, None]) -> Any:
    """Replace lone surrogates, and numbers that are not finite, below `value`."""
    if isinstance(value, str):
        tidy = clean(value)
        if tidy != value:
            mended["lone surrogate"] = None
        return tidy
    if isinstance(value, float) and value - value != 0:
        mended["number out of range"] = None
        return None
    # In place, and without comprehensions: these would need two frames for each level.
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _tidied(item, mended)
    elif isinstance(value, dict):
        for key, item in list(value.items()):
            value[key] = _tidied(item, mended)
            if clean(key) != key:
                value[_tidied(key, mended)] = value.pop(key)
    return value


def _convert(value: Any, decoder: msgspec.json.Decoder[T], mended: dict[str, None]) -> T:
    """Fit a value into the decoder's type, leaving out what has an unexpected type."""
    for _ in range(_MAX_MENDS):
        try:
            return decoder.decode(msgspec.json.encode(value))
        except msgspec.ValidationError as error:
            dropped = _drop(value, str(error))
            if not dropped:
                raise Malformed("wrong_shape", str(error)) from None
            mended[f"unexpected type at {dropped}"] = None
    raise Malformed("wrong_shape", f"more than {_MAX_MENDS} fields of an unexpected type")


def _drop(value: Any, error: str) -> str | None:
    """Delete what msgspec's message points to, and name it; None when it cannot be found.

    Values of a dictionary are all written `[...]`: then the whole dictionary goes.
    """
    match = _PATH.search(error)
    path = match.group(1).partition("[...]")[0] if match else ""
    steps = [name or int(index) for name, index in _STEP.findall(path)]
    if not steps:
        return None
    try:
        for step in steps[:-1]:
            value = value[step]
        del value[steps[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    return path.lstrip(".")
