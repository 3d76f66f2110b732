"""Where parts lie: in a folder that stays, or in one that is there for a while."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path

import msgspec

from evaltrace.aggregate.joining import Sharded
from evaltrace.aggregate.outputs import check_output
from evaltrace.aggregate.parts import Done, Outcome, Shard
from evaltrace.aggregate.sharding import Map, plan_id
from evaltrace.errors import OutputFailure
from evaltrace.files import Folder, LocalFolder, committed, remove_folder
from evaltrace.plan import Plan
from evaltrace.remote import is_url
from evaltrace.summary import Summary
from evaltrace.version import __version__

SUCCESS = "_SUCCESS.json"
"""What is committed last: the output is whole."""
_SHARDS = 12
"""Shards for each processor: more end together more evenly, but each is a file."""


class Success(msgspec.Struct, kw_only=True):
    """What a finished run tells of itself, `sha256` and `bytes` of the output if it is a file."""

    evaltrace: str
    plan: str
    trials: int
    traces: int
    problems: int
    sha256: str | None = None
    bytes: int | None = None


@contextmanager
def sharded_through(
    map: Map, plan: Plan, parts: str | Path | None, output: str | Path | None
) -> Iterator[Sharded]:
    """Hold an engine and the folder of parts together: the one named, or one for a while.

    Raises OutputFailure.
    """
    if parts is None:
        with temporary_parts(output) as folder, _ended(map) as engine:
            yield Sharded(engine, folder, _SHARDS * max(os.cpu_count() or 1, 2), plan.spools)
    else:
        yield Sharded(map, open_parts(plan, parts), spools=plan.spools)


@contextmanager
def _ended(map: Map) -> Iterator[Map]:
    """Give an engine whose work ends with the block: what goes wrong elsewhere leaves it running.

    A worker would write into a folder that is being removed.
    """
    begun: list[Iterable[Outcome]] = []

    def engine(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterable[Outcome]:
        begun.append(map(work, shards))
        return begun[-1]

    try:
        yield engine
    finally:
        for outcomes in begun:
            if isinstance(outcomes, Generator):
                outcomes.close()


def open_parts(plan: Plan, parts: str | Path) -> Folder:
    """Open a folder of parts that stays, for a plan.

    What an earlier plan told of its success is taken back. Raises OutputFailure.
    """
    if is_url(parts):
        folder = _remote_folder(str(parts))
    else:
        check_output(plan, Path(parts, SUCCESS), "--parts")
        folder = LocalFolder(parts)
        if Path(parts).is_file():
            hint = "Parts are many files: name a folder with --parts, it is made if it is missing."
            raise OutputFailure("the folder of parts is a file", where=str(parts), hint=hint)
    with suppress(FileNotFoundError):
        if _plan_of(folder.read(SUCCESS)) != plan_id(plan.entries, plan.options):
            folder.remove(SUCCESS)
    return folder


def _plan_of(text: bytes) -> str | None:
    try:
        return msgspec.json.decode(text, type=Success).plan
    except msgspec.MsgspecError:
        return None


def _remote_folder(url: str) -> Folder:
    from evaltrace.remote import RemoteFolder

    return RemoteFolder(url)


@contextmanager
def temporary_parts(output: str | Path | None = None) -> Iterator[LocalFolder]:
    """Make a folder of parts beside the output for a while; clear away what dead runs left."""
    place = _folder_beside(output)
    for old in place.glob(".evaltrace-*.parts"):
        _remove_if_dead(old)
    path, lock = _new_folder(place)
    try:
        yield LocalFolder(path, durable=False)
    finally:
        remove_folder(path)
        os.close(lock)


def _folder_beside(output: str | Path | None) -> Path:
    """Give the folder of the output, as parts are joined at no cost on one file system."""
    if output is None or (Path(output).exists() and not Path(output).is_file()):
        return Path(tempfile.gettempdir())
    target = Path(os.path.realpath(output))
    return target.parent if target.parent.is_dir() else Path(tempfile.gettempdir())


def _new_folder(place: Path) -> tuple[Path, int]:
    while True:
        path = Path(place, f".evaltrace-{os.getpid()}-{os.urandom(6).hex()}.parts")
        try:
            path.mkdir(0o700)
            lock = _own(path)
        except FileExistsError:
            continue
        except BaseException:  # an interrupt may come as soon as it is there
            remove_folder(path)
            raise
        if lock is not None:
            if path.is_dir():
                return path, lock
            os.close(lock)


def _own(path: Path) -> int | None:
    """Open and lock a new folder; None where another run takes it for dead and removes it."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:  # no locks here: others leave it alone as well
        pass
    return lock


def _remove_if_dead(path: Path) -> None:
    """Remove a folder of parts whose run is gone, as its lock tells."""
    lock = _locked(path)
    if lock is not None:
        remove_folder(path)
        os.close(lock)


def _locked(path: Path) -> int | None:
    """Open and lock a folder; the lock ends with its process, however that ends."""
    lock = None
    try:
        lock = os.open(path, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if lock is not None:
            os.close(lock)
        return None
    return lock


def commit_success(folder: Folder, plan: Plan, summary: Summary, output: str | Path | None) -> None:
    """Commit that the output is whole, and clear away what was begun. Raises OutputFailure."""
    success = Success(
        evaltrace=__version__,
        plan=plan_id(plan.entries, plan.options),
        trials=len(plan.entries),
        traces=summary.traces,
        problems=sum(problem.count for problem in summary.problems),
    )
    if output is not None and Path(output).is_file():
        success.sha256, success.bytes = _digest(Path(output))
    folder.remove(SUCCESS)
    with committed(folder, SUCCESS) as file:
        file.write(msgspec.json.format(msgspec.json.encode(success)) + b"\n")
    if isinstance(folder, LocalFolder):
        folder.clear(success.plan)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest(), file.tell()
