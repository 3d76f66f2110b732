"""The kept trials of one job, as they were read with one set of options.

A shelf is a folder: an index, and packs, which are files of traces that are only added to
while they are made. A trial is unchanged when everything that was looked at while it was read
has the stamp that it had then: no file is opened to tell.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evaltrace.cache.index import (
    ABSENT,
    INDEX,
    DamagedIndex,
    Header,
    IndexWriter,
    KeptTrial,
    KnownTrial,
    Row,
    known_of,
    packed,
    packed_stamp,
    packed_status,
    paths_of,
    read_index,
    trial_of,
)
from evaltrace.cache.locks import Lock
from evaltrace.cache.packs import PackWriter, damaged_packs, live_packs, tidy, wants_tidying
from evaltrace.files import SEPARATOR, Span
from evaltrace.source import Stamp


@dataclass(frozen=True, slots=True)
class Reading:
    """A trial that was read: the name of its folder, who read it, what was looked at.

    `last` names the file that the harness writes last; it was looked at if the trial is finished.
    """

    name: str
    reader: str
    trial: KeptTrial
    looked_at: Mapping[str, Stamp]
    last: str


_TICK = 100_000_000
"""Nanoseconds within which a file may change twice and keep its stamp."""

_COARSE_TICK = 2_000_000_000
"""The same on file systems whose times are whole seconds."""

_STILL = 600_000_000_000
"""How long nothing has happened in an unfinished trial that need not be read each time.

Longer than other machines may write before their file system tells: there, a file can be
newer than its times, until it is opened.
"""


class Shelf:
    """What is known of the trials of a job; `made_by` names the code that reads them.

    Files that changed after `since`, in nanoseconds, prove nothing. With `trusting`, a trial
    is unchanged when the file that is written last is. `repaired` says what was damaged.
    """

    def __init__(
        self, folder: Path, job: Path, made_by: str, *, since: int, trusting: bool = False
    ) -> None:
        self.folder = folder
        self.repaired: str | None = None
        self._job = os.fspath(job)
        self._made_by, self._since, self._trusting = made_by, since, trusting
        self._header = Header()
        self._places: dict[int, str] = {}
        self._rows: dict[str, Row] = {}
        self._unchanged: dict[str, Row] | None = None
        self._elsewhere: dict[str, bytes] = {}
        self._lock: Lock | None = None
        self._index: IndexWriter | None = None
        self._pack: PackWriter | None = None
        self._outdated = False
        if folder.is_dir():
            self._open()

    def _open(self) -> None:
        """Read the index, but for what is damaged. Raises OSError."""
        self._lock = Lock(self.folder)
        header, rows = self._read()
        if wants_tidying(self.folder, header, rows):
            if self._lock.alone():
                with suppress(OSError):  # what is in the way is found again below
                    tidy(self.folder, *self._read())
                self._lock.share()
            # Also where it was not alone: to ask lets go of the lock, and others may have tidied.
            header, rows = self._read()
        if header.made_by != self._made_by:
            # Read by another version: of no use, and nothing is wrong.
            self._outdated = True
            return
        damaged = damaged_packs(self.folder, header)
        if damaged:
            self.repaired, self._outdated = "its traces are not as they were written", True
        self._header = header
        self._places = {
            number: os.fspath(self.folder / pack.name) for number, pack in header.packs.items()
        }
        self._rows = {row.name: row for row in rows if row.pack not in damaged}

    def _read(self) -> tuple[Header, list[Row]]:
        try:
            return read_index(self.folder / INDEX)
        except FileNotFoundError:
            pass
        except DamagedIndex:
            self.repaired = "its index is not as it was written"
        return Header(), []

    def readers_of(self, names: Sequence[str]) -> dict[str, str]:
        """Name the reader of each unchanged trial among the folders of the job.

        What is known of folders that are not named, or of trials that changed, is forgotten.
        """
        if self._unchanged is None:
            rows, prefix = self._rows, f"{self._job}/"
            self._unchanged = {
                name: rows[name]
                for name in names
                if name in rows and self._is_unchanged(prefix + name, rows[name])
            }
            self._outdated |= len(self._unchanged) < len(rows)
            self._rows = {}
        return {name: row.reader for name, row in self._unchanged.items()}

    def finished(self) -> set[str]:
        """Name the unchanged trials that have a result."""
        return {name for name, row in (self._unchanged or {}).items() if row.last[0]}

    def _is_unchanged(self, place: str, row: Row) -> bool:
        if self._trusting and row.last[0]:
            return self._look(f"{place}/{row.last[0]}") == row.last[1]
        found = []
        for path in paths_of(row):
            if path[:1] == "/":
                found.append(self._look_elsewhere(path))
                continue
            try:
                # A trial that became a link belongs to where it lies now.
                status = os.stat(f"{place}/{path}") if path else os.lstat(place)  # noqa: PTH116
            except OSError:
                found.append(ABSENT)
            else:
                found.append(packed_status(status))
        return b"".join(found) == row.stamps

    def _look_elsewhere(self, path: str) -> bytes:
        """Look once at what many trials depend on, such as their task's folder."""
        if path not in self._elsewhere:
            self._elsewhere[path] = self._look(path)
        return self._elsewhere[path]

    @staticmethod
    def _look(path: str) -> bytes:
        try:
            return packed_status(os.stat(path))  # noqa: PTH116
        except (OSError, ValueError):
            return ABSENT

    def settle(self, facts: str) -> None:
        """State what the traces take from their job: with other facts, nothing is unchanged."""
        if facts != self._header.facts:
            self._outdated |= bool(self._unchanged)
            self._unchanged, self._header.facts = {}, facts

    def known(self, name: str) -> KnownTrial | None:
        """Give what a plan needs of an unchanged trial."""
        row = (self._unchanged or {}).get(name)
        return None if row is None else known_of(row)

    def kept(self, name: str) -> KeptTrial | None:
        """Give what is known of an unchanged trial."""
        row = (self._unchanged or {}).get(name)
        return None if row is None else trial_of(row)

    def span(self, name: str) -> Span:
        """Tell where the trace of an unchanged trial stands, its separator after it."""
        row = (self._unchanged or {})[name]
        return Span(self._places[row.pack], row.offset, row.length + len(SEPARATOR))

    def keep(self, reading: Reading, trace: bytes | Span) -> None:
        """Keep a trial that was read, unless what was looked at may change unseen.

        Raises OSError, and UnicodeEncodeError for names that are no UTF-8.
        """
        looked_at = reading.looked_at
        last = reading.last if reading.trial.finished else ""
        if last and last not in looked_at:
            return
        still = 0 if last else _STILL
        if not all(self._is_settled(stamp, still) for stamp in looked_at.values()):
            return
        reading.name.encode()
        row = Row(
            name=reading.name,
            reader=reading.reader,
            pack=0,
            offset=0,
            length=trace.length - len(SEPARATOR) if isinstance(trace, Span) else len(trace),
            trial=packed(reading.trial),
            paths=packed(list(looked_at)),
            stamps=b"".join(map(packed_stamp, looked_at.values())),
            last=(last, packed_stamp(looked_at[last]) if last else b""),
        )
        pack, index = self._writers()
        row.pack, row.offset = pack.number, pack.add(trace)
        index.add([row])
        if self._unchanged is not None:
            self._unchanged.pop(reading.name, None)

    def _is_settled(self, stamp: Stamp, still: int) -> bool:
        if stamp.kind == "unreadable":
            return False
        tick = _TICK if stamp.ctime_ns % 1_000_000_000 else _COARSE_TICK
        return stamp.ctime_ns < self._since - max(tick, still)

    def _writers(self) -> tuple[PackWriter, IndexWriter]:
        if self._lock is None:
            for place in (self.folder.parent, self.folder):  # traces may hold secrets
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = Lock(self.folder)
        if self._pack is None:
            self._pack = PackWriter(self.folder, self._header.packs)
        if self._index is None:
            self._index = IndexWriter(self.folder)
        return self._pack, self._index

    def close(self) -> bool:
        """Write down what is known now; tell whether that changed. Raises OSError."""
        try:
            changed = self._index is not None or (self._outdated and self._lock is not None)
            if changed:
                self._commit()
            elif self._lock is not None:
                with suppress(OSError):  # jobs that were asked for last are kept longest
                    os.utime(self.folder / INDEX)
            return changed
        finally:
            if self._lock is not None:
                self._lock.release()

    def _commit(self) -> None:
        index = self._index or IndexWriter(self.folder)
        try:
            rows = list((self._unchanged or {}).values())
            index.add(rows)
            packs = live_packs(self._header, rows)
            if self._pack is not None:
                packs[self._pack.number] = self._pack.finish()
            index.finish(Header(self._made_by, self._job, self._header.facts, packs))
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Leave everything as it was found; it can be read until the shelf is closed."""
        for writer in (self._index, self._pack):
            if writer is not None:
                with suppress(OSError):
                    writer.abandon()
        self._index = self._pack = None
        self._outdated = False
