"""Fields of a trace by their names: numbers to compare, texts to group and split by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

import msgspec

from evaltrace.errors import UnknownName
from evaltrace.trace import Task, Trace

LARGEST = 1e15
"""A number beyond it is a mistake, and would drown every sum."""

GROUPS = ("category", "difficulty", "repository", "language")
"""What tasks are grouped by where nothing else is asked for."""

_CONFIGURED = ("agent_config.model", "agent_config.agent.name", "agent_config.agent.version")

_LANGUAGES = {
    "bash", "c", "c++", "c#", "clojure", "cpp", "csharp", "css", "dart", "elixir", "erlang",
    "fortran", "go", "golang", "haskell", "html", "java", "javascript", "js", "julia", "kotlin",
    "lua", "ocaml", "perl", "php", "powershell", "python", "r", "ruby", "rust", "scala", "shell",
    "sql", "swift", "typescript", "ts", "zig",
}  # fmt: skip
# Names as SWE-bench gives them: owner__repository-number.
_NUMBERED = re.compile(r"(?P<owner>[\w.-]+?)__(?P<repository>[\w.-]+?)-\d+(?:$|[._-])")


def value_at(trace: Trace, path: str) -> Any:
    """Follow a dotted path through records and dicts; None where it ends in nothing."""
    value: Any = trace
    for name in path.split("."):
        if isinstance(value, msgspec.Struct):
            value = getattr(value, name, None)
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


def number_at(trace: Trace, path: str) -> float | None:
    """Give the number a path leads to; None for anything else, true, false and NaN included."""
    value = value_at(trace, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None


def text_at(trace: Trace, field: str) -> str | None:
    """Give a field as text to group by: a name of GROUPS, a field of the task, or a path."""
    if field == "repository":
        return _repository(trace)
    if field == "language":
        return _language(trace)
    value = value_at(trace, field if "." in field else f"task.{field}")
    if value is None and "." not in field:
        value = value_at(trace, field)
    if value is None or isinstance(value, str):
        return value or None
    return msgspec.json.encode(value, order="sorted").decode()


def _repository(trace: Trace) -> str | None:
    found = _NUMBERED.match(trace.task.name)
    return f"{found['owner']}/{found['repository']}" if found else None


def _language(trace: Trace) -> str | None:
    tags = (tag.lower() for tag in trace.task.tags or ())
    return next((tag for tag in tags if tag in _LANGUAGES), None)


def is_field(path: str) -> bool:
    """Tell whether a trace can have this path: records are checked, dicts may hold anything."""
    return _leads_somewhere(msgspec.inspect.type_info(Trace), path.split("."))


def _leads_somewhere(kind: msgspec.inspect.Type, names: list[str]) -> bool:
    if not names:
        return True
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_leads_somewhere(part, names) for part in kind.types)
    if isinstance(kind, msgspec.inspect.StructType):
        found = next((field.type for field in kind.fields if field.name == names[0]), None)
        return found is not None and _leads_somewhere(found, names[1:])
    return isinstance(kind, msgspec.inspect.DictType | msgspec.inspect.AnyType)


def check_field(name: str) -> str:
    """Give the field back when tasks can be grouped by it; UnknownName with near names if not."""
    short = [*dict.fromkeys((*GROUPS, *Task.__struct_fields__))]
    if name in short or is_field(name):
        return name
    known = [*short, *number_fields(), *Trace.__struct_fields__, *_CONFIGURED]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Such as {', '.join(short)}."
    raise UnknownName("traces have no such field", where=name, hint=hint)


@cache
def number_fields() -> tuple[str, ...]:
    """List the paths of the trace's numbers, for hints."""
    return tuple(_numbers_below(msgspec.inspect.type_info(Trace), ""))


def _numbers_below(kind: msgspec.inspect.Type, path: str) -> Iterator[str]:
    if isinstance(kind, msgspec.inspect.UnionType):
        yield from chain.from_iterable(_numbers_below(part, path) for part in kind.types)
    elif isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            yield from _numbers_below(field.type, f"{path}.{field.name}" if path else field.name)
    elif isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        yield path
