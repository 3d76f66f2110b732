"""Trials on their way: what is to be fetched, as a value, and the fetching itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

import msgspec

from evaltrace.errors import Problem
from evaltrace.remote.arriving import Arriving, Habits
from evaltrace.remote.fetching import AHEAD, READS, Fault, Fetcher, File
from evaltrace.remote.opening import open_store
from evaltrace.remote.places import Place
from evaltrace.remote.planned import Planned
from evaltrace.remote.stores import Object
from evaltrace.source import readable, supplied

PLANNED = ("config.json", "lock.json", "result.json", "agent/command-0/command.txt")
"""Files of a trial that the plan has read already."""

_ON_DISK = 4
"""How many times as much is fetched ahead onto the disk, in large files, as into memory."""


@dataclass(frozen=True, slots=True)
class Load:
    """The objects of one trial, with keys from its folder on; `trial` is its path in the plan.

    They are packed: there may be very many trials, and only few are fetched at a time.
    """

    trial: str
    name: str
    packed: bytes

    @classmethod
    def of(cls, trial: str, name: str, objects: Iterable[Object]) -> Self:
        """Pack the objects of a trial."""
        return cls(trial, name, msgspec.msgpack.encode(list(objects)))

    @property
    def objects(self) -> list[Object]:
        """The objects."""
        return _OBJECTS.decode(self.packed)


_OBJECTS = msgspec.msgpack.Decoder(list[Object])


@dataclass(frozen=True, slots=True)
class Fetched:
    """A trial that a Source can read until the next one is asked for.

    `trial` is its path in the plan, `path` that of the source, with its job's folder around it.
    """

    trial: Path
    path: Path
    faults: tuple[tuple[str, Fault], ...]

    def problems(self, label: str) -> list[Problem]:
        """Give what was wrong with its objects; `label` is how problems name the trial."""
        return [
            Problem(
                code=fault.code,
                path=readable(f"{label}/{name}"),
                message=readable(fault.message),
                hint=fault.hint,
            )
            for name, fault in self.faults
        ]


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some trials of a plan; it can be pickled and fetched on any machine.

    `planned` is the folder with what the plan has read, used where it is there.
    """

    place: Place
    planned: str
    loads: tuple[Load, ...]

    def fetch(
        self, folder: Path | None = None, *, reads: int = READS, ahead: int = AHEAD
    ) -> Generator[Fetched]:
        """Fetch the trials in order, the next ones while one is used; `folder` is for all of it.

        `ahead` is about how many bytes come into memory before they are asked for. Close the
        iterator where it is not used up. Raises UnreadablePath, and OSError of this disk.
        """
        store = open_store(self.place)
        planned = Planned.found(self.planned)
        # Whoever planned clears away what a worker leaves that is killed.
        around = folder or (None if planned is None else self.planned)
        own = Path(os.path.realpath(tempfile.mkdtemp(prefix="evaltrace-", dir=around)))
        try:
            with Fetcher(store, reads) as fetcher:
                yield from Delivery(self, fetcher, planned, str(own), ahead).fetched(reads)
        finally:
            if planned is not None:
                planned.close()
            shutil.rmtree(own, ignore_errors=True)

    def key(self, trial: str, name: str) -> str:
        """Give the key of a trial's object; the name of a trial begins with that of the place."""
        return self.place.prefix + f"{trial}/{name}"[len(self.place.name) + 1 :]


class Delivery:
    """The trials of a parcel on their way, and what of them is on this disk meanwhile."""

    def __init__(
        self,
        parcel: Parcel,
        fetcher: Fetcher,
        planned: Planned | None,
        own: str,
        ahead: int = AHEAD,
    ) -> None:
        self._parcel, self._fetcher, self._planned, self._own = parcel, fetcher, planned, own
        self._ahead = ahead
        self._habits = Habits()
        self._waiting = deque(parcel.loads)
        self._coming: deque[tuple[Load, Arriving]] = deque()
        self._numbers = count(1)

    def fetched(self, reads: int) -> Generator[Fetched]:
        """Give the trials in order. Raises UnreadablePath, of the last when it is closed."""
        while self._waiting or self._coming:
            while self._waiting and self._has_room(2 * reads):
                load = self._waiting.popleft()
                self._coming.append((load, self._arriving(load)))
            load, first = self._coming.popleft()
            try:
                faults = first.settle()
                with supplied(first.top, first):
                    yield Fetched(Path(load.trial), Path(first.top), faults)
            finally:
                first.finish()
                if first.failure is not None:
                    raise first.failure

    def _has_room(self, most: int) -> bool:
        # Twice as many as are read at a time: nobody waits for the slowest of a trial.
        coming = [arriving for _, arriving in self._coming]
        return (
            sum(arriving.reads for arriving in coming) < most
            and sum(arriving.held for arriving in coming) < self._ahead
            and sum(arriving.begun for arriving in coming) < _ON_DISK * self._ahead
        )

    def _arriving(self, load: Load) -> Arriving:
        arriving = Arriving(
            top=f"{self._own}/{load.name}",
            files={found.key: self._file(load, found) for found in load.objects},
            fetcher=self._fetcher,
            habits=self._habits,
            hurry=self._hurry,
        )
        arriving.begin()
        return arriving

    def _file(self, load: Load, found: Object) -> File:
        if found.key in PLANNED and self._planned is not None:
            content = self._planned.content(f"{load.name}/{found.key}")
            if content is not None:  # else the plan could not fetch it
                return File(found, "", content=content, settled=True)
        whole = Object(self._parcel.key(load.name, found.key), found.size, found.tag)
        return File(whole, f"{self._own}/.{next(self._numbers)}")

    def _hurry(self) -> None:
        for _, arriving in self._coming:
            arriving.begin()
