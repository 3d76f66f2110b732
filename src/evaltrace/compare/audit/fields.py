"""The configuration of an arm, field by field: which values its trials have, and how often."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from evaltrace.compare.sides import Side
from evaltrace.trace import AgentConfig

_DEFAULTS = {
    "delete": True,
    "type": "docker",
    "cpu_enforcement_policy": "auto",
    "memory_enforcement_policy": "auto",
    "environment_mode": "shared",
    "transport": "sse",
    "multiplier": 1.0,
}
"""What harnesses write out in some files and leave out of others."""

_SEEN_ELSEWHERE = {"override_timeout_sec", "max_timeout_sec"}
_MAPS = ("env", "kwargs")
_ABSENT = msgspec.json.encode(None)
_ALIKE = 0.75
_PARTS = re.compile(r"^agent_config\.(?:\w+\.)?(?:(?:kwargs|env|mcp_servers)\.)?")

T = TypeVar("T", str, bytes)
H = TypeVar("H", bound=Hashable)

Counts = Counter[bytes]
"""How many trials have each value, as JSON; an absent value is `null`."""


@dataclass(slots=True)
class Contrast:
    """A field in which trials differ: between the arms, within one of them, or both."""

    field: str
    baseline: Counts
    treatment: Counts

    @property
    def key(self) -> str:
        """The setting's own name, which may have dots."""
        return _PARTS.sub("", self.field)

    @property
    def apart(self) -> bool:
        """Whether the arms have no value in common."""
        return not self.baseline.keys() & self.treatment.keys()

    @property
    def between(self) -> bool:
        """Whether most trials of one arm have another value than those of the other."""
        return differ_mostly(self.baseline, self.treatment)

    @property
    def values(self) -> tuple[Any, Any]:
        """The most frequent value of each arm."""
        return most_frequent(self.baseline), most_frequent(self.treatment)


@dataclass(slots=True)
class Fields:
    """The fields of an arm's configuration; `known` of its trials recorded one."""

    known: int = 0
    counts: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counter))

    def of(self, name: str) -> Counts:
        """Count the values of a field, absent ones included."""
        found = self.counts.get(name, Counter())
        absent = self.known - found.total()
        return found + Counter({_ABSENT: absent}) if absent else found


def differ_mostly(baseline: Counter[T], treatment: Counter[T]) -> bool:
    """Tell whether arms differ in their most frequent value, and not by a few trials only.

    Arms that both mix two values about evenly may differ in which is the more frequent.
    """
    if not baseline.keys() & treatment.keys():
        return bool(baseline and treatment)
    return usual(baseline) != usual(treatment) and not are_alike(baseline, treatment)


def are_alike(baseline: Counter[H], treatment: Counter[H]) -> bool:
    """Tell whether the values have nearly the same shares in both arms; neither may be empty."""
    before, after = baseline.total(), treatment.total()
    shares = (min(baseline[value] / before, treatment[value] / after) for value in baseline)
    return sum(shares) >= _ALIKE


def usual(counts: Counter[T]) -> T:
    """Give the value that most trials have, the first in order among equals."""
    return min(counts, key=lambda value: (-counts[value], value))


def most_frequent(counts: Counts) -> Any:
    """Give the value that most trials have, the first by its text among equals."""
    return msgspec.json.decode(usual(counts))


def decoded(counts: Counts) -> list[tuple[Any, int]]:
    """Give values and numbers of trials, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return [(msgspec.json.decode(value), number) for value, number in ordered]


def contrasts(baseline: Fields, treatment: Fields) -> Iterator[Contrast]:
    """Find the fields that do not have one and the same value in all trials of both arms."""
    if not (baseline.known and treatment.known):
        return
    for name in sorted({*baseline.counts, *treatment.counts}):
        before, after = baseline.of(name), treatment.of(name)
        if len(before.keys() | after.keys()) > 1:
            yield Contrast(name, before, after)


def read_fields(side: Side) -> Fields:
    """Collect the configuration of an arm's trials; those that recorded none tell nothing."""
    fields = Fields()
    for encoded, number in _configurations(side).items():
        agent, timeouts, environment, verifier = msgspec.json.decode(encoded)
        if not any((*agent.values(), timeouts, environment, verifier)):
            continue
        fields.known += number
        given = {"agent": agent, "timeouts": timeouts or {}}
        given |= {"environment": environment or {}, "verifier": verifier or {}}
        for name, value in _flat(given):
            if not is_absent(name, value):
                encoded_value = msgspec.json.encode(value, order="sorted")
                fields.counts[f"agent_config.{name}"][encoded_value] += number
    return fields


def _configurations(side: Side) -> Counter[bytes]:
    """Count the trials of each configuration: nearly all share one, which is taken apart once."""
    configs = [trial.trace.agent_config for trial in side.trials]
    by_id, numbers = {id(config): config for config in configs}, Counter(map(id, configs))
    alike: Counter[bytes] = Counter()
    for key, config in by_id.items():
        parts = (config.agent, config.timeouts, config.environment, config.verifier)
        alike[msgspec.json.encode(parts, order="deterministic")] += numbers[key]
    return alike


def is_absent(name: str, value: Any) -> bool:
    """Tell whether a value says nothing: it is empty, off, or the default."""
    if value is None:
        return True
    if ".kwargs." in name or ".env." in name:
        return False  # an option may be on by default
    key = name.rpartition(".")[2]
    return value is False or value in ("", [], {}) or value == _DEFAULTS.get(key, {})


def _flat(given: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for part, settings in given.items():
        for key, value in settings.items():
            name = f"{part}.{key}"
            if name in ("agent.name", "agent.version") or (
                part == "verifier" and key in _SEEN_ELSEWHERE
            ):
                continue
            if key in _MAPS and isinstance(value, dict):
                yield from ((f"{name}.{inner}", item) for inner, item in value.items())
            elif name == "agent.mcp_servers":
                yield from _servers(name, value)
            elif name == "agent.skills":
                yield name, sorted(map(_name_of, value or ()))
            else:
                yield name, value


def _servers(name: str, servers: Any) -> Iterator[tuple[str, Any]]:
    """Give the settings of each server; those of several of one name are one list."""
    found: dict[str, list[Any]] = defaultdict(list)
    for server in servers or ():
        settings = server if isinstance(server, dict) else {}
        kept = {key: item for key, item in settings.items() if not is_absent(key, item)}
        found[_name_of(server)].append(kept or {"name": _name_of(server)})
    for server_name, rows in found.items():
        several = sorted(rows, key=lambda row: msgspec.json.encode(row, order="sorted"))
        yield f"{name}.{server_name}", rows[0] if len(rows) == 1 else several


def _name_of(item: Any) -> str:
    if isinstance(item, dict):
        item = item.get("name") or item.get("path") or item.get("source") or ""
    return re.sub(r"\s+", " ", str(item))


def read_labels(side: Side, label: Any) -> Counts:
    """Count what `label` says of each trial's configuration, where it is known."""
    found = Counter(label(trial.trace.agent_config) for trial in side.trials)
    return Counter({msgspec.json.encode(text): n for text, n in found.items() if text})


def agent_of(config: AgentConfig) -> str | None:
    """Name the agent."""
    return config.agent.name


def version_of(config: AgentConfig) -> str | None:
    """Name the version of the agent."""
    return config.agent.version


def model_of(config: AgentConfig) -> str | None:
    """Name the model that was asked for."""
    return config.model
