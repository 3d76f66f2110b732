"""How much two code changes have in common: the changed lines that are in both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from evaltrace.untrusted import shorten

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_LINE_LIMIT = 1000

ChangedLine = tuple[str, str]
"""A file, and a line of it with the mark `+` or `-` before."""


def share_in_both(one: str, other: str) -> float | None:
    """Give the changed lines that two unified diffs share, of all in either: 0 to 1.

    A line counts as often as it is changed (Jaccard index of multisets), in its own file; where
    in the file does not matter. None where neither diff has a changed line.
    """
    first, second = Counter(changed_lines(one)), Counter(changed_lines(other))
    either = (first | second).total()
    return (first & second).total() / either if either else None


def changed_lines(diff: str) -> Iterator[ChangedLine]:
    """Give the lines that a unified diff adds and removes, each with its file.

    Counts the lines of each hunk: a removed line may look like a header.
    """
    path, old, new = "", 0, 0
    for line in diff.split("\n"):
        if old > 0 or new > 0:
            mark = line[:1]
            if mark in ("+", "-"):
                yield path, shorten(line, _LINE_LIMIT)
            old -= mark in ("-", " ", "", "\r")
            new -= mark in ("+", " ", "", "\r")
        elif line.startswith(("--- ", "+++ ")):
            path = _path(line) or path
        elif hunk := _HUNK.match(line):
            old, new = (int(count) if count else 1 for count in hunk.groups())


def _path(header: str) -> str | None:
    """Read the file's name off a header of a diff; None for one that does not exist."""
    name = header[4:].rstrip("\r").partition("\t")[0].strip('"')
    return None if name == "/dev/null" else re.sub("^[ab]/", "", name)
