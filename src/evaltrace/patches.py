"""Unified diffs: parsed with unidiff, counted by file."""

from __future__ import annotations

from typing import Literal

from evaltrace.trace import CodeStats, FileChange
from evaltrace.untrusted import clean

Source = Literal["artifact", "agent_patch", "reconstructed"]


def count_changes(diff: str, *, source: Source, complete: bool) -> CodeStats | None:
    """Count the changes of a unified diff by file; None when it is not one."""
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    try:
        patch = PatchSet(diff)
    except (UnidiffParseError, ValueError, IndexError):
        return None
    files = [
        FileChange(
            path=unquoted(clean(file.path)),
            change=_change(file.is_added_file, file.is_removed_file, file.is_rename),
            added=None if file.is_binary_file else file.added,
            removed=None if file.is_binary_file else file.removed,
        )
        for file in patch
    ]
    if not files and diff.strip():
        return None
    return CodeStats(
        source=source,
        complete=complete,
        files=files,
        files_changed=len(files),
        lines_added=sum(file.added or 0 for file in files),
        lines_removed=sum(file.removed or 0 for file in files),
    )


def unquoted(path: str) -> str:
    r"""Undo git's quoting of unusual path names (`"caf\303\251.md"`)."""
    if not path.startswith('"'):
        return path
    try:
        octets = path.strip('"').encode("latin-1", "backslashreplace").decode("unicode_escape")
        return octets.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return path


def _change(
    added: bool, removed: bool, renamed: bool
) -> Literal["added", "modified", "deleted", "renamed"]:
    if added:
        return "added"
    if removed:
        return "deleted"
    return "renamed" if renamed else "modified"
