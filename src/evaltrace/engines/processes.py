"""Processes on this machine: each takes shards over a pipe, one that dies is replaced.

A pool of the standard library gives up all work when one process is killed, as the system
does when memory ends. Here the shard alone is lost, and the caller is told.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from evaltrace.aggregate import Done, Lost, Map, Outcome, Shard, heavy_first
from evaltrace.engines.following import follow, silence, undisturbed
from evaltrace.errors import EngineFailure, EvaltraceError

Work = Callable[[Shard], Done]

_AHEAD = 2
"""How many shards a worker holds: the next one waits with it while an outcome travels."""
_FALSE_STARTS = 3
_TASKS = Path("/proc/self/task")
_PRELOADED = ("jsonschema_rs", "unidiff")
"""What every trial needs and takes long to load: forked workers find it loaded."""


@contextmanager
def processes(workers: int) -> Iterator[Map]:
    """Give an engine of worker processes on this machine; they end with the block.

    On Linux, where this process has one thread, workers share its memory; elsewhere they
    load the program again, and a script that uses them must be guarded by
    `if __name__ == "__main__":`. Raises EngineFailure where none can be started.
    """
    crews: list[_Crew] = []

    def engine(work: Work, shards: Sequence[Shard]) -> Iterator[Outcome]:
        crew = _Crew(work, shards)
        crews.append(crew)
        try:
            yield from crew.outcomes(workers)
        finally:
            crew.end()

    try:
        yield engine
    finally:
        for crew in crews:
            crew.end()


@dataclass(slots=True, eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection[int, Any]
    held: deque[int]
    begun: bool = False


class _Crew:
    """The workers that do one sequence of shards; these are told by their index."""

    def __init__(self, work: Work, shards: Sequence[Shard]) -> None:
        self.work = work
        self.shards = shards
        self.workers: list[_Worker] = []
        self.false_starts = 0
        index = {shard.name: number for number, shard in enumerate(shards)}
        self.waiting: Iterator[int] = iter([index[shard.name] for shard in heavy_first(shards)])
        method = _start_method()
        self.forked = method == "fork"
        self.context: Any = multiprocessing.get_context(method)

    def outcomes(self, number: int) -> Iterator[Outcome]:
        """Start workers and give outcomes as they come."""
        if self.forked:
            for name in _PRELOADED:
                import_module(name)
        with _frozen():
            for first in islice(self.waiting, number):
                if not self._start([first]):
                    break
        while self.workers:
            for pipe in wait([worker.pipe for worker in self.workers]):
                worker = next(worker for worker in self.workers if worker.pipe is pipe)
                outcome = self._heard(worker)
                if outcome is not None:
                    yield outcome

    def end(self) -> None:
        """End all workers at once, whatever they do."""
        for worker in self.workers:
            worker.process.kill()
        while self.workers:
            self._dismiss(self.workers[-1])

    def _start(self, held: Sequence[int]) -> bool:
        """Start a worker with the shards that it begins with; else leave them to the others.

        Raises EngineFailure where there are no others.
        """
        try:
            process, pipe = self._process()
        except OSError as error:  # no more processes, or no more files
            if not self.workers:
                hint = "Use --workers 1, or allow more processes and open files."
                reason = error.strerror or str(error)
                what = f"No worker process can be started ({reason})"
                raise EngineFailure(what, hint=hint) from error
            self.waiting = chain(held, self.waiting)
            return False
        worker = _Worker(process, pipe, deque())
        self.workers.append(worker)
        for index in held:
            _give(worker, index)
        self._fill(worker)
        return True

    def _process(self) -> tuple[BaseProcess, Connection[int, Any]]:
        ours, theirs = self.context.Pipe()
        # A pipe ends when nobody holds its other end: a fork must not hold those of others.
        inherited = [ours, *(worker.pipe for worker in self.workers)] if self.forked else []
        parent = os.getpid() if self.forked else None
        process = self.context.Process(
            target=_serve,
            args=(self.work, self.shards, theirs, parent, inherited, dict(os.environ)),
            daemon=True,
        )
        try:
            with undisturbed():
                process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def _fill(self, worker: _Worker) -> None:
        for index in islice(self.waiting, max(_AHEAD - len(worker.held), 0)):
            _give(worker, index)

    def _heard(self, worker: _Worker) -> Outcome | None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if message is None:
            worker.begun = True
            return None
        if isinstance(message, EvaltraceError):
            raise message
        worker.held.popleft()
        self._fill(worker)
        if not worker.held:
            self._dismiss(worker)
        outcome: Done = message
        return outcome

    def _bury(self, worker: _Worker) -> Lost | None:
        """Replace a worker that died; what it had begun is lost."""
        self._dismiss(worker)
        reason = _told(worker.process.exitcode)
        lost = None
        if worker.begun:
            lost = Lost(self.shards[worker.held.popleft()].name, reason)
        else:
            self.false_starts += 1
            if self.false_starts >= _FALSE_STARTS:
                raise EngineFailure(f"worker processes end before they begin ({reason})")
        held = list(worker.held) or list(islice(self.waiting, 1))
        if held:
            self._start(held)
        return lost

    def _dismiss(self, worker: _Worker) -> None:
        """Let a worker end that has nothing left to do, or that has ended."""
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join()


def _give(worker: _Worker, index: int) -> None:
    worker.held.append(index)
    with suppress(OSError):  # it died: that is heard when its pipe is read
        worker.pipe.send(index)


def _serve(
    work: Work,
    shards: Sequence[Shard],
    pipe: Connection[Any, int],
    parent: int | None,
    inherited: Sequence[Connection[Any, Any]],
    environment: dict[str, str],
) -> None:
    """Be a worker, until the pipe ends."""
    # A server that forks has the environment of the time when it was started.
    os.environ.update(environment)
    follow(parent)
    silence()
    for other in inherited:
        other.close()
    with suppress(EOFError, OSError):
        pipe.send(None)
        while True:
            pipe.send(_outcome(work, shards[pipe.recv()]))


def _outcome(work: Work, shard: Shard) -> Done | EvaltraceError:
    try:
        return work(shard)
    except EvaltraceError as error:
        return error
    except MemoryError:  # like a worker that the system ended: its trials are tried one by one
        os.kill(os.getpid(), signal.SIGKILL)
        raise
    except Exception as error:  # one that may be no value that can be sent
        return EngineFailure(f"{type(error).__name__}: {error}", where=shard.name)


def _start_method() -> str:
    """Choose how to start processes: by fork where no other thread could hold a lock."""
    if sys.platform != "linux":
        return "spawn"
    try:
        threads = len(list(_TASKS.iterdir()))
    except OSError:
        threads = threading.active_count()
    return "fork" if threads == 1 else "forkserver"


@contextmanager
def _frozen() -> Iterator[None]:
    """Keep the collector off what is there: a look at it would copy it for every worker."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _told(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
