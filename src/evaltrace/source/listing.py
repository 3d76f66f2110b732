"""The folders of one directory as they are listed, and the way to open what lies in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from evaltrace.errors import Problem
from evaltrace.source.names import path_in, readable
from evaltrace.source.stamps import Seen, Stamp, status_of, to_stamp
from evaltrace.source.supplies import supply_of

MAX_ENTRIES = 100_000
"""Entries of one directory that are looked at."""

RUNNING = "If the job is still running, aggregate again when it has finished."
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
Opened = tuple[int, os.stat_result]
"""A descriptor, and what the file was when it was opened."""

_OPEN_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class Listing:
    """A directory below a boundary; `label` is how problems name it."""

    def __init__(
        self, root: str | Path, *, boundary: str | Path | None = None, label: str = ""
    ) -> None:
        self.label = label
        self.problems: list[Problem] = []
        self._reported: set[Problem] = set()
        self._top = os.fspath(root)
        self._boundary = self._top if boundary is None else os.fspath(boundary)
        self._places: dict[str, str] = {"": self._top}
        self._linked: set[str] = set()
        self._listings: dict[str, dict[str, str]] = {}
        self._seen: dict[str, Seen] = {}
        self._supply = supply_of(self._top)

    @property
    def root(self) -> Path:
        """The directory itself."""
        # Made when asked for: the names in a Path are interned, of many trials too many.
        return Path(self._top)

    @property
    def boundary(self) -> str:
        """The directory that no link is followed out of, as it lies on the disk."""
        return os.path.realpath(self._boundary)

    @property
    def looked_at(self) -> dict[str, Stamp]:
        """What was listed, opened or followed so far, by path; "" is the directory itself.

        A file that was only listed is not in it: its folder's stamp tells that it is there.
        """
        return {path: to_stamp(seen) for path, seen in self._seen.items()}

    def report(self, code: str, path: str, message: str, hint: str | None = None) -> None:
        """Add a problem about a path of this directory, once."""
        name = readable("/".join(part for part in (self.label, path) if part))
        problem = Problem(code=code, path=name, message=readable(message), hint=hint)
        if problem not in self._reported:
            self._reported.add(problem)
            self.problems.append(problem)

    def folders(self, path: str = "") -> list[str]:
        """List the names of the directories in `path`, sorted."""
        return [name for name, kind in self._listing(path).items() if kind == "dir"]

    def files(self, path: str = "") -> list[str]:
        """List the names of the regular files in `path`, sorted."""
        return [name for name, kind in self._listing(path).items() if kind == "file"]

    def has(self, path: str) -> bool:
        """Tell whether a regular file lies at `path`."""
        return self._kind(path) == "file"

    def exists(self, path: str) -> bool:
        """Tell whether anything lies at `path`: a file, or something in its place."""
        return self._kind(path) is not None

    def has_folder(self, path: str) -> bool:
        """Tell whether a directory lies at `path`."""
        return path == "" or self._kind(path) == "dir"

    def is_plain(self) -> bool:
        """Tell whether nothing in the directory itself is a link, and nothing is wrong so far.

        Then it does not matter where the boundary is, and there is nothing to report.
        """
        self._listing("")
        return not (self.problems or self._linked)

    def forget(self, path: str) -> None:
        """Forget what a folder has in it, where there are too many of them to keep it."""
        self._listings.pop(path, None)
        self._seen.pop(path, None)

    def place(self, path: str) -> str:
        """Give where a folder lies; that a link leads to, with all links resolved."""
        if path in self._linked:
            return os.path.realpath(self._place(path))
        return os.path.join(self._top, path)

    def walk(self, path: str, depth: int = 8) -> Iterator[str]:
        """Give the paths of all regular files below `path`, in order, to a bounded depth.

        A folder that links lead to in several ways is entered once.
        """
        if self.has_folder(path):
            yield from self._walk(path, depth, set())

    def _walk(self, path: str, depth: int, entered: set[str]) -> Iterator[str]:
        place = self._place(path)
        if place in entered:
            return
        entered.add(place)
        folders = []
        for name, kind in self._listing(path).items():
            if kind == "file":
                yield path_in(path, name)
            elif kind == "dir":
                folders.append(name)
        if folders and depth == 0:
            hint = "Move what belongs to the trial further up."
            self.report("nested_too_deeply", path, "the folders in it were not looked into", hint)
            return
        for name in folders:
            yield from self._walk(path_in(path, name), depth - 1, entered)

    def size(self, path: str) -> int:
        """Give the size of a file in bytes, 0 where there is none."""
        if not self.has(path):
            return 0
        if self._supply is not None:
            return self._supply.size(path)
        status = self._seen.get(path) or status_of(self._place(path))
        self._seen.setdefault(path, status)
        return 0 if isinstance(status, str) else status.st_size

    def _open(self, path: str) -> bytes | Opened | None:
        """Open a regular file, or give what is supplied of it; None (and a problem) if neither."""
        if not self.has(path):
            self._report_no_file(path)
            return None
        if self._supply is None:
            return self._open_place(path)
        content = self._supply.take(path, lambda *told: self.report(told[0], path, *told[1:]))
        if not isinstance(content, str):
            return content
        try:
            descriptor = os.open(content, _OPEN)
        except OSError as error:
            self._unreadable(path, error)
            return None
        return descriptor, os.fstat(descriptor)

    def _open_place(self, path: str) -> Opened | None:
        try:
            # A link was checked by the listing, but may have been changed since; what it
            # leads to is opened, not the link.
            place = self._place(path)
            place = os.path.realpath(place) if path in self._linked else place
            descriptor = os.open(place, _OPEN)
        except OSError as error:
            self._unreadable(path, error)
            return None
        try:
            status = os.fstat(descriptor)
            self._check_opened(descriptor, status, place)
        except OSError as error:
            os.close(descriptor)
            self._unreadable(path, error)
            return None
        self._seen.setdefault(path, status)
        return descriptor, status

    def _check_opened(self, descriptor: int, status: os.stat_result, place: str) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        try:
            # A folder above may have been replaced by a link: what counts is what was opened.
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            target = os.path.realpath(place)
        if not self._inside(target):
            raise OSError("symbolic link out of the job; not followed")

    def _compare(self, path: str, before: os.stat_result, after: Seen) -> None:
        if self._supply is not None:  # who supplies it has seen to that
            return
        was = (before.st_size, before.st_mtime_ns)
        if isinstance(after, str) or was != (after.st_size, after.st_mtime_ns):
            self.report("changed_while_read", path, "changed while it was read", RUNNING)

    def _inside(self, target: str) -> bool:
        # What lies on the disk below the boundary's own name is inside, however that was
        # written; only otherwise it matters where links on the way to the boundary lead.
        return _is_below(target, self._boundary) or _is_below(target, self.boundary)

    def _kind(self, path: str) -> str | None:
        if path.startswith("/"):
            return None
        parent, _, name = path.rpartition("/")
        return self._listing(parent).get(name)

    def _place(self, path: str) -> str:
        """Give where a path lies, folders that are links resolved."""
        place = self._places.get(path)
        if place is None:
            parent, _, name = path.rpartition("/")
            place = f"{self._place(parent)}/{name}"
        return place

    def _listing(self, path: str) -> dict[str, str]:
        listing = self._listings.get(path)
        if listing is None:
            listing = self._listed(path) if self.has_folder(path) else {}
            self._listings[path] = listing
        return listing

    def _listed(self, path: str) -> dict[str, str]:
        if self._supply is None:
            return self._scan(path)
        names = self._supply.names(path)
        if len(names) > MAX_ENTRIES:
            self._report_too_many(path)
            names = dict(islice(names.items(), MAX_ENTRIES))
        return names

    def _scan(self, path: str) -> dict[str, str]:
        place = self._places.setdefault(path, self._place(path))
        found: dict[str, str] = {}
        try:
            descriptor = os.open(place, _OPEN_FOLDER)
        except (OSError, ValueError) as error:
            self._unlisted(path, place, error)
            return found
        try:
            # Looked at before it is listed: what comes meanwhile makes another stamp.
            self._seen.setdefault(path, os.fstat(descriptor))
            with os.scandir(descriptor) as entries:
                for entry in islice(entries, MAX_ENTRIES):
                    kind = self._kind_of(entry, path)
                    if kind:
                        found[entry.name] = kind
                if next(entries, None) is not None:
                    self._report_too_many(path)
        except OSError as error:
            self._unreadable(path, error)
        finally:
            os.close(descriptor)
        return dict(sorted(found.items()))

    def _kind_of(self, entry: os.DirEntry[str], parent: str) -> str | None:
        try:
            if entry.is_file(follow_symlinks=False):
                return "file"
            if entry.is_dir(follow_symlinks=False):
                return "dir"
            if entry.is_symlink():
                return self._kind_of_link(parent, entry.name)
            return _kind_of_special(entry.stat(follow_symlinks=False).st_mode)
        except OSError as error:
            self._unreadable(path_in(parent, entry.name), error)
            return None

    def _kind_of_link(self, parent: str, name: str) -> str | None:
        path = path_in(parent, name)
        link = f"{self._place(parent)}/{name}"
        # What it leads to may change, and the folder that holds the link stays as it is.
        self._seen.setdefault(path, status_of(link))
        target = os.path.realpath(link)
        mode = _mode_of(target)
        if mode is None or stat.S_ISLNK(mode):
            what = "symbolic link to nothing" if mode is None else "symbolic link to itself"
            self.report("broken_link", path, what, "Restore its target.")
            return None
        if not self._inside(target):
            hint = "Copy the target into the job directory if it belongs to the trial."
            self.report("link_outside", path, "symbolic link out of the job; not followed", hint)
            return None
        self._linked.add(path)
        if stat.S_ISDIR(mode):
            # A link to a folder above it would be walked for ever.
            if _is_below(os.path.realpath(self._place(parent)), target):
                return "link to a directory above it"
            self._places[path] = self._as_named(target)
            return "dir"
        return "file" if stat.S_ISREG(mode) else _kind_of_special(mode)

    def _as_named(self, target: str) -> str:
        """Name a resolved place as the walk names it, so that it is known again."""
        top = os.path.realpath(self._top)
        below = _is_below(target, top)
        return self._top + target[len(top) :] if below and target != top else target

    def _report_too_many(self, path: str) -> None:
        message = f"more than {MAX_ENTRIES} entries; the rest was not looked at"
        hint = "Name the jobs or trials below it one by one."
        self.report("too_many_entries", path, message, hint)

    def _report_no_file(self, path: str) -> None:
        kind = self._kind(path)
        if kind is not None:
            what = f"a {'directory' if kind == 'dir' else kind}, not a regular file"
            self.report("not_a_file", path, what, "Put the file in its place, or remove it.")

    def _unlisted(self, path: str, place: str, error: OSError | ValueError) -> None:
        status = "absent" if isinstance(error, FileNotFoundError) else status_of(place)
        is_folder = not isinstance(status, str) and stat.S_ISDIR(status.st_mode)
        self._seen.setdefault(path, "unreadable" if is_folder else status)
        reason = getattr(error, "strerror", None) or str(error)
        self.report("unreadable", path, reason, "Check the permissions and the disk.")

    def _unreadable(self, path: str, error: OSError) -> None:
        self._seen[path] = "unreadable"
        reason = error.strerror or str(error)
        self.report("unreadable", path, reason, "Check the permissions and the disk.")


def _is_below(target: str, folder: str) -> bool:
    """Tell whether a resolved path is a folder or lies in it."""
    return target.startswith(folder) and (
        len(target) == len(folder) or folder.endswith("/") or target[len(folder)] == "/"
    )


def _mode_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind_of_special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "named pipe"
    return "socket" if stat.S_ISSOCK(mode) else "device"
