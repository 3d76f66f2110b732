"""What is meant to differ between the arms, and what became of it in each trial."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from evaltrace.compare.sides import Side, Trial
from evaltrace.compare.treatment.configuration import Difference, find_difference, shown_fields
from evaltrace.compare.treatment.servers import (
    by_servers,
    check_server,
    configured_servers,
    listed_servers,
    seen_servers,
    shown_server,
    spelled,
)
from evaltrace.comparison import Treatment
from evaltrace.mentions import check_pattern
from evaltrace.trace import ToolCalls
from evaltrace.untrusted import one_line

ToolStatus = Literal["connected", "not_connected", "absent"]

ALLOWED = "mcp:NAME, tool:REGEX, model, agent or config"

_LABELLED: tuple[Literal["model", "agent"], ...] = ("model", "agent")
_NEARLY_ALL = 0.8
_SEARCHED = 4096
_SHOWN = 80


class Found(NamedTuple):
    """What became of the treatment in a trial: its calls and the failed ones, and the rest."""

    calls: tuple[int, int] | None
    status: ToolStatus | None
    configured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Treated:
    """The treatment, and how to find its tool in a trial.

    `servers` are MCP servers as tool names spell them; several count as one tool. `pattern` is
    looked for in the names of tools and servers (`named`: some trial has such a one) and,
    unless one of those tools is a shell itself, in shell commands (`in_commands`).
    """

    record: Treatment
    servers: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    named: bool = False
    in_commands: bool = False

    @property
    def is_tool(self) -> bool:
        """Whether the treatment is something that a trial can call."""
        return bool(self.servers) or self.pattern is not None

    def has(self, row: ToolCalls) -> bool:
        """Tell whether calls of a tool are calls of the treatment."""
        if self.pattern is not None:
            return matches(self.pattern, row.name) or matches(self.pattern, row.server)
        return row.server is not None and spelled(row.server) in self.servers

    def find_in(self, trial: Trial) -> Found:
        """Look for the treatment in a trial, in every way at once."""
        counted = self.calls(trial)
        return Found(counted, self._status(trial, counted), self.configured(trial))

    def calls(self, trial: Trial) -> tuple[int, int] | None:
        """Count the calls of the treated tool, and the failed ones; None where nothing tells."""
        tools = trial.trace.tools
        if not self.is_tool or tools.calls is None:
            return None
        if self.pattern is None and not trial.asks_servers:
            return 0, 0  # nearly all calls are of built-in tools
        counts = [(row.count, row.errors) for row in tools.calls if self.has(row)]
        if self.pattern is not None and self.in_commands:
            wanted = self.pattern.pattern
            rows = [row for row in tools.mentions or () if row.pattern == wanted]
            if not rows and not self.named:
                return None
            counts += [(row.count, row.errors) for row in rows]
        return sum(count for count, _ in counts), sum(errors for _, errors in counts)

    def status(self, trial: Trial) -> ToolStatus | None:
        """Tell whether a trial had the tool; None where nothing tells.

        A call that succeeded is the best evidence; one of several servers is enough.
        """
        return self._status(trial, self.calls(trial))

    def _status(self, trial: Trial, counted: tuple[int, int] | None) -> ToolStatus | None:
        if counted is not None and counted[0] > counted[1]:
            return "connected"
        rows = [row for row in trial.trace.tools.mcp_servers or () if self._is_server(row.name)]
        if rows:
            return _status_of({row.status for row in rows})
        if self.pattern is not None:
            return self._status_by_name(trial)
        known = self.is_tool and trial.trace.tools.mcp_servers is not None
        return "absent" if known and not self.configured(trial) else None

    def configured(self, trial: Trial) -> bool:
        """Tell whether the configuration of a trial gives it the tool's server."""
        names = configured_servers(trial)
        return bool(names) and any(map(self._is_server, names))

    def _is_server(self, name: str) -> bool:
        if self.pattern is not None:
            return matches(self.pattern, name)
        return spelled(name) in self.servers

    def _status_by_name(self, trial: Trial) -> ToolStatus | None:
        available = trial.trace.tools.available
        if self.pattern is None or available is None or not self.named:
            return None  # a program that is merely installed leaves no mark
        return "connected" if any(matches(self.pattern, name) for name in available) else "absent"


class Finder:
    """Finds the treatment in trials, in each once.

    They must live, and stay as they are, as long as it does.
    """

    def __init__(self, treated: Treated) -> None:
        self._treated = treated
        self._found: dict[int, Found] = {}
        self._alike: dict[tuple[int, int, bool], Found] = {}

    def find_in(self, trial: Trial) -> Found:
        """Say what became of the treatment in a trial."""
        found = self._found.get(id(trial))
        if found is None:
            found = self._found[id(trial)] = self._look_in(trial)
        return found

    def _look_in(self, trial: Trial) -> Found:
        if self._treated.pattern is not None or trial.asks_servers:
            return self._treated.find_in(trial)
        # Trials that ask no server differ in no more than the servers that they have.
        tools = trial.trace.tools
        given = trial.trace.agent_config.agent.mcp_servers
        key = id(given), id(tools.mcp_servers), tools.calls is None
        found = self._alike.get(key)
        if found is None:
            found = self._alike[key] = self._treated.find_in(trial)
        return found


def matches(pattern: re.Pattern[str], name: str | None) -> bool:
    """Tell whether a pattern is found in a name; long ones are searched at their beginning."""
    return name is not None and pattern.search(name[:_SEARCHED]) is not None


def _status_of(told: set[str | None]) -> ToolStatus | None:
    if "connected" in told:
        return "connected"
    if told == {"disabled"}:
        return "absent"
    return "not_connected" if told - {None, "disabled"} else None


def find_treatment(
    baseline: Side, treatment: Side, wanted: str | None, *, arms: Sequence[Side] | None = None
) -> Treated:
    """Find what the treatment is: what is wanted (`mcp:NAME`, `tool:REGEX`, ...), else a guess.

    Raises ValueError for anything else, saying what is allowed, for a pattern that cannot be
    used, and for a server that no trial of `arms` (these two, when None) has.
    """
    if wanted is None:
        return _guess(baseline, treatment)
    kind, _, name = wanted.partition(":")
    if kind == "mcp" and name:
        check_server(name, arms or (baseline, treatment))
        return _of_servers({name}, baseline, treatment, guessed=False)
    if kind == "tool" and name:
        return _of_pattern(name, baseline, treatment)
    for part in _LABELLED:
        if wanted == part:
            found = find_difference(part, baseline, treatment)
            return Treated(record=_of_label(part, found, guessed=False))
    if wanted == "config":
        return Treated(record=_of_config(baseline, treatment, guessed=False))
    raise ValueError(f"the treatment {shown_server(wanted)!r} is none of {ALLOWED}")


def _guess(baseline: Side, treatment: Side) -> Treated:
    """Guess what is meant to differ; what is configured goes before what was merely seen."""
    for names_of in (configured_servers, seen_servers):
        added = _added(names_of, baseline, treatment)
        if added:
            return _of_servers(added, baseline, treatment, guessed=True)
    for part in _LABELLED:
        found = find_difference(part, baseline, treatment)
        if found.fields:
            return Treated(record=_of_label(part, found, guessed=True))
    return Treated(record=_of_config(baseline, treatment, guessed=True))


def _added(names_of: Callable[[Trial], set[str]], before: Side, after: Side) -> set[str]:
    """Name the servers that nearly all trials of one arm have, and hardly one of the other."""
    few, many = _counted(names_of, before), _counted(names_of, after)
    most = (1 - _NEARLY_ALL) * len(before.trials)
    least = _NEARLY_ALL * len(after.trials)
    return {name for name, count in many.items() if count >= least and few[name] <= most}


def _counted(names_of: Callable[[Trial], set[str]], side: Side) -> Counter[str]:
    found: Counter[str] = Counter()
    for trial, number in by_servers(side.trials):
        for name in names_of(trial):
            found[name] += number
    return found


def _of_servers(names: set[str], baseline: Side, treatment: Side, *, guessed: bool) -> Treated:
    wanted = frozenset(map(spelled, names))
    have = [
        sum(number for trial, number in by_servers(side.trials)
            if not wanted.isdisjoint(map(spelled, seen_servers(trial) | configured_servers(trial))))
        for side in (treatment, baseline)
    ]  # fmt: skip
    text = f"The MCP server{'s' * (len(names) > 1)} {listed_servers(names)}: in {have[0]} of"
    text += f" {len(treatment.trials)} treatment trials, in {have[1]} of {len(baseline.trials)}"
    text += " baseline trials."
    name = shown_server(next(iter(names))) if len(names) == 1 else None
    record = Treatment(kind="mcp", name=name, guessed=guessed, statement=_said(text, guessed))
    return Treated(record=record, servers=wanted)


def _of_pattern(pattern: str, baseline: Side, treatment: Side) -> Treated:
    check_pattern(pattern)
    search = re.compile(pattern)
    trials = [*baseline.trials, *treatment.trials]
    names = {name for trial in trials for name in trial.trace.tools.available or ()}
    kinds = set()
    for row in (row for trial in trials for row in trial.trace.tools.calls or ()):
        if matches(search, row.name) or matches(search, row.server):
            kinds.add(row.kind)
    named = bool(kinds) or any(matches(search, name) for name in names)
    text = f'The tools whose name matches "{one_line(pattern, _SHOWN)}"'
    in_commands = "shell" not in kinds
    if in_commands:
        text += ", and the shell commands in which it is found"
    if not named and not any(_is_elsewhere(search, trial) for trial in trials):
        text += "; nothing recorded in either arm matches it"
    return Treated(
        record=Treatment(kind="tool", name=pattern, guessed=False, statement=f"{text}."),
        pattern=search,
        named=named,
        in_commands=in_commands,
    )


def _is_elsewhere(search: re.Pattern[str], trial: Trial) -> bool:
    """Tell whether a pattern is found in a trial's shell commands or servers."""
    mentions = trial.trace.tools.mentions or ()
    if any(row.count for row in mentions if row.pattern == search.pattern):
        return True
    return any(matches(search, name) for name in configured_servers(trial) | seen_servers(trial))


def _of_label(part: Literal["model", "agent"], found: Difference, *, guessed: bool) -> Treatment:
    before, after = found.baseline or "several", found.treatment or "several"
    if not found.fields:
        text = f"The {part}, in which the arms do not differ."
    elif before == after:
        text = f"The {part}, in which the arms differ ({shown_fields(found.fields)})."
    else:
        text = f"The {part}: {before} in the baseline, {after} in the treatment."
    return Treatment(
        kind=part, name=found.treatment, guessed=guessed, statement=_said(text, guessed)
    )


def _of_config(baseline: Side, treatment: Side, *, guessed: bool) -> Treatment:
    found = find_difference("config", baseline, treatment)
    text = "Nothing: the arms have the same configuration."
    if found.fields:
        text = _said(f"The configuration: {shown_fields(found.fields)}.", guessed)
    gone = _added(configured_servers, treatment, baseline)
    if gone:
        text += f" Only the baseline has the MCP server {listed_servers(gone)}:"
        text += " are the arms the wrong way round?"
    return Treatment(kind="config", name=None, guessed=guessed, statement=text)


def _said(text: str, guessed: bool) -> str:
    return f"{text} Guessed from what differs." if guessed else text
