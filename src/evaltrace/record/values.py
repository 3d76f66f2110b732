"""Any Python value as JSON of bounded size; nothing in here raises because of the value."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping, Sequence, Set, ValuesView
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from os import PathLike, fspath
from typing import Any
from uuid import UUID

import msgspec

from evaltrace.cuts import to_truncation
from evaltrace.trace import Truncation
from evaltrace.untrusted import MAX_DEPTH, MAX_ITEMS, clean, digest, shorten

TEXT_LIMIT = 65_536
"""Characters kept of one text, raw input and output excepted."""

_SHORT = 512
_KEY_LIMIT = 200
_EVENT_CHARACTERS = 2**20
_EVENT_ITEMS = 20_000
_INT_BITS = 63
_MAX_INT_BITS = 4096
_OF_ARRAYS = ("ndim", "size", "tolist", "item")


class Room:
    """The room that one event has; what does not fit is left out and noted in `cuts`.

    Fields in `cuts` are named without their event, such as `data`.
    """

    __slots__ = ("_characters", "_items", "cuts", "field")

    def __init__(self) -> None:
        self.cuts: list[Truncation] = []
        self.field = "data"
        self._characters = _EVENT_CHARACTERS
        self._items = _EVENT_ITEMS

    def text(self, value: str, limit: int = TEXT_LIMIT) -> str:
        """Clean a text and cut it to `limit`, or to what is left of the room."""
        whole = clean(value)
        limit = min(limit, max(self._characters, _KEY_LIMIT))
        kept = shorten(whole, limit)
        self._characters -= len(kept)
        if len(whole) > limit:
            self.cuts.append(to_truncation(self.field, whole, kept, "characters"))
        return kept

    def takes(self, items: int) -> bool:
        """Tell whether a list or object of so many items still fits."""
        self._items -= min(items, MAX_ITEMS) + 1
        return self._items >= 0


def to_plain(value: Any, room: Room, depth: int = MAX_DEPTH) -> Any:
    """Turn a value into JSON: what JSON does not know becomes text, what is endless is cut."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= _SHORT and value.isascii() else room.text(value)
    if kind is int:
        return value if value.bit_length() <= _INT_BITS else _large(value)
    if kind is bool or value is None:
        return value
    if kind is float:
        return value if value - value == 0 else str(value)
    try:
        return _composed(value, room, depth)
    except Exception:
        # Whatever its methods do: an object must not stop the program that records it.
        return f"[{_name_of(value)} that cannot be shown]"


def to_text(value: Any, room: Room, limit: int = TEXT_LIMIT) -> str:
    """Turn a value into bounded text: a text stays, anything else becomes compact JSON."""
    plain = value if type(value) is str else to_plain(value, Room())
    if not isinstance(plain, str):
        plain = msgspec.json.encode(plain).decode()
    return room.text(plain, limit)


def to_raw(value: Any, room: Room, limit: int) -> Any:
    """Turn a raw input into JSON, or into the cut text of that where it is longer than `limit`."""
    if type(value) is str:
        return room.text(value, limit)
    inner = Room()
    inner.field = room.field
    plain = to_plain(value, inner)
    text = plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()
    if len(text) > limit:
        return room.text(text, limit)
    room.cuts += inner.cuts
    return plain


def to_message(error: BaseException) -> str:
    """Give the text of an exception; its type where it has none, or cannot tell it."""
    try:
        text = clean(str(error))
    except Exception:
        text = ""
    return shorten(text, TEXT_LIMIT) or _name_of(error)


def to_number(value: Any) -> float | None:
    """Read a finite number that is 0 or more; None for anything else."""
    if value is None:
        return None
    try:
        if not isinstance(value, int | float | Decimal):
            value = _from_array(value) if _is_array(value) else None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return None
        number = float(value)
    except Exception:  # too large, or an object whose methods fail
        return None
    return number if 0 <= number < float("inf") else None


def to_count(value: Any) -> int | None:
    """Read a whole number that is 0 or more; None for anything else."""
    number = to_number(value)
    return int(number) if number is not None and number == int(number) < 2**63 else None


def _name_of(value: object) -> str:
    return clean(type(value).__name__)[:_KEY_LIMIT]


def _large(value: int) -> str:
    # The decimals of a huge number would take minutes; JSON readers round them anyway.
    return str(value) if value.bit_length() <= _MAX_INT_BITS else f"[{value.bit_length()}-bit int]"


def _composed(value: Any, room: Room, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _object(value.items(), len(value), room, depth)
    if isinstance(value, list | tuple):
        return _array(value, room, depth)
    if isinstance(value, Set):
        return _unordered(value, room, depth)
    scalar = _scalar(value)
    if scalar is not value:
        return to_plain(scalar, room, depth - 1)
    if is_dataclass(value) and not isinstance(value, type):
        return _attributes(value, [field.name for field in fields(value)], room, depth)
    if isinstance(value, msgspec.Struct):
        return _attributes(value, value.__struct_fields__, room, depth)
    if isinstance(value, Sequence | ValuesView):
        return _array(value, room, depth)
    return room.text(str(repr(value)))


def _scalar(value: Any) -> Any:
    """Give what stands for an object that has one value; the object itself where none does."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta | Decimal | UUID):
        return str(value)
    return _other_scalar(value)


def _other_scalar(value: Any) -> Any:
    """Give what stands for paths, bytes, exceptions, and the numbers of other libraries."""
    if isinstance(value, PathLike):
        return _decoded(fspath(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _decoded(bytes(value))
    if isinstance(value, BaseException):
        return f"{_name_of(value)}: {to_message(value)}"
    if _is_array(value):
        return _from_array(value)
    if hasattr(type(value), "__index__"):
        return int(operator.index(value))
    return value


def _is_array(value: Any) -> bool:
    """Tell whether a value is an array or a single number of numpy, or of one like it."""
    kind = type(value)
    return hasattr(kind, "dtype") and all(hasattr(kind, name) for name in _OF_ARRAYS)


def _from_array(value: Any) -> Any:
    if value.ndim == 0:
        number = value.item()
        return str(number) if type(number) is type(value) else number
    # The size is a method where it is not numpy's; the text of an array is short of itself.
    small = isinstance(value.size, int) and value.size <= MAX_ITEMS
    return value.tolist() if small else str(repr(value))


def _decoded(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"[{len(value)} bytes, {digest(value)}]"


def _attributes(value: Any, names: Sequence[str], room: Room, depth: int) -> Any:
    return _object([(name, getattr(value, name)) for name in names], len(names), room, depth)


def _object(pairs: Iterable[tuple[Any, Any]], length: int, room: Room, depth: int) -> Any:
    if depth <= 0 or not room.takes(length):
        return f"[object of {length} keys, cut]"
    kept: dict[str, Any] = {}
    for key, item in list(islice(pairs, MAX_ITEMS)):
        name = key if type(key) is str else str(to_plain(key, room, depth - 1))
        if len(name) > _KEY_LIMIT or not name.isascii():
            name = shorten(clean(name), _KEY_LIMIT)
        while name in kept:
            name += "'"
        kept[name] = to_plain(item, room, depth - 1)
    if length > MAX_ITEMS:
        kept["[...]"] = f"[... {length - MAX_ITEMS} keys cut ...]"
    return kept


def _array(items: Collection[Any], room: Room, depth: int) -> Any:
    length = len(items)
    if depth <= 0 or not room.takes(length):
        return f"[list of {length} items, cut]"
    kept = [to_plain(item, room, depth - 1) for item in list(islice(items, MAX_ITEMS))]
    cut = length - len(kept)
    return [*kept, f"[... {cut} items cut ...]"] if cut else kept


def _unordered(items: Set[Any], room: Room, depth: int) -> Any:
    """Give the items of a set in an order of their own, the same each time."""
    kept = _array(items, room, depth)
    return sorted(kept, key=msgspec.json.encode) if isinstance(kept, list) else kept
