"""Names of files within a run's working tree, from the paths that tools were given."""

from __future__ import annotations

import re
from posixpath import normpath
from typing import NamedTuple

from evaltrace.untrusted import clean

_LONGEST = 4096

_SCRATCH = (
    "/tmp", "/var/tmp", "/private/tmp", "/var/folders", "/private/var/folders",
    "/dev", "/proc", "/sys", "/logs",
)  # fmt: skip
_IN_SCRATCH = tuple(f"{folder}/" for folder in _SCRATCH)
_HOME = r"(?:~|/root|/(?:home|Users)/[^/]+|[a-z]:/Users/[^/]+)"
_AGENTS = (
    r"aider[^/]*|claude|claude\.json|codex|copilot|cursor|factory|gemini|goose|kiro|kimi|"
    r"openhands|opencode|qwen|cache|(?:config|local/share|local/state)/(?:opencode|goose|crush)"
)
_AGENT_FOLDER = re.compile(rf"{_HOME}/\.(?:{_AGENTS})(?=/|$)")
_WINDOWS_SCRATCH = re.compile(r"[a-z]:/(?:Windows/Temp|Temp|Users/[^/]+/AppData)(?=/|$)", re.I)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Place(NamedTuple):
    """A file: its name in a diff, and whether it is below the working directory.

    `scratch` tells that it is no part of the work; `barred` why it cannot be in a diff.
    """

    name: str
    below: bool = True
    scratch: bool = False
    barred: str | None = None


class Worktree:
    """The working directory of a run; None where it is not known."""

    def __init__(self, cwd: str | None) -> None:
        self._windows = bool(cwd and _is_windows(cwd))
        self._cwd = _normal(self._slashed(cwd)) if cwd else None
        self._known: dict[str, Place] = {}

    def place(self, path: str) -> Place:
        """Find the place of a file."""
        if path not in self._known:
            self._known[path] = self._place(path)
        return self._known[path]

    def _place(self, path: str) -> Place:
        name = clean(self._slashed(path))
        if not name.strip("/") or len(name) > _LONGEST or "\0" in name:
            return Place(name[:_LONGEST].replace("\0", ""), barred="it has no usable name")
        absolute = name if _is_absolute(name) else None
        if absolute is None and self._cwd:
            absolute = f"{self._cwd}/{name}"
        if absolute is None:
            return _checked(Place(normpath(name)))
        absolute = _normal(absolute)
        inside = _below(absolute, self._cwd)
        if self._is_scratch(absolute, inside=inside is not None):
            return Place(absolute, scratch=True)
        if inside is not None:
            return _checked(Place(inside))
        if not _is_absolute(name):
            return Place(normpath(name), barred="its name leads out of the working directory")
        return _checked(Place(re.sub("^([a-z]):/", r"\1/", absolute).lstrip("/"), below=False))

    def _slashed(self, path: str) -> str:
        if self._windows or _is_windows(path):
            path = path.replace("\\", "/")
            if _DRIVE.match(path):
                path = path[0].lower() + path[1:]
        return path

    def _is_scratch(self, path: str, *, inside: bool) -> bool:
        folders = []
        if path.startswith(_IN_SCRATCH):
            folders = [folder for folder in _SCRATCH if _below(path, folder) is not None]
        for pattern in (_AGENT_FOLDER, _WINDOWS_SCRATCH):
            match = pattern.match(path)
            folders += [match.group()] if match else []
        # A working directory that is itself in a scratch place is not passed over.
        return any(
            not (inside and self._cwd and _below(f"{self._cwd}/.", folder) is not None)
            for folder in folders
        )


def _is_windows(path: str) -> bool:
    return _DRIVE.match(path) is not None or path.startswith(("\\\\", ".\\", "..\\"))


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "~/")) or _DRIVE.match(path) is not None


def _normal(path: str) -> str:
    """Resolve `.` and `..`; two slashes at the beginning mean no more than one."""
    return normpath(re.sub("^/+", "/", path))


def _below(path: str, folder: str | None) -> str | None:
    """Give the path relative to a folder, None where it is not below it."""
    prefix = f"{folder.rstrip('/')}/" if folder else None
    return path[len(prefix) :] if prefix and path.startswith(prefix) else None


def _checked(place: Place) -> Place:
    parts = place.name.split("/")
    if parts[0] == ".." or place.name in ("", "."):
        return Place(place.name, barred="its name leads out of the working directory")
    if any(part.lower() == ".git" for part in parts):
        return Place(place.name, barred="it belongs to git itself")
    return place
