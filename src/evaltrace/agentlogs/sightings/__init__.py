"""What reading calls showed of files: edits that change nothing.

Only what is certain is taken: commands that print the lines of one file as they are, and of
their output no more than surely belongs to it. What was seen is for rebuilding the diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from evaltrace.agentlogs.sightings.commands import Look, parts_of_script
from evaltrace.patches.edits import Edit, Hunk
from evaltrace.patches.lines import to_lines

_PATH = ("file_path", "path", "filePath", "absolute_path", "target_file", "filename")
_PARTLY = ("offset", "limit", "start_line", "end_line", "view_range", "line_start", "line_end")
_FOLDER = ("workdir", "directory", "dir_path", "cwd")

_KINDS = ("shell", "read", "edit")

_NUMBERING = frozenset(
    ("read", "view", "view_file", "str_replace_editor", "str_replace_based_edit_tool")
)
"""Tools that show a file with numbers before its lines."""

_PLAIN = frozenset(["read_file"])

_CODEX = frozenset(("exec_command", "shell", "shell_command", "container.exec", "local_shell_call"))
"""Tools whose output is neither trimmed nor mixed with notes, up to marked cuts."""

_FRESH = _CODEX | {"command_execution", "run_shell_command"}
"""Shells that begin each command in the same folder."""

_HEADER = re.compile(
    r"(?:(?:Chunk ID: [^\n]*\n)?(?:Wall time: [^\n]*\n)?Process exited with code 0\n"
    r"(?:Original token count: \d+\n)?|Exit code: 0\nWall time: [^\n]*\n"
    r"(?:Total output lines: \d+\n)?)Output:\n"
)
_OTHER_HEADER = re.compile(r"(?:Chunk ID|Wall time|Exit code): |Process (?:exited|running)")
_WARNING = re.compile(r"(?:Warning: truncated output[^\n]*\n)?Total output lines: \d+\n\n?")
_MISSING = ("runcated", "RUNCATED", "mitted", "MITTED", "lipped", "lided")
"""Parts of words that tell of a cut, without first letters that may be large."""

_MARKS = ("…", "...", "[", "<")
_COMPLAINT = re.compile(r"(?:/\S*/)?(?:cat|sed|nl|head|tail|bash|sh|[Ee]rror|File not found)\b[: ]")
_NUMBERED = re.compile(r"^[ \t]*(\d{1,9})(?:[\t→]|\| )(.*)$", re.MULTILINE)
_MAYBE_NUMBERED = re.compile(r"\s*L?\d+[:|\t→]")
_NOTES = ("<system-reminder>", "Newly Discovered Project Context")
_LONGEST_LINE = 1990
"""Characters of a line from which on tools may have shortened it."""

_BEFORE_NUMBERS = 5
"""Lines that a tool may put before the first numbered one."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a call was asked to show: looks at files, and texts printed between them.

    `exact` tells that the output is known to be as it was printed, `tool` that no shell
    printed it.
    """

    parts: tuple[Look | str, ...]
    exact: bool = False
    tool: bool = False


# What was asked for.


def reading_of(name: str, kind: str, given: Any) -> Reading | None:
    """Say what a call will show of files, from its name and its input; None for nothing."""
    if kind not in _KINDS or not isinstance(given, dict):
        return None
    name = name.lower()
    if kind == "shell":
        return _of_shell(name, given)
    if kind == "edit" and given.get("command") != "view":
        return None
    path = next((path for path in map(given.get, _PATH) if isinstance(path, str)), None)
    if not path:
        return None
    if name in _NUMBERING:
        return Reading((Look(path, numbered=True),), tool=True)
    if name in _PLAIN and all(given.get(key) is None for key in _PARTLY):
        return Reading((Look(path),), tool=True)
    return None


def _of_shell(name: str, given: dict[str, Any]) -> Reading | None:
    found = parts_of_script(given.get("cmd") or given.get("command"))
    if found is None:
        return None
    folder, parts = found
    above = next((given[key] for key in _FOLDER if isinstance(given.get(key), str)), None)
    places = [place for place in (above, folder) if place]
    looks = tuple(parts)
    if places:
        looks = tuple(part.below(places) if isinstance(part, Look) else part for part in parts)
    paths = [look.path for look in looks if isinstance(look, Look)]
    if name not in _FRESH and not all(path.startswith("/") for path in paths):
        return None  # an earlier command may have changed the folder
    return Reading(looks, exact=name in _CODEX)


# What was shown.


@dataclass(frozen=True, slots=True)
class _Shown:
    """Text that a look gave; `exact` tells that its ends are right, `cut` that more came."""

    text: str
    exact: bool
    cut: bool


def sightings_in(reading: Reading, output: str) -> Iterator[Edit]:
    """Give what the output of a successful call surely shows."""
    shown = _shown(reading, output)
    if shown is None or "\ufffd" in shown.text:
        return
    for look, text in _portions(reading.parts, shown):
        edit = _sighting(look, text, tool=reading.tool)
        if edit is not None:
            yield edit


def _shown(reading: Reading, output: str) -> _Shown | None:
    """Take the text out of an output, up to where something is missing."""
    text, exact = output, False
    if reading.exact:
        header = _HEADER.match(output)
        if header is None and _OTHER_HEADER.match(output):
            return None  # it failed, or still runs
        text = output[header.end() :] if header else output
        exact = header is not None or output.endswith("\n")
    elif reading.tool:
        exact = output.endswith("\n") and not any(note in output for note in _NOTES)
    warning = _WARNING.match(text) if reading.exact else None
    text = text[warning.end() :] if warning else text
    end = _sound_end(text)
    if end is not None:
        return _Shown(text[:end], exact, cut=True)
    return None if warning else _Shown(text, exact, cut=False)


def _sound_end(text: str) -> int | None:
    """Find the first line that tells of a cut; None when there is none."""
    lines = []
    for word in _MISSING:
        at = text.find(word)
        while at >= 0:
            begin = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            end = end if end >= 0 else len(text)
            if any(text.find(mark, begin, end) >= 0 for mark in _MARKS):
                lines.append(begin)
                break
            at = text.find(word, end)
    return min(lines, default=None)


def _portions(parts: tuple[Look | str, ...], shown: _Shown) -> Iterator[tuple[Look, _Shown]]:
    """Split what several looks gave, where it is certain which lines are whose."""
    if len(parts) > 1 and not shown.exact:
        return
    rest, waiting = shown.text, list[Look]()
    for part in parts:
        if isinstance(part, Look):
            waiting.append(part)
            continue
        at = f"\n{rest}".find(f"\n{part}")
        if at < 0 and shown.cut:
            break
        if at < 0 or f"\n{rest}".find(f"\n{part}", at + 1) >= 0:
            return
        yield from _apart(waiting, _Shown(rest[:at], exact=True, cut=False))
        rest, waiting = rest[at + len(part) :], []
    yield from _apart(waiting, _Shown(rest, shown.exact, shown.cut))


def _apart(looks: list[Look], shown: _Shown) -> Iterator[tuple[Look, _Shown]]:
    """Split what looks gave of which nothing was printed between: by their counts."""
    if len(looks) == 1:
        yield looks[0], shown
        return
    lines = to_lines(shown.text)
    counts = [look.count or 0 for look in looks]
    if shown.cut or not all(counts) or sum(counts) != len(lines):
        return
    for look, count in zip(looks, counts, strict=True):
        text, lines = "".join(lines[:count]), lines[count:]
        yield look, _Shown(text, exact=True, cut=False)


def _sighting(look: Look, shown: _Shown, *, tool: bool) -> Edit | None:
    text = shown.text
    if not text or _COMPLAINT.match(text):
        return None
    if look.numbered:
        first, lines = _without_numbers(text, look.first, tool=tool)
        lines = lines[: _shortened(lines) if tool else None]
        # Programs that number lines end the last one, whether the file does or not.
        return _to_edit(look, lines[:-1], first, closed=True, ends=False)
    lines = text.removesuffix("\n").split("\n")
    if tool and (_MAYBE_NUMBERED.match(text) or _shortened(lines) is not None):
        return None
    if shown.exact:
        return _to_edit(look, lines, look.first, closed=text.endswith("\n"), ends=not shown.cut)
    if look.first is None or not (tool or (len(lines) == look.count and not shown.cut)):
        return None
    # The ends may have been trimmed, or be no lines of the file.
    return _to_edit(look, lines[1:-1], look.first + 1, closed=True, ends=False)


def _shortened(lines: list[str]) -> int | None:
    """Find the first line that a tool may have shortened."""
    return next((n for n, line in enumerate(lines) if len(line) >= _LONGEST_LINE), None)


def _to_edit(
    look: Look, lines: list[str], first: int | None, *, closed: bool, ends: bool
) -> Edit | None:
    """Make an edit of lines from the one numbered `first`; `ends` tells that no more came."""
    count = look.count
    if not lines or (count is not None and len(lines) > count):
        return None
    short = count is None or len(lines) < count
    at_end = ends and (short or first is None or not closed)
    if at_end and (first == 1 or (first is None and short)):
        text = "\n".join(lines)
        return Edit(look.path, before=f"{text}\n" if closed else text, sighted=True)
    context = tuple(f" {line}" for line in lines)
    opened = at_end and not closed
    hunk = Hunk(context, first, at_end=at_end, ended_open=opened, ends_open=opened)
    return Edit(look.path, hunks=(hunk,), sighted=True)


def _without_numbers(text: str, first: int | None, *, tool: bool) -> tuple[int | None, list[str]]:
    """Give the number of the first line, and the lines as long as they are numbered on."""
    match = _NUMBERED.search(text)
    before = text.count("\n", 0, match.start()) if match else 0
    if match is None or before > (_BEFORE_NUMBERS if tool else 0):
        return None, []
    begin = int(match[1])
    if begin < 1 or (not tool and first not in (None, begin)):
        return None, []
    lines = []
    for number, (digits, line) in enumerate(_NUMBERED.findall(text, match.start()), begin):
        if int(digits) != number:
            break
        lines.append(line)
    return begin, lines
