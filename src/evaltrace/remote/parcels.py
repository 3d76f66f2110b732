"""Trials on their way: what is to be fetched, as a value, and the fetching itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from evaltrace.errors import Problem
from evaltrace.remote.fetching import READS, Fault, Fetcher, Pending, Wanted
from evaltrace.remote.names import is_never_read
from evaltrace.remote.opening import open_store
from evaltrace.remote.places import Place
from evaltrace.remote.stores import Object
from evaltrace.source import readable

PLANNED = ("config.json", "lock.json", "result.json", "agent/command-0/command.txt")
"""Files of a trial that the plan has read already."""


_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """The objects of one trial, with keys from its folder on; `trial` is its path in the plan."""

    trial: str
    name: str
    objects: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A trial that lies on this disk until the next one is asked for.

    `trial` is its path in the plan, `path` where it is now, with its job's folder around it.
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

    `planned` is the folder in which the plan's own files lie, used where it is there.
    """

    place: Place
    planned: str
    loads: tuple[Load, ...]

    def fetch(self, folder: Path | None = None, *, reads: int = READS) -> Generator[Fetched]:
        """Fetch the trials in order, the next ones while one is used; `folder` is for all of it.

        Close the iterator where it is not used up. Raises UnreadablePath.
        """
        store = open_store(self.place)
        own = Path(os.path.realpath(tempfile.mkdtemp(prefix="evaltrace-", dir=folder)))
        try:
            with Fetcher(store, reads) as fetcher:
                yield from _Delivery(self, fetcher, str(own)).fetched(reads)
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def key(self, trial: str, name: str) -> str:
        """Give the key of a trial's object; the name of a trial begins with that of the place."""
        return self.place.prefix + f"{trial}/{name}"[len(self.place.name) + 1 :]


class _Coming(NamedTuple):
    load: Load
    path: str
    folders: frozenset[str]
    pending: list[Pending]


class _Delivery:
    """The trials of a parcel on their way into a folder, and out of it again."""

    def __init__(self, parcel: Parcel, fetcher: Fetcher, own: str) -> None:
        self._parcel, self._fetcher, self._own = parcel, fetcher, own
        # Trials of a job have the same folders: emptied ones are cheaper than new ones.
        self._spare: dict[frozenset[str], list[str]] = defaultdict(list)

    def fetched(self, reads: int) -> Iterator[Fetched]:
        waiting = deque(self._parcel.loads)
        coming: deque[_Coming] = deque()
        under_way = 0
        while waiting or coming:
            # Twice as many as are read at a time: nobody waits for the slowest of a trial.
            while waiting and under_way < 2 * reads:
                coming.append(self._submit(waiting.popleft()))
                under_way += len(coming[-1].pending)
            first = coming.popleft()
            under_way -= len(first.pending)
            yield Fetched(Path(first.load.trial), Path(first.path), self._faults(first))
            self._clear(first)

    def _submit(self, load: Load) -> _Coming:
        path = f"{self._own}/{load.name}"
        folders = self._make_folders(path, load)
        pending: list[Pending] = []
        for found in load.objects:
            target = f"{path}/{found.key}"
            if found.key in PLANNED and self._link(load, found.key, target):
                continue
            if is_never_read(found.key):
                with open(target, "xb") as file:
                    file.truncate(found.size)
                continue
            whole = Object(self._parcel.key(load.name, found.key), found.size, found.tag)
            pending.append(self._fetcher.submit(Wanted(whole, target)))
        return _Coming(load, path, folders, pending)

    def _make_folders(self, path: str, load: Load) -> frozenset[str]:
        folders: set[str] = set()
        for found in load.objects:
            folder = found.key.rpartition("/")[0]
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        kind = frozenset(folders)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self._spare[kind]:
            os.rename(self._spare[kind].pop(), path)  # noqa: PTH104 - one of very many
        else:
            for folder in ("", *sorted(folders)):
                os.mkdir(f"{path}/{folder}")  # noqa: PTH102 - one of very many
        return kind

    def _link(self, load: Load, name: str, target: str) -> bool:
        """Take a file that the plan has fetched; False where it is not on this disk."""
        try:
            os.link(f"{self._parcel.planned}/{load.name}/{name}", target)
        except OSError:
            return False
        return True

    def _faults(self, coming: _Coming) -> tuple[tuple[str, Fault], ...]:
        start = len(coming.path) + 1
        settled = [(row.wanted.path[start:], self._fetcher.settle(row)) for row in coming.pending]
        return tuple((name, fault) for name, fault in settled if fault)

    def _clear(self, coming: _Coming) -> None:
        """Remove a trial's files, and keep its folders for another one."""
        try:
            for found in coming.load.objects:
                os.unlink(f"{coming.path}/{found.key}")  # noqa: PTH108 - one of very many
            spare = f"{self._own}/.spare-{next(_NUMBERS)}"
            os.rename(coming.path, spare)  # noqa: PTH104
        except OSError:  # what was removed meanwhile left another shape
            shutil.rmtree(coming.path)
            return
        self._spare[coming.folders].append(spare)
