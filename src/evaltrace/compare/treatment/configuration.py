"""In which parts of their configuration two arms differ, as far as a treatment is guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from evaltrace.compare.sides import Side, Trial
from evaltrace.untrusted import one_line

Part = Literal["model", "agent", "config"]

_CONFIG = ("kwargs", "env", "skills", "mcp_servers")
_AROUND = ("timeouts", "environment", "verifier")
_SHOWN = 80
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """The fields in which arms differ; `baseline` and `treatment` name a part where it is one."""

    fields: tuple[str, ...]
    baseline: str | None = None
    treatment: str | None = None


def find_difference(part: Part, baseline: Side, treatment: Side) -> Difference:
    """Compare the arms in their model, their agent, or the rest of the configuration.

    An arm is what most of its trials have. What no trial of an arm knows is no difference.
    """
    before, after = _values(part, baseline), _values(part, treatment)
    fields = sorted(name for name in before.keys() | after.keys() if _differs(name, before, after))
    if part == "config":
        return Difference(tuple(fields))
    label = _model_of if part == "model" else _agent_of
    return Difference(
        tuple(fields), _only(map(label, baseline.trials)), _only(map(label, treatment.trials))
    )


def shown_fields(fields: tuple[str, ...]) -> str:
    """Name some fields, the first few of many."""
    names = ", ".join(one_line(name, _SHOWN) for name in fields[:_MOST_SHOWN])
    rest = len(fields) - _MOST_SHOWN
    return f"{names} and {rest} more" if rest > 0 else names


_Values = dict[str, Counter[bytes]]

_ABSENT = b""
_MAY_BE_UNKNOWN = {"model", "name", "version"}


def _differs(name: str, before: _Values, after: _Values) -> bool:
    if name in _MAY_BE_UNKNOWN and not (name in before and name in after):
        return False
    return _usual(name, before) != _usual(name, after)


def _usual(name: str, values: _Values) -> bytes:
    """Give the value that most trials of an arm have: a stray one makes no treatment."""
    counts = values.get(name)
    return min(counts, key=lambda value: (-counts[value], value)) if counts else _ABSENT


def _values(part: Part, side: Side) -> _Values:
    """Count the values of each field, as JSON, over the trials of an arm."""
    values: _Values = {}
    for trial in side.trials:
        for name, value in _fields(part, trial):
            if value not in (None, [], {}):
                encoded = msgspec.json.encode(value, order="sorted")
                values.setdefault(name, Counter())[encoded] += 1
    for name, counts in values.items():
        if name not in _MAY_BE_UNKNOWN and (lacking := len(side.trials) - counts.total()):
            counts[_ABSENT] = lacking
    return values


def _fields(part: Part, trial: Trial) -> Iterator[tuple[str, Any]]:
    config = trial.trace.agent_config
    if part == "model":
        yield "model", config.model
    elif part == "agent":
        yield "name", config.agent.name
        yield "version", config.agent.version
        yield "import_path", config.agent.import_path
    else:
        given = [(name, getattr(config.agent, name)) for name in _CONFIG]
        for name, value in (*given, *((name, getattr(config, name)) for name in _AROUND)):
            if isinstance(value, dict):
                yield from ((f"{name}.{key}", inner) for key, inner in value.items())
            else:
                yield name, value


def _model_of(trial: Trial) -> str | None:
    return trial.trace.agent_config.model


def _agent_of(trial: Trial) -> str | None:
    agent = trial.trace.agent_config.agent
    words = (agent.name, agent.version, agent.import_path and f"({agent.import_path})")
    return " ".join(filter(None, words)) or None


def _only(labels: Iterator[str | None]) -> str | None:
    """Give the one label there is; None for none or several."""
    known = {label for label in labels if label is not None}
    return one_line(known.pop(), 2 * _SHOWN) if len(known) == 1 else None
