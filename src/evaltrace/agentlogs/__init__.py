"""Readers of agent logs, one for each agent, behind one table of names.

A reader is `read(source, folder, *, prefix, keep_events) -> Transcript | None`.
Adding an agent is a file here and a line in `READERS`.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from evaltrace.source import Source, path_in

if TYPE_CHECKING:
    from evaltrace.agentlogs.transcript import Transcript


class LogReader(Protocol):
    """The shape of every log reader."""

    def __call__(
        self, source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
    ) -> Transcript | None:
        """Read the log in a folder; None when it is not there."""


_SILENT = "evaltrace.agentlogs.silent:read"
_TERMINUS = "evaltrace.agentlogs.terminus_2:read"
_ATIF = "evaltrace.agentlogs.atif:read"
_UNKNOWN = "evaltrace.agentlogs.unknown:read"

READERS: dict[str, str] = {
    "claude-code": "evaltrace.agentlogs.claude_code:read",
    "codex": "evaltrace.agentlogs.codex:read",
    "gemini-cli": "evaltrace.agentlogs.gemini_cli:read",
    "openhands": "evaltrace.agentlogs.openhands:read",
    "mini-swe-agent": "evaltrace.agentlogs.mini_swe_agent:read",
    "swe-agent": "evaltrace.agentlogs.swe_agent:read",
    "cursor-cli": "evaltrace.agentlogs.cursor_cli:read",
    "opencode": "evaltrace.agentlogs.opencode:read",
    "qwen-coder": "evaltrace.agentlogs.qwen_coder:read",
    "qwen-code": "evaltrace.agentlogs.qwen_coder:read",
    "goose": "evaltrace.agentlogs.goose:read",
    "copilot-cli": "evaltrace.agentlogs.copilot_cli:read",
    "aider": "evaltrace.agentlogs.aider:read",
    "trae-agent": "evaltrace.agentlogs.trae_agent:read",
    "terminus-2": _TERMINUS,
    "oracle": _SILENT,
    "nop": _SILENT,
}
"""Where the reader of the native log is, by the agent's name; it is loaded when it is needed."""

LOGS: dict[str, tuple[str, ...]] = {
    "claude-code": ("claude-code.txt",),
    "codex": ("codex.txt",),
    "gemini-cli": ("gemini-cli.txt",),
    "openhands": ("openhands.trajectory.json",),
    "mini-swe-agent": ("mini-swe-agent.trajectory.json",),
    "swe-agent": ("swe-agent.trajectory.json", "swe-agent-output"),
    "cursor-cli": ("cursor-cli.txt", "cursor-agent.jsonl"),
    "opencode": ("opencode.txt",),
    "qwen-coder": ("qwen-code.txt", "qwen-sessions"),
    "goose": ("goose.txt",),
    "copilot-cli": ("copilot-cli.jsonl", "copilot-cli.txt", "copilot/session-state"),
    "aider": ("aider.chat.history.md", "aider.txt"),
    "trae-agent": ("trae-trajectory.json",),
}
"""Names that only one agent gives its logs."""

TRAJECTORY = "trajectory.json"
"""The name that harnesses give the log of any agent, converted into the common format (ATIF)."""

_VERSIONED = re.compile(r"([^\s@]+)(?:@\S*| +v?\d\S*)")
_NO_NATIVE = (_SILENT, _TERMINUS)
"""Readers that tell nothing of an agent that is not theirs."""


def read_transcript(
    source: Source, folder: str, agent: str | None, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read the best log in a folder: the agent's own, else any native one, else ATIF.

    What nobody knows the format of is read last, and only for agents without a reader.
    """
    if not source.has_folder(folder):
        return None
    for place in _order(agent):
        transcript = _load(place)(source, folder, prefix=prefix, keep_events=keep_events)
        if transcript is not None:
            if _reader_of(agent) is None:
                _report_others(source, folder, place)
            return transcript
    return None


def read_trajectory(source: Source, folder: str, *, keep_events: bool = True) -> Transcript | None:
    """Read the trajectory that a harness made of the log in a folder; None without one."""
    if not source.exists(path_in(folder, TRAJECTORY)):
        return None
    return _load(_ATIF)(source, folder, keep_events=keep_events)


def _load(place: str) -> LogReader:
    module, _, name = place.partition(":")
    return cast(LogReader, getattr(import_module(module), name))


def _report_others(source: Source, folder: str, place: str) -> None:
    """Report the native logs that lie beside the one that was read."""
    chosen = next((name for name in LOGS if READERS[name] == place), None)
    for name, logs in LOGS.items():
        path = next((path for log in logs if source.exists(path := path_in(folder, log))), None)
        if chosen is not None and path is not None and name != chosen:
            message = f"a log of {name}; that of {chosen}, which lies beside it, was read"
            hint = "Nothing says whose run it is: let the trial name the agent."
            source.report("other_log_ignored", path, message, hint)


def _reader_of(agent: str | None) -> str | None:
    """Name the reader of an agent's log, also where a version follows the name."""
    name = agent or ""
    if name in READERS:
        return READERS[name]
    versioned = _VERSIONED.fullmatch(name)
    return READERS.get(versioned[1]) if versioned else None


def _order(agent: str | None) -> list[str]:
    own = _reader_of(agent)
    if own == _SILENT:
        return []
    if own is not None:
        return [own, _ATIF]
    others = [place for place in dict.fromkeys(READERS.values()) if place not in _NO_NATIVE]
    return [*others, _ATIF, _UNKNOWN]
