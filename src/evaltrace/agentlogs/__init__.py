"""Readers of agent logs, one file per format, behind one table of names.

A reader is `read(source, folder, *, prefix, keep_events) -> Transcript | None`.
Adding a format is a file here and a line in `READERS`.
"""

from __future__ import annotations

from typing import Protocol

from evaltrace.agentlogs import atif, claude_code, codex
from evaltrace.agentlogs.transcript import Transcript
from evaltrace.source import Source


class LogReader(Protocol):
    """The shape of every log reader."""

    def __call__(
        self, source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
    ) -> Transcript | None:
        """Read the log in a folder; None when it is not there."""


READERS: dict[str, LogReader] = {
    "claude-code": claude_code.read,
    "codex": codex.read,
}
"""Reader of the native log, by the agent's name."""


def read_transcript(
    source: Source, folder: str, agent: str | None, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read the best log in a folder: the agent's own, else any native one, else ATIF."""
    own = READERS.get(agent or "")
    readers = [own] if own else list(READERS.values())
    for reader in (*readers, atif.read):
        transcript = reader(source, folder, prefix=prefix, keep_events=keep_events)
        if transcript is not None:
            return transcript
    return None
