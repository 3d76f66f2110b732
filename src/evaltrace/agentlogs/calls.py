"""Tool calls as a log tells them, and what is kept of the files that they changed or showed.

What a call showed is worked out late: for most trials a diff was recorded, and nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from evaltrace.agentlogs.sightings import Reading, sightings_in
from evaltrace.patches.edits import Edit
from evaltrace.trace import Event, ToolCalls

EDITS_LIMIT = 64 * 2**20
"""Characters kept of all edits of a run, for the rebuilding of its diff."""

_MOST_WAITING = 8 * 2**20
"""Characters of outputs that are kept until they are asked for."""

_MOST_MORE = 128
"""Characters by which what is kept of an output may be longer: line ends that it lacks."""


class Call(msgspec.Struct, gc=False):
    """One tool call; `failed` is None while no result has been seen.

    `command` is what a shell was given, `edits` what the call did to files if it succeeded,
    `reading` what it was to show of files, and `seen` what it showed.
    """

    name: str
    server: str | None = None
    kind: str = "other"
    failed: bool | None = None
    event: Event | None = None
    command: str | None = None
    edits: list[Edit] = []
    reading: Reading | None = None
    seen: list[Edit] = []


@dataclass(slots=True)
class Room:
    """The room for edits of a run: what was changed comes before what was only seen.

    `lost` counts the edits that there was no room for.
    """

    lost: int = 0
    _edited: int = 0
    _seen: int = 0
    _ahead: int = 0
    _waiting: list[tuple[Call, Reading, str]] = field(default_factory=list)

    def takes(self, edit: Edit, calls: Iterable[Call]) -> bool:
        """Tell whether there is room for an edit, and make it by forgetting what was seen."""
        size = edit.size
        if self._edited + size > EDITS_LIMIT:
            self.lost += 1
            return False
        if self._edited + self._seen + self._ahead + size > EDITS_LIMIT:
            self.settle()
            if self._edited + self._seen + size > EDITS_LIMIT:
                self._seen = 0
                for call in calls:
                    call.seen = []
        self._edited += size
        return True

    def show(self, call: Call, output: str) -> None:
        """Take what a successful call showed, to work out later what it was of which files."""
        if call.reading is None:
            if call.seen:
                call.seen = []
            return
        self._waiting.append((call, call.reading, output))
        self._ahead += len(output) + _MOST_MORE
        if self._ahead > _MOST_WAITING or self._edited + self._seen + self._ahead > EDITS_LIMIT:
            self.settle()

    def settle(self) -> None:
        """Work out what calls showed of files, in order, where there is room beside the edits."""
        if not self._waiting:
            return
        waiting, self._waiting, self._ahead = self._waiting, [], 0
        for call, reading, output in waiting:
            call.seen = []
            for edit in sightings_in(reading, output):
                size = edit.size
                if self._edited + self._seen + size <= EDITS_LIMIT:
                    self._seen += size
                    call.seen.append(edit)


def tally(calls: Iterable[Call]) -> list[ToolCalls]:
    """Count calls and failed calls by tool, in order of name."""
    counts: dict[tuple[str, str | None], ToolCalls] = {}
    for call in calls:
        key = (call.name, call.server)
        row = counts.get(key)
        if row is None:
            kind = call.kind
            row = ToolCalls(name=call.name, server=call.server, kind=kind)  # type: ignore[arg-type]
            counts[key] = row
        row.count += 1
        row.errors += call.failed is True
    return sorted(counts.values(), key=lambda row: (row.server or "", row.name))
