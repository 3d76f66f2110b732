"""Unified diffs counted by file: parsed with unidiff, unless they are plain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from evaltrace.patches.plain import plain_changes
from evaltrace.trace import CodeStats, FileChange
from evaltrace.untrusted import clean

if TYPE_CHECKING:
    from unidiff.patch import PatchSet

Source = Literal["artifact", "agent_patch", "reconstructed"]

_COMBINED = re.compile(r"^@@@+ ", re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"t": b"\t",
    b"n": b"\n",
    b"v": b"\v",
    b"f": b"\f",
    b"r": b"\r",
}


def count_changes(diff: str, *, source: Source, complete: bool) -> CodeStats | None:
    """Count the changes of a unified diff by file; None when it is not one.

    A diff of a merge (with `@@@`) is none: it has no single line that was added or removed.
    """
    if "@@@" in diff and _COMBINED.search(diff):
        return None
    if diff.count("\r\n") == diff.count("\n"):
        diff = diff.replace("\r\n", "\n")  # the whole file was converted, headers too
    files = plain_changes(diff)
    if files is None:
        files = _parsed_changes(diff)
    if files is None or (not files and diff.strip()):
        return None
    return CodeStats(
        source=source,
        complete=complete,
        files=files,
        files_changed=len(files),
        lines_added=sum(file.added or 0 for file in files),
        lines_removed=sum(file.removed or 0 for file in files),
    )


def _parsed_changes(diff: str) -> list[FileChange] | None:
    patch = _parsed(diff)
    if patch is None:
        return None
    return [
        FileChange(
            path=unquoted(clean(file.path)),
            change=_change(file.is_added_file, file.is_removed_file, file.is_rename),
            added=None if file.is_binary_file else file.added,
            removed=None if file.is_binary_file else file.removed,
        )
        for file in patch
    ]


def _parsed(diff: str) -> PatchSet | None:
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    # Without its lines a diff is parsed several times faster; some releases then refuse an
    # empty line, which stands for one of context.
    for metadata_only in (True, False):
        try:
            return PatchSet(diff, metadata_only=metadata_only)
        except (UnidiffParseError, ValueError, IndexError):
            continue
    return None


def unquoted(path: str) -> str:
    r"""Undo git's quoting of unusual path names (`"caf\303\251.md"`)."""
    if len(path) < 2 or not (path.startswith('"') and path.endswith('"')):
        return path
    octets = _ESCAPE.sub(_unescaped, path[1:-1].encode("utf-8", "replace"))
    return octets.decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    escape = match.group(1)
    if len(escape) == 3:
        return bytes([int(escape, 8) & 0xFF])
    return _ESCAPES.get(escape, escape)


def _change(
    added: bool, removed: bool, renamed: bool
) -> Literal["added", "modified", "deleted", "renamed"]:
    if added:
        return "added"
    if removed:
        return "deleted"
    return "renamed" if renamed else "modified"
