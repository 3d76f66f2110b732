"""Makes one operation on files fail: the N-th below a folder, in this process and its forks.

Operations are those that change something: opening to write, writing, closing, syncing,
renaming, linking, removing, making, cutting, locking. They are those of Python; what C code
does (SQLite, Arrow) is met by `limited`, which is the system's own limit, and so short writes
and errors are real.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import mmap
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

ERRORS = ("ENOSPC", "EIO", "EACCES")
"""One operation fails so, all others succeed."""
KINDS = (*ERRORS, "short", "full", "gone", "SIGKILL", "SIGTERM", "SIGINT", "SIGTERM+", "SIGINT+")
"""short: half is written; full: from then on nothing can grow; gone: nothing works any more.

A signal comes right before the operation, with a + right after it.
"""

_GROWING = {"open", "write", "mkdir", "link", "sendfile", "copy"}
_WRITE = os.write
_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Fault:
    """The `at`-th operation below a folder fails; with 0 none does, they are only counted."""

    folder: str
    kind: str = ""
    at: int = 0
    number: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 8))
    """How many were met; shared with forked processes, so that one of all fails."""
    due: bool = False
    told: int | None = None
    """A descriptor that each operation is written to, so that it is known after a kill."""

    def meet(self, operation: str, place: Any, parent: int | None = None) -> bool:
        """Count an operation and fail if it is its turn; True where half is to be written."""
        path = _path_of(place, parent)
        if path is None or not f"{path}/".startswith(f"{self.folder}/"):
            return False
        number = int.from_bytes(self.number[:8], "little") + 1
        self.number[:8] = number.to_bytes(8, "little")
        if self.told is not None:
            line = f"{operation} {path[len(self.folder) + 1 :]}\n"
            _WRITE(self.told, line.encode(errors="replace"))
        if not self.at or number < self.at:
            return False
        later = number > self.at
        if self.kind == "short":
            return not later and operation == "write"
        if self.kind.startswith("SIG"):
            self.due = not later
            if not self.kind.endswith("+"):
                self.passed()
            return False
        self._raise(operation, path, later)
        return False

    def passed(self) -> None:
        """Send the signal that is due."""
        if self.due:
            self.due = False
            os.kill(os.getpid(), signal.Signals[self.kind.rstrip("+")])

    def _raise(self, operation: str, path: str, later: bool) -> None:
        if self.kind == "full":
            if operation in _GROWING:
                raise _error(errno.ENOSPC, path)
        elif self.kind == "gone":
            raise _error(errno.EIO, path)
        elif not later:
            raise _error(getattr(errno, self.kind), path)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


def _path_of(place: Any, parent: int | None = None) -> str | None:
    if hasattr(place, "fileno"):
        place = place.fileno()
    try:
        if isinstance(place, int):
            return os.readlink(f"/proc/self/fd/{place}").removesuffix(" (deleted)")
        path = os.fsdecode(place)
        if parent is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{parent}"), path)
        return os.path.abspath(path)
    except OSError:
        return None


def install(fault: Fault) -> None:
    """Let all operations of this process pass through a fault, for good."""
    for name in ("unlink", "remove", "mkdir", "rmdir", "truncate", "chmod", "utime"):
        setattr(os, name, _of_a_path(fault, name, getattr(os, name)))
    for name in ("rename", "replace", "link", "symlink"):
        setattr(os, name, _of_two_paths(fault, name, getattr(os, name)))
    for name in ("fsync", "fdatasync", "ftruncate", "fchmod"):
        setattr(os, name, _of_a_path(fault, name, getattr(os, name)))
    os.sendfile = _sendfile(fault, os.sendfile)
    fcntl.flock = _of_a_path(fault, "flock", fcntl.flock)
    os.open = _os_open(fault, os.open)
    os.write = _os_write(fault, os.write)
    opened = _io_open(fault, io.open)
    for module in (builtins, io, import_module("_io")):
        module.open = opened  # type: ignore[attr-defined]


def _of_a_path(fault: Fault, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def act(place: Any, *args: Any, **more: Any) -> Any:
        fault.meet(name, place, more.get("dir_fd"))
        try:
            return real(place, *args, **more)
        finally:
            fault.passed()

    return act


def _of_two_paths(fault: Fault, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def act(source: Any, target: Any, **more: Any) -> Any:
        fault.meet(name, target)
        try:
            return real(source, target, **more)
        finally:
            fault.passed()

    return act


def _sendfile(fault: Fault, real: Callable[..., Any]) -> Callable[..., Any]:
    def act(out: int, *args: Any, **more: Any) -> Any:
        fault.meet("sendfile", out)
        return real(out, *args, **more)

    return act


def _os_open(fault: Fault, real: Callable[..., int]) -> Callable[..., int]:
    def act(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & _FLAGS:
            fault.meet("open", path, more.get("dir_fd"))
        try:
            return real(path, flags, *args, **more)
        finally:
            fault.passed()

    return act


def _os_write(fault: Fault, real: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    def act(place: int, content: Any) -> int:
        half = fault.meet("write", place)
        try:
            return real(place, memoryview(content)[: (len(content) + 1) // 2] if half else content)
        finally:
            fault.passed()

    return act


def _io_open(fault: Fault, real: Callable[..., Any]) -> Callable[..., Any]:
    class Raw(io.FileIO):
        def write(self, content: Any) -> int:
            half = fault.meet("write", self)
            shown = memoryview(content)
            try:
                return super().write(shown[: (len(shown) + 1) // 2] if half else shown)
            finally:
                fault.passed()

        def close(self) -> None:
            was_open, path = not self.closed, None if self.closed else _path_of(self)
            super().close()
            if was_open and path is not None:
                fault.meet("close", path)
                fault.passed()

    def act(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **more: Any) -> Any:
        if not set(mode) & set("wxa+") or isinstance(file, int):
            return real(file, mode, buffering, *args, **more)
        fault.meet("open", file)
        raw = Raw(file, mode.replace("b", "").replace("t", ""), opener=more.pop("opener", None))
        if "b" in mode and buffering == 0:
            return raw
        fault.passed()
        wrapped = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return wrapped if "b" in mode else io.TextIOWrapper(wrapped, *args[:3], **more)

    return act


def limit_files(size: int) -> None:
    """Let no file of this process and its children grow beyond a size, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def files_below(folder: Path) -> dict[str, bytes]:
    """Give all files of a folder by their names within it; of a link, where it points to."""
    return {
        str(path.relative_to(folder)): os.fsencode(os.readlink(path))
        if path.is_symlink()
        else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() or path.is_symlink()
    }


def folders_below(folder: Path) -> list[str]:
    """List all folders of a folder by their names within it."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_dir() and not path.is_symlink()
    ]
