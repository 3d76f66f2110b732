"""The cache: a folder of shelves, one for each job and set of options.

Whatever is wrong with it is noted, and costs no more than what it would have spared.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import hexdigits

from evaltrace.cache.index import INDEX, DamagedIndex, KeptTrial, KnownTrial, read_header
from evaltrace.cache.locks import Lock
from evaltrace.cache.shelf import Reading, Shelf
from evaltrace.errors import Problem
from evaltrace.files import Span
from evaltrace.source import spelled

MOST_BYTES = 5 * 10**9
"""What the cache may hold; beyond it, the jobs that were asked for longest ago are forgotten."""

_SPARE_BYTES = 10**9
"""What is left free on the disk: the output needs it more."""

_CHECK_AFTER = 64 * 2**20
_DIGITS = 24


class Cache:
    """What was read before. With `verifying`, everything is read again and compared.

    `key` names how trials are read, `made_by` the code that reads them. What is to be told
    about the cache is in `notes`; it is nothing that outputs depend on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        trusting: bool = False,
        verifying: bool = False,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.trusting, self.verifying = trusting, verifying
        self.notes: list[Problem] = []
        self._most_bytes = most_bytes
        self._clock = clock
        self._since = clock()
        self._key = self._made_by = ""
        # By their names: equal paths are compared part by part, for each of many trials.
        self._shelves: dict[str, Shelf | None] = {}
        self._given_up: set[str] = set()
        self._unchecked = _CHECK_AFTER

    def begin(self, key: str, made_by: str) -> None:
        """Start a run: tell how trials are read, and by which code."""
        self._key, self._made_by = key, made_by
        self._shelves, self._given_up, self._since = {}, set(), self._clock()

    def readers_of(self, job: Path, names: Sequence[str]) -> dict[str, str]:
        """Name the reader of each folder of a job that is a trial and has not changed.

        `names` are all folders of the job. Empty where everything is to be read again.
        """
        shelf = self._shelf(job)
        found = {} if shelf is None else shelf.readers_of(names)
        return {} if self.verifying else found

    def finished(self, job: Path) -> set[str]:
        """Name the trials among the unchanged ones of a job that have a result."""
        shelf = None if self.verifying else self._shelves.get(str(job))
        return set() if shelf is None else shelf.finished()

    def settle(self, job: Path, facts: str) -> None:
        """State what the traces of a job's trials take from the job."""
        shelf = self._shelf(job)
        if shelf is not None:
            shelf.settle(facts)

    def known(self, job: Path, name: str) -> KnownTrial | None:
        """Give what a plan needs of an unchanged trial of a job whose facts were stated."""
        shelf = self._shelves.get(str(job))
        return None if shelf is None else shelf.known(name)

    def kept(self, job: Path, name: str) -> KeptTrial | None:
        """Give all that is known of such a trial."""
        shelf = self._shelves.get(str(job))
        return None if shelf is None else shelf.kept(name)

    def span(self, job: Path, name: str) -> Span:
        """Tell where the trace of an unchanged trial stands."""
        shelf = self._shelves[str(job)]
        assert shelf is not None
        return shelf.span(name)

    def keep(self, job: Path, reading: Reading, trace: bytes | Span) -> None:
        """Keep a trial of a job that was read, if that can be."""
        shelf = self._shelves.get(str(job))
        if shelf is None or str(job) in self._given_up:
            return
        try:
            self._check_room(len(trace) if isinstance(trace, bytes) else trace.length)
            shelf.keep(reading, trace)
        except UnicodeEncodeError:  # a name that is no UTF-8
            return
        except OSError as error:
            # What was kept before is still used: the plan counts on it.
            self._given_up.add(str(job))
            shelf.abandon()
            self._note_failure(error)

    def close(self) -> None:
        """Write down what was kept; forget the jobs of longest ago if that is too much."""
        changed = False
        for shelf in self._shelves.values():
            try:
                changed |= shelf is not None and shelf.close()
            except OSError as error:
                self._note_failure(error)
        mine = {shelf.folder for shelf in self._shelves.values() if shelf is not None}
        self._shelves = {}
        if changed:
            forget_oldest(self.folder, self._most_bytes, mine)

    def note(self, code: str, path: str, message: str, hint: str | None = None) -> None:
        """Note something about the cache, once."""
        problem = Problem(code=code, path=path, message=message, hint=hint)
        if problem not in self.notes:
            self.notes.append(problem)

    def _shelf(self, job: Path) -> Shelf | None:
        if str(job) not in self._shelves:
            self._shelves[str(job)] = self._opened(job)
        return self._shelves[str(job)]

    def _opened(self, job: Path) -> Shelf | None:
        digest = sha256(f"{self._key}\n{job}".encode("utf-8", "surrogateescape")).hexdigest()
        folder = self.folder / digest[:_DIGITS]
        try:
            shelf = Shelf(folder, job, self._made_by, since=self._since, trusting=self.trusting)
        except OSError as error:
            self._note_failure(error)
            return None
        if shelf.repaired:
            message = f"{shelf.repaired}; what was damaged is read again"
            self.note("cache_repaired", spelled(job.name), message)
        return shelf

    def _check_room(self, more: int) -> None:
        self._unchecked += more
        if self._unchecked < _CHECK_AFTER:
            return
        self._unchecked = 0
        place = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if shutil.disk_usage(place).free < _SPARE_BYTES:
            raise OSError(errno.ENOSPC, "the disk is nearly full")

    def _note_failure(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        hint = "The results are the same. Name another folder with --cache, or use --no-cache."
        self.note("cache_unusable", "", f"nothing is kept for the next time ({reason})", hint)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cache holds of a job with one set of options; `used` in seconds since 1970."""

    folder: Path
    job: str
    trials: int
    size: int
    used: float


def kept_jobs(folder: Path) -> list[Kept]:
    """List what a cache holds, what was used last first."""
    found = []
    for place in _shelf_folders(folder):
        with suppress(OSError):
            job, trials, used = "", 0, place.stat().st_mtime
            with suppress(FileNotFoundError, DamagedIndex):
                header, trials = read_header(place / INDEX)
                job, used = header.job, (place / INDEX).stat().st_mtime
            size = sum(path.stat().st_size for path in place.iterdir())
            found.append(Kept(place, job, trials, size, used))
    return sorted(found, key=lambda row: (-row.used, row.folder))


def forget(folder: Path) -> bool:
    """Remove a shelf's folder; False where somebody is using it."""
    lock = Lock(folder)
    try:
        if not lock.alone():
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    finally:
        lock.release()


def forget_oldest(folder: Path, most_bytes: int, spared: Collection[Path] = ()) -> None:
    """Remove what was used longest ago until a cache holds no more than it may."""
    rows = kept_jobs(folder)
    size = sum(row.size for row in rows)
    for row in reversed(rows):
        if size <= most_bytes:
            return
        if row.folder not in spared and forget(row.folder):
            size -= row.size


def _shelf_folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for path in folder.iterdir():
            if len(path.name) == _DIGITS and not set(path.name) - set(hexdigits) and path.is_dir():
                yield path
