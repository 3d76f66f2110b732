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

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MAX_MENDS = 8


class Malformed(ValueError):
    """The text is not JSON at all, or nested too deeply to read; `code` says which."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


def decode(data: bytes | memoryview, decoder: msgspec.json.Decoder[T]) -> tuple[T, str | None]:
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


def _decode_patiently(data: bytes, decoder: msgspec.json.Decoder[T]) -> tuple[T, str]:
    mended = []
    body = data.removeprefix(b"\xef\xbb\xbf")
    if body != data:
        mended.append("byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        mended.append("invalid UTF-8")
        text = body.decode("utf-8", "replace")
    value = _loads(text, mended)
    converted, dropped = _convert(value, decoder)
    return converted, ", ".join([*mended, *dropped]) or "unusual spelling"


def _loads(text: str, mended: list[str]) -> Any:
    def constant(name: str) -> None:
        mended.append(name)

    def parse(text: str) -> Any:
        # strict=False: raw control characters within strings. parse_int: CPython refuses
        # to convert more than 4,300 digits.
        return json.loads(text, strict=False, parse_constant=constant, parse_int=_integer)

    try:
        value = parse(text)
    except ValueError as error:
        if "\x1b" not in text:
            raise Malformed("not_json", str(error)) from None
        try:
            value = parse(printable(text))
        except ValueError:
            raise Malformed("not_json", str(error)) from None
        mended.append("terminal escapes")
    tidy, lone = _tidied(value)
    if lone:
        mended.append("lone surrogate")
    return tidy


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= 100 else None


def _tidied(value: Any) -> tuple[Any, bool]:
    """Replace lone surrogates and infinities below `value`; say whether one was found."""
    if isinstance(value, str):
        tidy = clean(value)
        return tidy, tidy != value
    if isinstance(value, float):
        return (value, False) if value - value == 0 else (None, False)
    if isinstance(value, list):
        pairs = [_tidied(item) for item in value]
        return [item for item, _ in pairs], any(found for _, found in pairs)
    if isinstance(value, dict):
        found = False
        tidy_dict = {}
        for key, item in value.items():
            tidy_item, item_found = _tidied(item)
            tidy_dict[clean(key)] = tidy_item
            found = found or item_found or clean(key) != key
        return tidy_dict, found
    return value, False


def _convert(value: Any, decoder: msgspec.json.Decoder[T]) -> tuple[T, list[str]]:
    """Fit a value into the decoder's type, leaving out fields of an unexpected type."""
    dropped: list[str] = []
    for _ in range(_MAX_MENDS):
        try:
            return decoder.decode(msgspec.json.encode(value)), dropped
        except msgspec.ValidationError as error:
            path = str(error).rpartition("`$")[2].rstrip("`")
            if not path or not _drop(value, path):
                raise Malformed("wrong_shape", str(error)) from None
            dropped.append(f"unexpected type at {path.lstrip('.')}")
    raise Malformed("wrong_shape", "too many fields of an unexpected type")


def _drop(value: Any, path: str) -> bool:
    """Delete what `path` (as msgspec writes it) points to; False when it cannot."""
    steps: list[str | int] = []
    for name, index in _STEP.findall(path):
        if index == "...":
            break
        steps.append(name or int(index))
    if not steps:
        return False
    try:
        for step in steps[:-1]:
            value = value[step]
        del value[steps[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True
