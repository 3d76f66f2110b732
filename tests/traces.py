"""Sample traces for tests: the smallest one, and one in which no two values are alike."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from evaltrace import trace as tr


def minimal_trace(**changes: Any) -> tr.Trace:
    """A finished, passed trial of which nothing else is known, with the changes applied."""
    fields: dict[str, Any] = {
        "trace_id": "t-1",
        "task_id": "tidy-up__a1",
        "agent_config": tr.AgentConfig(agent=tr.Agent()),
        "test_reward": 1.0,
        "rewards": {"reward": 1.0},
        "metrics": tr.Metrics(tokens=tr.Tokens(), cost=tr.Cost(), durations=tr.Durations()),
        "status": "pass",
        "origin": tr.Origin(kind="harness", harness="harbor", job_name="tidy"),
        "task": tr.Task(name="tidy-up"),
        "tools": tr.Tools(),
    }
    return tr.Trace(**{**fields, **changes})


class _Distinct:
    """Gives a value for each type, never the same text or number twice."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._enums: dict[tuple[Any, ...], Any] = {}

    def value(self, kind: msgspec.inspect.Type, place: str) -> Any:
        match kind:
            case msgspec.inspect.UnionType(types=types):
                return self.value(next(t for t in types if _is_something(t)), place)
            case msgspec.inspect.StructType(cls=cls) | msgspec.inspect.DataclassType(cls=cls):
                fields = ((f.name, f.type) for f in kind.fields)
                return cls(**{name: self.value(t, f"{place}.{name}") for name, t in fields})
            case msgspec.inspect.ListType(item_type=item):
                return [self.value(item, f"{place}[{i}]") for i in range(2)]
            case msgspec.inspect.DictType(value_type=item):
                keys = [f"key {next(self._numbers)}" for _ in range(2)]
                return {key: self.value(item, f"{place}[{key}]") for key in keys}
            case msgspec.inspect.LiteralType(values=values):
                return self._next_of(values)
            case _:
                return self._scalar(kind, place)

    def _scalar(self, kind: msgspec.inspect.Type, place: str) -> Any:
        match kind:
            case msgspec.inspect.BoolType():
                return self._next_of((True, False))
            case msgspec.inspect.IntType():
                return next(self._numbers)
            case msgspec.inspect.FloatType() if place.endswith("percentage_of_total"):
                return next(self._numbers) / 1024  # at most 100, and exact in binary
            case msgspec.inspect.FloatType():
                return next(self._numbers) + 0.5
            case msgspec.inspect.AnyType():
                return {f"any {next(self._numbers)}": [f"within {place}", next(self._numbers)]}
            case msgspec.inspect.StrType() if place == "schema_version":
                return tr.SCHEMA_VERSION
            case msgspec.inspect.StrType():
                return f"{place} {next(self._numbers)}"
        raise TypeError(f"no sample for {kind} at {place}")

    def _next_of(self, values: tuple[Any, ...]) -> Any:
        turns = self._enums.setdefault(values, count())
        return values[next(turns) % len(values)]


def _is_something(kind: msgspec.inspect.Type) -> bool:
    return not isinstance(kind, msgspec.inspect.NoneType)


def distinct_trace() -> tr.Trace:
    """A valid trace with every field set, all texts and all numbers different.

    Only values of an enumeration, the schema version and booleans repeat.
    """
    kind = msgspec.inspect.type_info(tr.Trace)
    assert isinstance(kind, msgspec.inspect.StructType)
    maker = _Distinct()
    return tr.Trace(**{field.name: maker.value(field.type, field.name) for field in kind.fields})
