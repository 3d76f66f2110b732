"""Work that kills the process it runs in: as memory that ends does, or a machine that stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltrace.aggregate import Done, Map, Outcome, Shard


@dataclass(frozen=True)
class Deadly:
    """Work that ends its process by SIGKILL; it can be sent to other processes.

    Once for each shard whose first trial's task is in `before` or `after` its commit, and
    always for a trial of a task in `always`. Each death leaves a file in the folder `deaths`.
    """

    work: Callable[[Shard], Done]
    deaths: Path
    before: Collection[str] = ()
    after: Collection[str] = ()
    always: Collection[str] = ()

    def __call__(self, shard: Shard) -> Done:
        tasks = [entry.task for entry in shard.entries]
        if set(tasks) & set(self.always):
            self._die(f"always-{shard.name}-{os.getpid()}")
        if tasks[0] in self.before:
            self._die(f"before-{tasks[0]}")
        done = self.work(shard)
        if tasks[0] in self.after:
            self._die(f"after-{tasks[0]}")
        return done

    def _die(self, name: str) -> None:
        try:
            (self.deaths / name).touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Failing:
    """Work that raises."""

    error: Exception

    def __call__(self, shard: Shard) -> Done:
        raise self.error


@dataclass(frozen=True)
class Hungry:
    """Work for which there is no memory where a trial is of one of the tasks."""

    work: Callable[[Shard], Done]
    tasks: Collection[str]

    def __call__(self, shard: Shard) -> Done:
        if {entry.task for entry in shard.entries} & set(self.tasks):
            raise MemoryError
        return self.work(shard)


@dataclass(frozen=True)
class Signing:
    """Work that leaves the number of its process in a folder."""

    work: Callable[[Shard], Done]
    folder: Path

    def __call__(self, shard: Shard) -> Done:
        (self.folder / str(os.getpid())).touch()
        return self.work(shard)


def deadly(map: Map, deaths: Path, **when: Collection[str]) -> Map:
    """Give an engine whose work kills workers, as Deadly says."""
    deaths.mkdir(exist_ok=True)

    def engine(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterable[Outcome]:
        return map(Deadly(work, deaths, **when), shards)

    return engine


def wait_for_end(session: int) -> None:
    """Wait until all processes of a session have ended; fail if one stays."""
    deadline = time.monotonic() + 20
    while left := _running_in(session):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _running_in(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def without(document: dict[str, Any], tasks: Collection[str]) -> list[Any]:
    """Give the traces of a document that are not of these tasks."""
    return [trace for trace in document["traces"] if trace["task"]["name"] not in tasks]
