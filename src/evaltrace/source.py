"""The files of one directory, read and never written, never followed out of it.

`Source` is how every reader opens files. It lists lazily, opens regular files only,
follows a symbolic link only inside the boundary (the job directory), bounds what it
reads, and turns whatever goes wrong into a Problem.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

import msgspec

from evaltrace.errors import Problem
from evaltrace.jsontext import Malformed, decode
from evaltrace.untrusted import printable

T = TypeVar("T")

MAX_DOCUMENT = 256 * 2**20
"""Bytes of a single JSON document that is read whole."""

MAX_LINE = 16 * 2**20
"""Bytes of one line of a JSONL file; a longer one is passed over and reported."""

MAX_ENTRIES = 100_000
"""Entries of one directory that are looked at."""

_WHOLE = 8 * 2**20
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_RUNNING = "If the job is still running, aggregate again when it has finished."
_STRAY_BYTE = re.compile("[\udc80-\udcff]")
_LEFT_OUT = "The file was left out; the trial's other files were read."
_HINTS = {"malformed_json": _RUNNING}


@dataclass(frozen=True, slots=True)
class Text:
    """A text file, or its head and tail: original length in bytes, and digest when cut."""

    text: str
    length: int
    digest: str | None


class Source:
    """A directory below a boundary; `label` is how problems name it."""

    def __init__(self, root: Path, *, boundary: Path | None = None, label: str = "") -> None:
        self.root = root
        self.label = label
        self.problems: list[Problem] = []
        self.boundary = os.path.realpath(boundary or root)
        self._reported: set[Problem] = set()
        self._links: dict[str, str] = {}
        self._listings: dict[str, dict[str, str]] = {}

    def report(self, code: str, path: str, message: str, hint: str | None = None) -> None:
        """Add a problem about a path of this directory, once."""
        name = readable("/".join(part for part in (self.label, path) if part))
        problem = Problem(code=code, path=name, message=readable(message), hint=hint)
        if problem not in self._reported:
            self._reported.add(problem)
            self.problems.append(problem)

    def folders(self, path: str = "") -> list[str]:
        """List the names of the directories in `path`, sorted."""
        return sorted(name for name, kind in self._listing(path).items() if kind == "dir")

    def files(self, path: str = "") -> list[str]:
        """List the names of the regular files in `path`, sorted."""
        return sorted(name for name, kind in self._listing(path).items() if kind == "file")

    def has(self, path: str) -> bool:
        """Tell whether a regular file lies at `path`."""
        return self._kind(path) == "file"

    def exists(self, path: str) -> bool:
        """Tell whether anything lies at `path`: a file, or something in its place."""
        return self._kind(path) is not None

    def has_folder(self, path: str) -> bool:
        """Tell whether a directory lies at `path`."""
        return path == "" or self._kind(path) == "dir"

    def walk(self, path: str, depth: int = 8) -> Iterator[str]:
        """Give the paths of all regular files below `path`, in order, to a bounded depth.

        A folder that links lead to in several ways is entered once.
        """
        if self.has_folder(path):
            yield from self._walk(path, os.path.realpath(self.root / path), depth, set())

    def _walk(self, path: str, target: str, depth: int, entered: set[str]) -> Iterator[str]:
        if target in entered:
            return
        entered.add(target)
        prefix = f"{path}/" if path else ""
        yield from (prefix + name for name in self.files(path))
        folders = self.folders(path)
        if folders and depth == 0:
            hint = "Move what belongs to the trial further up."
            self.report("nested_too_deeply", path, "the folders in it were not looked into", hint)
            return
        for name in folders:
            below = self._links.get(prefix + name) or os.path.join(target, name)
            yield from self._walk(prefix + name, below, depth - 1, entered)

    def size(self, path: str) -> int:
        """Give the size of a file in bytes, 0 where there is none."""
        try:
            return os.stat(self.root / path).st_size if self.has(path) else 0
        except OSError:
            return 0

    def read(self, path: str, limit: int = MAX_DOCUMENT) -> bytes | None:
        """Read a whole file; None (and a problem) when it is unreadable or over the limit."""
        with self._opened(path) as file:
            if file is None:
                return None
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                hint = "Cut the file down, or rely on the other sources of the trial."
                self.report("too_large", path, f"{size} bytes; at most {limit} are read", hint)
                return None
            return file.read(limit)
        return None

    def read_text(self, path: str, limit: int) -> Text | None:
        """Read a text of about `limit` bytes at most: all of it, or its head and its tail."""
        with self._opened(path) as file:
            if file is None:
                return None
            size = os.fstat(file.fileno()).st_size
            if size <= limit:
                data = file.read(limit)
                return Text(_decoded(data), len(data), None)
            return _head_and_tail(file, limit)
        return None

    def read_json(self, path: str, decoder: msgspec.json.Decoder[T]) -> T | None:
        """Read one JSON document; None (and a problem) when it cannot be used."""
        data = self.read(path)
        if data is None:
            return None
        if not data.strip():
            self.report("empty_json", path, "the file is empty", _RUNNING)
            return None
        try:
            value, mended = decode(data, decoder)
        except Malformed as fault:
            code = "malformed_json" if fault.code == "not_json" else fault.code
            self.report(code, path, str(fault), _HINTS.get(code, _LEFT_OUT))
            return None
        if mended:
            hint = "The rest was read; what is named was replaced or left out."
            self.report("mended_json", path, f"read in spite of: {mended}", hint)
        return value

    def lines(self, path: str) -> Iterator[tuple[int, memoryview | bytes]]:
        """Give the numbered, non-blank lines of a file, without their line feeds."""
        data = None
        with self._opened(path) as file:
            if file is None:
                return
            before = os.fstat(file.fileno())
            if before.st_size <= _WHOLE:
                data = file.read(_WHOLE * 2)
            else:
                yield from self._streamed(path, file)
        if data is not None:
            # Closed by now: logs that are read side by side do not use up the open files.
            yield from _split(data)
            self._compare(path, before, _status_of(self.root / path))

    def _streamed(self, path: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                length = len(line) + _skip_line(file)
                hint = "The rest of the file was read; look at this line by hand."
                self.report("line_too_long", path, f"line {number} has {length} bytes", hint)
            elif line.strip():
                yield number, line.removesuffix(b"\n")

    @contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO | None]:
        if not self.has(path):
            self._report_no_file(path)
            yield None
            return
        try:
            file = self._open(path)
        except OSError as error:
            self._unreadable(path, error)
            yield None
            return
        with file:
            before = os.fstat(file.fileno())
            try:
                yield file
            except OSError as error:
                self._unreadable(path, error)
            self._compare(path, before, os.fstat(file.fileno()))

    def _compare(self, path: str, before: os.stat_result, after: os.stat_result | None) -> None:
        was = (before.st_size, before.st_mtime_ns)
        if after is None or was != (after.st_size, after.st_mtime_ns):
            self.report("changed_while_read", path, "changed while it was read", _RUNNING)

    def _open(self, path: str) -> BinaryIO:
        # A link was checked by the listing, but may have been changed since; what it
        # resolves to is opened, not the link.
        target = os.path.realpath(self.root / path)
        if not self._inside(target):
            raise OSError("symbolic link out of the job; not followed")
        file = open(target, "rb", opener=_open_regular)  # noqa: SIM115
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError("not a regular file")
        return file

    def _inside(self, target: str) -> bool:
        return (target + os.sep).startswith(self.boundary + os.sep)

    def _kind(self, path: str) -> str | None:
        if path.startswith("/"):
            return None
        parent, _, name = path.rpartition("/")
        return self._listing(parent).get(name) if self.has_folder(parent) else None

    def _listing(self, path: str) -> dict[str, str]:
        if path not in self._listings:
            self._listings[path] = self._scan(path) if self.has_folder(path) else {}
        return self._listings[path]

    def _scan(self, path: str) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            with os.scandir(self.root / path) as entries:
                for number, entry in enumerate(entries):
                    if number >= MAX_ENTRIES:
                        message = f"more than {MAX_ENTRIES} entries; the rest was not looked at"
                        hint = "Name the jobs or trials below it one by one."
                        self.report("too_many_entries", path, message, hint)
                        break
                    kind = self._kind_of(entry, path)
                    if kind:
                        found[entry.name] = kind
        except OSError as error:
            self._unreadable(path, error)
        return found

    def _kind_of(self, entry: os.DirEntry[str], parent: str) -> str | None:
        try:
            if entry.is_symlink():
                return self._kind_of_link(entry, parent)
            if entry.is_dir(follow_symlinks=False):
                return "dir"
            if entry.is_file(follow_symlinks=False):
                return "file"
            return _kind_of_special(entry.stat(follow_symlinks=False).st_mode)
        except OSError as error:
            self._unreadable(str(PurePosixPath(parent, entry.name)), error)
            return None

    def _kind_of_link(self, entry: os.DirEntry[str], parent: str) -> str | None:
        path = str(PurePosixPath(parent, entry.name))
        target = os.path.realpath(entry.path)
        mode = _mode_of(target)
        if mode is None or stat.S_ISLNK(mode):
            what = "symbolic link to nothing" if mode is None else "symbolic link to itself"
            self.report("broken_link", path, what, "Restore its target.")
            return None
        if not self._inside(target):
            hint = "Copy the target into the job directory if it belongs to the trial."
            self.report("link_outside", path, "symbolic link out of the job; not followed", hint)
            return None
        if stat.S_ISDIR(mode):
            # A link to a folder above it would be walked for ever.
            if (os.path.realpath(self.root / parent) + os.sep).startswith(target + os.sep):
                return "link to a directory above it"
            self._links[path] = target
            return "dir"
        return "file" if stat.S_ISREG(mode) else _kind_of_special(mode)

    def _report_no_file(self, path: str) -> None:
        kind = self._kind(path)
        if kind is not None:
            what = f"a {'directory' if kind == 'dir' else kind}, not a regular file"
            self.report("not_a_file", path, what, "Put the file in its place, or remove it.")

    def _unreadable(self, path: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.report("unreadable", path, reason, "Check the permissions and the disk.")


def path_in(folder: str, name: str) -> str:
    """Give the path of a name in a folder of a source, whose top is the empty path."""
    return f"{folder}/{name}" if folder else name


def spelled(name: str) -> str:
    """Spell out the bytes of a file's name that are no UTF-8, as `\\xff`: names stay apart."""
    return _STRAY_BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)


def readable(text: str) -> str:
    """Give a name, or a text that holds names, as one printable line."""
    return printable(spelled(text)).replace("\n", "\\n").replace("\t", "\\t")


def _status_of(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _mode_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind_of_special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "named pipe"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def _open_regular(path: str, _flags: int) -> int:
    return os.open(path, _OPEN)


def _decoded(data: bytes) -> str:
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def _split(data: bytes) -> Iterator[tuple[int, memoryview]]:
    # Slices of one buffer: a line that is skipped costs nothing.
    view = memoryview(data)
    start, number, end = 0, 0, len(data)
    while start < end:
        stop = data.find(b"\n", start)
        stop = end if stop < 0 else stop
        number += 1
        if data[start] > 32 or data[start:stop].strip():
            yield number, view[start:stop]
        start = stop + 1


def _skip_line(file: BinaryIO) -> int:
    skipped = 0
    while chunk := file.readline(2**20):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped


def _head_and_tail(file: BinaryIO, limit: int) -> Text:
    """Read head and tail, and the digest of the whole, in bounded memory."""
    half = max(limit // 2, 1)
    head = file.read(half)
    hasher, tail, length = sha256(head), b"", len(head)
    while chunk := file.read(2**20):
        hasher.update(chunk)
        length += len(chunk)
        tail = (tail + chunk)[-half:]
    head, tail = _until_character(head), tail[_character_start(tail) :]
    cut = f"\n[... {length - len(head) - len(tail)} bytes cut ...]\n"
    return Text(_decoded(head) + cut + _decoded(tail), length, f"sha256:{hasher.hexdigest()}")


def _character_start(data: bytes) -> int:
    """Give the place of the first byte that may begin a character; a character has up to four."""
    return next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)


def _until_character(data: bytes) -> bytes:
    """Leave out a character of which only the first bytes are there."""
    for size in range(1, min(4, len(data) + 1)):
        byte = data[-size]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-size] if needed > size else data
    return data
