"""Values that JSON in UTF-8 cannot say, kept to the last bit: NaN, lone surrogates.

Such a value is stored twice: cleaned, to be read and searched by anybody, and exact, as
Python's own JSON in an encoding that has room for surrogates.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from evaltrace.errors import StoreFailure
from evaltrace.untrusted import clean, one_line

T = TypeVar("T")

_LARGEST = 10**4000
"""CPython refuses to write longer integers as digits."""


def to_exact(value: Any, kind: type[T]) -> tuple[bytes, T]:
    """Encode a value; also give it as it will be read back. Raises StoreFailure if it cannot be.

    What is no JSON at all (a path, an exception) becomes its text.
    """
    try:
        plain = _tamed_integers(msgspec.to_builtins(value, enc_hook=str))
        text = json.dumps(plain, ensure_ascii=False, default=str)
        encoded = text.encode("utf-8", "surrogatepass")
        return encoded, from_exact(encoded, kind)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = one_line(str(error), 200)
        raise StoreFailure(f"A {kind.__name__.lower()} that cannot be stored ({reason})") from None


def from_exact(encoded: bytes, kind: type[T]) -> T:
    """Decode what `to_exact` made; raises ValueError for anything else."""
    return msgspec.convert(json.loads(encoded.decode("utf-8", "surrogatepass")), kind)


def to_clean_json(value: Any) -> str:
    """Write a value as JSON that every reader takes: no surrogates, null for NaN."""
    return json.dumps(_cleaned(msgspec.to_builtins(value, enc_hook=str)), ensure_ascii=False)


def _tamed_integers(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return hex(value)
    if isinstance(value, list):
        return [_tamed_integers(item) for item in value]
    if isinstance(value, dict):
        return {key: _tamed_integers(item) for key, item in value.items()}
    return value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    return value


def to_json(value: Any) -> bytes:
    """Encode a trace, an event or a hit as JSON that everybody reads: U+FFFD for surrogates."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return to_clean_json(value).encode()
