"""A folder whose files are committed: each appears whole, once, and is never replaced.

What writes into it may die at any point and be started again: a name that is there holds
what was to be written. `LocalFolder` is such a folder on a disk; others have its shape.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO, Protocol

from evaltrace.errors import OutputFailure

_UNFINISHED = ".evaltrace-"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Folder(Protocol):
    """The shape of every folder of committed files; it can be pickled."""

    @property
    def place(self) -> str:
        """Where it is, as the user would name it."""

    def names(self) -> set[str]:
        """Name what is committed. Raises OutputFailure."""

    def commit(self, name: str, source: Path) -> bool:
        """Commit a finished local file under a name; False if the name was there already.

        The source is gone afterwards. Raises OutputFailure.
        """

    def open(self, name: str) -> BinaryIO:
        """Open what was committed; raises FileNotFoundError."""

    def read(self, name: str) -> bytes:
        """Read what was committed; raises FileNotFoundError."""

    def remove(self, name: str) -> None:
        """Remove what was committed, if it is there."""

    def local(self, name: str) -> Path | None:
        """Give the path of what was committed where it is a file of this machine."""

    def scratch(self) -> str:
        """Give the folder for unfinished files, from where a commit costs no copy.

        Empty where only the system's own will do. Raises OutputFailure.
        """


class LocalFolder:
    """A folder on a disk; what is committed to a durable one outlives a power failure."""

    def __init__(self, path: str | Path, *, durable: bool = True) -> None:
        self.place = str(path)
        # Others open it from where they run.
        self.path = str(Path(path).absolute())
        self.durable = durable

    def names(self) -> set[str]:
        """Name what is committed."""
        try:
            return {
                path.name
                for path in Path(self.path).iterdir()
                if not path.name.startswith(_UNFINISHED)
            }
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise _failure("cannot list the folder", Path(self.path), error) from error

    def commit(self, name: str, source: Path) -> bool:
        """Give a finished file its name, if that is not taken."""
        target = Path(self.path, name)
        try:
            if self.durable:
                _flush(source)
            return _take_name(source, target)
        except OSError as error:
            # Who finds all committed clears away what is unfinished, as this was.
            if target.exists():
                return False
            raise _failure("cannot commit", target, error) from error
        finally:
            with suppress(OSError):
                source.unlink()

    def open(self, name: str) -> BinaryIO:
        """Open what was committed."""
        return Path(self.path, name).open("rb")

    def read(self, name: str) -> bytes:
        """Read what was committed."""
        return Path(self.path, name).read_bytes()

    def remove(self, name: str) -> None:
        """Remove what was committed."""
        Path(self.path, name).unlink(missing_ok=True)

    def local(self, name: str) -> Path | None:
        """Give the path of what was committed."""
        return Path(self.path, name)

    def scratch(self) -> str:
        """Give the folder itself, made if it is missing."""
        try:
            Path(self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failure("cannot make the folder", Path(self.path), error) from error
        return self.path

    def clear(self, part: str) -> None:
        """Remove what was begun and not committed under names that have this part.

        Nobody will finish it; what has other names may be somebody's who is at work.
        """
        for path in Path(self.path).glob(f"{_UNFINISHED}*{escape(part)}*.tmp"):
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _take_name(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The last of two that commit at once wins; what they hold is the same.
        if target.exists():
            return False
        source.replace(target)
    return True


def _failure(what: str, path: Path, error: OSError) -> OutputFailure:
    reason = error.strerror or str(error)
    hint = "Check the disk and the permissions; run again to go on from here."
    return OutputFailure(f"{what} ({reason})", where=str(path), hint=hint)


@contextmanager
def committed(folder: Folder, name: str) -> Iterator[BinaryIO]:
    """Open a file that is committed under a name when the block ends, or not at all.

    Raises OutputFailure.
    """
    # Many machines may share the folder: neither process number nor host name is their own.
    unique = f"{_UNFINISHED}{name}-{os.urandom(8).hex()}.tmp"
    path = Path(folder.scratch() or tempfile.gettempdir(), unique)
    try:
        with path.open("xb") as file:
            yield file
        folder.commit(name, path)
    except OSError as error:
        raise _failure("cannot write", path.parent / name, error) from error
    finally:
        path.unlink(missing_ok=True)
