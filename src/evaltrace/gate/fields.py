"""The fields of a comparison by their dotted paths: which there are, and what they hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeGuard, get_args

from msgspec import inspect

from evaltrace.comparison import Comparison
from evaltrace.errors import EvaltraceError
from evaltrace.trace import Cause
from evaltrace.untrusted import one_line

Kind = Literal["number", "text", "truth", "list", "table", "record"]

_Record = inspect.StructType | inspect.DataclassType

_KEYS = {"errored_by_cause": get_args(Cause)}
"""Tables whose keys are known: another key is a wrong name, not an absent one."""

_ENOUGH = 3
_WIDTH = 80


class WrongCondition(EvaltraceError, ValueError):
    """A condition that cannot be read, or that names a field which does not exist."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to; `collection` is the innermost list on the way, as a path.

    `choices` are the only texts that the field can hold, where these are fixed.
    """

    path: str
    kind: Kind
    collection: str | None = None
    choices: tuple[str, ...] = ()


class _NoSuchField(Exception):
    """A path leads to nothing: what stands before its wrong step, and what that could be."""

    def __init__(self, before: str, step: str, names: list[str]) -> None:
        super().__init__(before, step, names)
        self.before, self.step, self.names = before, step, names


def locate(path: str) -> Place:
    """Find what a dotted path over the comparison leads to; WrongCondition names near ones."""
    try:
        return _follow(path)
    except _NoSuchField as fault:
        raise WrongCondition(
            "no such field of the comparison",
            where=one_line(path, _WIDTH),
            hint=_advice(path, fault),
        ) from None


def _follow(path: str) -> Place:
    kind: inspect.Type = _comparison()
    collection = above = None
    before = ""
    for step in path.split("."):
        if isinstance(kind, inspect.ListType):
            collection, kind = before, _known(kind.item_type)
        below = _below(kind, above)
        if step not in below and None not in below:
            raise _NoSuchField(before, step, [name for name in below if name])
        kind = _known(below.get(step) or below[None])
        before, above = (f"{before}.{step}" if before else step), step
    return Place(path, _kind_of(kind), collection, _choices(kind))


_NAMES: dict[Kind, str] = {
    "number": "a number",
    "text": "a text",
    "truth": "true or false",
    "list": "a list",
    "table": "a table",
    "record": "a record",
}


def named(kind: Kind) -> str:
    """Name a kind of value in a sentence."""
    return _NAMES[kind]


def fields_below(path: str) -> list[str]:
    """List the fields right below a path, as paths; empty where there are none."""
    return [name for name in paths() if name.rpartition(".")[0] == path]


@cache
def paths() -> tuple[str, ...]:
    """List the path of every field; further comparisons have the same ones below `further`."""
    return tuple(_paths(_comparison(), ""))


def _paths(kind: inspect.Type, above: str) -> Iterator[str]:
    if isinstance(kind, inspect.ListType):
        kind = _known(kind.item_type)
    if not _is_record(kind) or (above and kind.cls is Comparison):
        return
    for field in kind.fields:
        path = f"{above}.{field.encode_name}" if above else field.encode_name
        yield path
        yield from _paths(_known(field.type), path)


@cache
def _comparison() -> inspect.Type:
    return inspect.type_info(Comparison)


def _known(kind: inspect.Type) -> inspect.Type:
    """Leave null out of a type."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    return next(part for part in kind.types if not isinstance(part, inspect.NoneType))


def _is_record(kind: inspect.Type) -> TypeGuard[_Record]:
    return isinstance(kind, inspect.StructType | inspect.DataclassType)


def _below(kind: inspect.Type, name: str | None) -> dict[str | None, inspect.Type]:
    """Give the types below a record or a table by name; None stands for any other name."""
    if _is_record(kind):
        return {field.encode_name: field.type for field in kind.fields}
    if isinstance(kind, inspect.DictType):
        keys: tuple[str | None, ...] = _KEYS.get(name or "", (None,))
        return dict.fromkeys(keys, kind.value_type)
    return {}


def _kind_of(kind: inspect.Type) -> Kind:
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return "number"
    if isinstance(kind, inspect.BoolType):
        return "truth"
    if isinstance(kind, inspect.ListType):
        return "list"
    if isinstance(kind, inspect.DictType):
        return "table"
    return "record" if _is_record(kind) else "text"


def _choices(kind: inspect.Type) -> tuple[str, ...]:
    return tuple(map(str, kind.values)) if isinstance(kind, inspect.LiteralType) else ()


def _advice(path: str, fault: _NoSuchField) -> str:
    near = _near(path, fault)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if not fault.names:
        return f"{fault.before} is a single value: nothing lies below it."
    return f"{fault.before or 'The comparison'} has {', '.join(fault.names)}."


def _near(path: str, fault: _NoSuchField) -> list[str]:
    """Name the paths that were likely meant: a slip in one step first, then any like it."""
    known = fault.before.split(".") if fault.before else []
    rest = path.split(".")[len(known) + 1 :]
    slips = difflib.get_close_matches(fault.step[:_WIDTH], fault.names, _ENOUGH)
    mended = [name for slip in slips if _exists(name := ".".join([*known, slip, *rest]))]
    whole = difflib.get_close_matches(path[:_WIDTH], paths(), _ENOUGH)
    last = path.rpartition(".")[2]
    alike = [name for name in paths() if name.rpartition(".")[2] == last]
    alike.sort(key=lambda name: not name.startswith("reward."))
    return list(dict.fromkeys([*mended, *whole, *alike]))[:_ENOUGH]


def _exists(path: str) -> bool:
    try:
        _follow(path)
    except _NoSuchField:
        return False
    return True
