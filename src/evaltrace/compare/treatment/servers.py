"""MCP servers by name: which ones a trial was configured with, and which it was seen to have."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter

from evaltrace.compare.audit.values import shown
from evaltrace.compare.sides import Side, Trial

_SERVERS = attrgetter("trace.agent_config.agent.mcp_servers", "trace.tools.mcp_servers")
_WIDTH = 80
_MOST_SHOWN = 5
_MOST_COMPARED = 500
# Agents write `my server` as `my_server` in the names of its tools.
_MARKS = re.compile(r"[^\w-]", re.ASCII)
_SEEN_ONLY = re.compile(r": (?:init|MCP servers of the session)$")


def spelled(server: str) -> str:
    """Spell the name of an MCP server as the names of its tools do."""
    return _MARKS.sub("_", server)


def shown_server(name: str, width: int = _WIDTH) -> str:
    """Show the name of an MCP server; one that is an address may hold a password."""
    return shown(name, width=width)


def listed_servers(names: Iterable[str]) -> str:
    """Name servers in quotes, in order."""
    return ", ".join(f'"{name}"' for name in sorted(map(shown_server, names)))


def by_servers(trials: Sequence[Trial]) -> list[tuple[Trial, int]]:
    """Give a trial for each choice of servers, configured and seen, with the number of its like.

    What trials of one path have in common is one object: such choices are told apart by it.
    """
    keys = [(id(given), id(seen)) for given, seen in map(_SERVERS, trials)]
    one = dict(zip(keys, trials, strict=True))
    return [(one[key], number) for key, number in Counter(keys).items()]


def configured_servers(trial: Trial) -> set[str]:
    """Name the MCP servers that a trial's configuration gives it, whatever was seen later."""
    given, seen = trial.trace.agent_config.agent.mcp_servers, trial.trace.tools.mcp_servers
    if not given and not seen:
        return set()
    names = {row.get("name") if isinstance(row, dict) else row for row in given or ()}
    for server in seen or ():
        if server.status != "disabled" and not all(map(_SEEN_ONLY.search, server.configured_in)):
            names.add(server.name)
    return {name for name in names if isinstance(name, str)}


def seen_servers(trial: Trial) -> set[str]:
    """Name the MCP servers that a trial was seen to have, configured or not."""
    servers = trial.trace.tools.mcp_servers or ()
    return {server.name for server in servers if server.status != "disabled"}


def check_server(name: str, arms: Iterable[Side]) -> None:
    """Raise ValueError, with near names, for a server that no trial of these arms has.

    Where no trial tells anything of servers, any name may be right.
    """
    trials = [trial for arm in arms for trial in arm.trials]
    names = {found for trial in trials for found in _all_servers(trial)}
    told = bool(names) or any(trial.trace.tools.mcp_servers is not None for trial in trials)
    if told and spelled(name) not in map(spelled, names):
        raise ValueError(
            f'no trial has an MCP server "{shown_server(name)}"; {_others(name, names)}'
        )


def _all_servers(trial: Trial) -> set[str]:
    """Name every server that a trial says anything of, one that is switched off included."""
    tools = trial.trace.tools
    listed = {server.name for server in tools.mcp_servers or ()}
    called = {row.server for row in tools.calls or () if row.server is not None}
    return configured_servers(trial) | listed | called


def _others(name: str, names: set[str]) -> str:
    known = sorted(set(map(shown_server, names)))
    if not known:
        return "none has any"
    near = difflib.get_close_matches(shown_server(name), known[:_MOST_COMPARED], n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f'"{other}"' for other in near) + "?"
    rest = f" and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
    return "there are " + ", ".join(f'"{other}"' for other in known[:_MOST_SHOWN]) + rest
