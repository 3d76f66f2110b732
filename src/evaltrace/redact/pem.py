"""Private keys in PEM form, in every dress that a log gives them.

The lines may have been escaped once or several times, be lines of a diff or of a listing, be
joined by spaces, and either end may have been cut off. Only the base64 in the lines is replaced,
so that there are as many lines as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = (
    r"(?:(?:\\{1,32}r)?\\{1,32}n|\r?\n)[ \t]{0,40}"
    r"(?:\d{1,6}(?:\t|→|[ ]?\|)[ \t]?)?"
    r"(?:[+|>](?:[ ](?=[A-Za-z0-9]))?|-(?!----[^-])[ ]?)?[ \t]{0,20}"
)
_BREAK = re.compile(_LINE)
_EDGE = "-----(?:BEGIN|END)"
# No header goes on into another key: else each key of many would be read to the end of all.
_NO_RUN = re.compile(
    rf"[A-Z][A-Za-z-]{{2,20}}: (?:(?!{_EDGE})[^\n\\\"]){{0,100}}"
    r"|\[redacted:[a-z0-9-]{1,40}:[0-9a-f]{8}\]"
)
_RUN = re.compile(r"[A-Za-z0-9+/=]+")
_GAP = re.compile(r"[ \t\"'`,+]{1,8}")
_END = "-----END"
_SURE = 40
_LONGEST = 20_000
_LINE_REACH = 160
_EMPTY = 4
"""Empty lines above the end of a key after which it is looked for no further."""
_AT_END = re.compile(r"(?:[A-Za-z0-9+/=]{1,80})\Z")


def find_runs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """List the runs of base64 of the key whose first or last line stands at start to end."""
    if text.startswith(_END, start):
        return _runs_before(text, start)
    runs: list[tuple[int, int]] = []
    waiting: list[tuple[int, int]] = []  # after a gap or of doubtful length
    for kind, first, last in _items(text, end):
        if kind == "end":
            return runs + [run for run in waiting if run[0] < run[1]]
        if kind == "gap":
            waiting.append((first, first))
        elif kind == "run":
            sure = last - first >= _SURE or (not (runs or waiting) and last - first >= 16)
            waiting.append((first, last))
            if sure:
                runs += [run for run in waiting if run[0] < run[1]]
                waiting = []
            elif len(waiting) > 2:
                break
    # Cut off: a short line right below belongs to it.
    if runs and waiting and waiting[0][0] < waiting[0][1]:
        runs.append(waiting[0])
    return runs


def _items(text: str, place: int) -> Iterator[tuple[str, int, int]]:
    stop = min(len(text), place + _LONGEST)
    while place < stop:
        if text.startswith(_END, place):
            yield "end", place, place
            return
        for kind, pattern in (("break", _BREAK), ("head", _NO_RUN), ("run", _RUN), ("gap", _GAP)):
            match = pattern.match(text, place)
            if match:
                yield kind, *match.span()
                place = match.end()
                break
        else:
            return


def _runs_before(text: str, place: int) -> list[tuple[int, int]]:
    """List the lines of a key whose beginning is missing."""
    runs: list[tuple[int, int]] = []
    floor = max(0, place - _LONGEST)
    end, empty = place, 0
    while end > floor and empty <= _EMPTY:
        breaks = list(_BREAK.finditer(text, max(floor, end - _LINE_REACH), end))
        if not breaks:
            break
        first = breaks[-1].end()
        if first < end and not _AT_END.fullmatch(text, first, end):
            break
        if runs and end - first < _SURE:
            break
        if first < end:
            runs.append((first, end))
        empty = 0 if first < end else empty + 1
        end = breaks[-1].start()
    if runs and runs[-1][1] - runs[-1][0] < 16:
        runs.pop()
    return runs[::-1]
