"""Files that appear whole or not at all; what stood in their place can be archived."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

from evaltrace.errors import OutputFailure

ARCHIVE = Path("history/runs")
"""Where earlier outputs are moved to, a folder a day."""

_DEAD_AFTER = 86_400
"""Seconds without a write after which a temporary file that nobody has locked is of no use.

So many, as some file systems do not tell one machine what another has locked.
"""


@contextmanager
def whole_file(path: Path, archive_to: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file that appears complete when the block ends, or not at all.

    A link is written through, an existing file keeps its permissions. What cannot be
    replaced, such as /dev/null or a named pipe, is written directly. An existing file goes
    to the folder `archive_to` right before the new one takes its place; a name that is
    taken there gets -2, -3 and so on before its suffix. Of a link, its target goes there.
    Raises OutputFailure; any exception leaves files and folders as they were.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        # Asked of the path as it is: /dev/stdout can be a pipe, which has no other name.
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
            return
        archived = _archived(path, archive_to) if archive_to else nullcontext()
        with _folder(target.parent), _replacement(target, archived) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _output_failure("Cannot write the output", path, error) from error


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder; when the block fails, take back what was made."""
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in missing:
            with suppress(OSError):  # somebody else may use it by now
                place.rmdir()
        raise


@contextmanager
def _replacement(target: Path, archived: AbstractContextManager[object]) -> Iterator[BinaryIO]:
    _remove_dead(target.parent)
    temporary = _new_name(target.parent)
    # Opened within: an interrupt may come as soon as the file is there.
    try:
        with temporary.open("xb") as file:
            _lock(file)
            yield file
            file.flush()
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            os.fsync(file.fileno())
        with archived:
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _new_name(folder: Path) -> Path:
    # Not tempfile: its files are closed to everybody else, whatever the umask says.
    # Nor the process alone: in containers that share a folder each has the same number.
    return folder / f".evaltrace-{os.getpid()}-{int.from_bytes(os.urandom(6))}.tmp"


def _remove_dead(folder: Path) -> None:
    """Remove what killed writers left."""
    for path in folder.glob(".evaltrace-[0-9]*-[0-9]*.tmp"):
        with suppress(OSError):
            if not path.is_file() or time.time() - path.stat().st_mtime < _DEAD_AFTER:
                continue
            with path.open("rb") as file:
                if _lock(file):
                    path.unlink()


def _lock(file: BinaryIO) -> bool:
    """Try to lock a file until it is closed; False where another has it, or nobody can."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _output_failure(what: str, path: Path, error: OSError) -> OutputFailure:
    reason = error.strerror or str(error)
    hint = "Check that the folder may be written to and has space left, or name another file."
    return OutputFailure(f"{what} ({reason})", where=str(path), hint=hint)


@contextmanager
def _archived(path: Path, folder: Path) -> Iterator[None]:
    """Keep an existing file in the folder too, so that it is never missing in its place."""
    if not path.is_file():
        yield
        return
    with ExitStack() as made:
        try:
            made.enter_context(_folder(folder))
            old = path.stat().st_ino
            kept = _keep(path, folder)
        except OSError as error:
            raise _output_failure("Cannot move the earlier output", path, error) from error
        try:
            yield
        except BaseException:
            if path.stat().st_ino == old:  # else what is kept is the only one left
                kept.unlink(missing_ok=True)
            raise


def _keep(path: Path, folder: Path) -> Path:
    names = chain([path.name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))
    for name in names:
        try:
            _link_or_copy(os.path.realpath(path), folder / name)
        except FileExistsError:
            continue
        return folder / name
    raise AssertionError


def _link_or_copy(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        target.open("xb").close()
        try:
            shutil.copy2(source, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
