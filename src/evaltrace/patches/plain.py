"""Plain diffs, as git writes most of them: counted without a parser, many times faster."""

from __future__ import annotations

import re
from typing import Literal

from evaltrace.trace import FileChange

Change = Literal["added", "modified", "deleted"]

_FILE = re.compile(
    r'diff --git a/(?P<path>[^\s"\ud800-\udfff]+) b/(?P=path)\n'
    r"(?:(?P<mode>new|deleted) file mode [0-9]+\n)?"
    r"(?:index [0-9a-f]+\.\.[0-9a-f]+(?: [0-9]+)?\n)?"
    r"--- (?:a/(?P=path)|(?P<no_old>/dev/null))\n"
    r"\+\+\+ (?:b/(?P=path)|(?P<no_new>/dev/null))\n"
)
_HUNK = re.compile(
    r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@[^\n]*"
    r"(?P<lines>\n(?:[-+ \\][^\n]*\n)++)"
)
_NO_END = "\n\\ No newline at end of file\n"
_MODES = {(None, None, None), ("new", "/dev/null", None), ("deleted", None, "/dev/null")}


def plain_changes(diff: str) -> list[FileChange] | None:
    """Count the changes of a diff by file; None where anything in it is unusual."""
    files: list[FileChange] = []
    at = 0
    while at < len(diff):
        header = _FILE.match(diff, at)
        if header is None or header.group("mode", "no_old", "no_new") not in _MODES:
            return None
        hunks: list[re.Match[str]] = []
        at = header.end()
        while hunk := _HUNK.match(diff, at):
            hunks.append(hunk)
            at = hunk.end()
        counts = [_counted(hunk) for hunk in hunks]
        known = [pair for pair in counts if pair is not None]
        if not known or len(known) < len(counts):
            return None
        added, removed = (sum(side) for side in zip(*known, strict=True))
        change = _change(header["mode"], hunks)
        files.append(FileChange(path=header["path"], change=change, added=added, removed=removed))
    return files or None


def _counted(hunk: re.Match[str]) -> tuple[int, int] | None:
    """Count the added and the removed lines; None where they are not as many as announced."""
    lines = hunk["lines"]
    added, removed, kept = (lines.count(mark) for mark in ("\n+", "\n-", "\n "))
    _, old, _, new = (1 if size is None else int(size) for size in hunk.groups()[:4])
    if (removed + kept, added + kept) != (old, new) or lines.count("\n\\") != lines.count(_NO_END):
        return None
    return (added, removed) if added or removed or kept else None


def _change(mode: str | None, hunks: list[re.Match[str]]) -> Change:
    """Tell what became of a file; one that begins or ends empty counts as new or deleted."""
    sole = hunks[0].groups() if len(hunks) == 1 else ()
    if mode == "new" or _is_nothing(sole[:2]):
        return "added"
    return "deleted" if mode == "deleted" or _is_nothing(sole[2:4]) else "modified"


def _is_nothing(numbers: tuple[str | None, ...]) -> bool:
    return bool(numbers) and all(number is not None and int(number) == 0 for number in numbers)
