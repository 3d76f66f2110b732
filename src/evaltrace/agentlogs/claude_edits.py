"""What Claude Code's edit tools did to files, from the structured results of their calls.

A result has the content before; what came after follows from the texts that were
exchanged. Source: Harbor format reference, section 7 (3).
"""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.patches.edits import Edit, Hunk, Replacement

_OPEN_END = "\\ No newline at end of file"


class _Hunk(msgspec.Struct, rename="camel", gc=False):
    old_start: int | None = None
    new_start: int | None = None
    old_lines: int | None = None
    new_lines: int | None = None
    lines: list[str] | None = None


class _Part(msgspec.Struct, gc=False):
    old_string: str | None = None
    new_string: str | None = None
    replace_all: bool | None = None


class _Result(msgspec.Struct, gc=False):
    filePath: str | None = None
    type: str | None = None
    content: str | None = None
    oldString: str | None = None
    newString: str | None = None
    replaceAll: bool | None = None
    originalFile: str | None = None
    originalFileContents: str | None = None
    structuredPatch: list[_Hunk] | None = None
    edits: list[_Part] | None = None
    notebook_path: str | None = None
    original_file: str | None = None
    updated_file: str | None = None


_RESULT = msgspec.json.Decoder(_Result, strict=False)


def to_edit(result: Any) -> Edit | None:
    """Turn the structured result of an edit tool into an edit; None if it is of no other kind."""
    try:
        return _to_edit(msgspec.convert(result, _Result, strict=False))
    except (msgspec.ValidationError, RecursionError):
        return None


def decode_edit(result: msgspec.Raw) -> Edit | None:
    """Do the same for a result that was not decoded yet; only what is needed of it is.

    Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError where `to_edit` may still
    understand what the patient parser makes of it.
    """
    return _to_edit(_RESULT.decode(result))


def _to_edit(given: _Result) -> Edit | None:
    if given.notebook_path and given.updated_file is not None:
        return Edit(given.notebook_path, before=given.original_file, after=given.updated_file)
    if not given.filePath:
        return None
    if given.content is not None:
        return _of_write(given, given.filePath, given.content)
    parts = _replacements(given)
    return _of_replacements(given, given.filePath, parts) if parts else None


def _of_write(given: _Result, path: str, content: str) -> Edit:
    if given.type == "create":
        return Edit(path, created=True, after=content)
    before = given.originalFile
    if before is None and given.structuredPatch:
        before = _undone(content, given.structuredPatch)
    created = None if given.type is None and before is None else False
    return Edit(path, created=created, before=before, after=content)


def _replacements(given: _Result) -> tuple[Replacement, ...]:
    if given.edits is not None:
        return tuple(
            Replacement(part.old_string or "", part.new_string or "", bool(part.replace_all))
            for part in given.edits
        )
    if given.oldString is None or given.newString is None:
        return ()
    return (Replacement(given.oldString, given.newString, bool(given.replaceAll)),)


def _of_replacements(given: _Result, path: str, parts: tuple[Replacement, ...]) -> Edit:
    before = given.originalFile
    if before is None:
        before = given.originalFileContents
    if parts[0].old == "" and not before:
        return Edit(path, created=before is None, before=before, after=parts[0].new)
    rows = given.structuredPatch or []
    if before is None:
        hunks = _hunks(rows)
        return Edit(path, created=False, hunks=hunks, replacements=() if hunks else parts)
    grown = [(row.new_lines or 0) - (row.old_lines or 0) for row in rows]
    after = _exchanged(before, parts, sum(grown) if any(row.lines for row in rows) else None)
    if after is not None:
        return Edit(path, created=False, before=before, after=after)
    return Edit(path, created=False, before=before, hunks=_hunks(rows))


def _exchanged(before: str, parts: tuple[Replacement, ...], grown: int | None) -> str | None:
    """Apply replacements as the tool does; `grown` tells by how many lines the file grew."""
    after = before
    for part in parts:
        if part.old and part.old not in after:
            return None
        after = after.replace(part.old, part.new, -1 if part.every else 1)
    if grown is None or len(parts) > 1 or parts[0].new:
        return after
    # Taking a text out takes the end of its last line along.
    old = parts[0].old + "\n"
    if old in before and after.count("\n") - before.count("\n") != grown:
        return before.replace(old, "", -1 if parts[0].every else 1)
    return after


def _hunks(rows: list[_Hunk]) -> tuple[Hunk, ...]:
    return tuple(_to_hunk(row) for row in rows if row.lines)


def _to_hunk(row: _Hunk) -> Hunk:
    lines: list[str] = []
    old_open = new_open = False
    for line in row.lines or ():
        if line.startswith("\\"):
            old_open |= "".join(lines[-1:])[:1] in ("-", " ")
            new_open |= "".join(lines[-1:])[:1] in ("+", " ")
        else:
            lines.append(line or " ")
    ends = old_open or new_open
    return Hunk(tuple(lines), row.old_start, at_end=ends, ended_open=old_open, ends_open=new_open)


def _undone(content: str, rows: list[_Hunk]) -> str | None:
    """Take a patch back; None where it does not fit the content."""
    lines = content.split("\n")
    for row in sorted(rows, key=lambda row: row.new_start or 0, reverse=True):
        marked = [line for line in row.lines or () if not line.startswith("\\")]
        if len(marked) != len(row.lines or ()):
            return None  # an open end: what it was before is told apart too hard
        new = [line[1:] for line in marked if line[:1] != "-"]
        old = [line[1:] for line in marked if line[:1] != "+"]
        start = max((row.new_start or 1) - 1, 0)
        if lines[start : start + len(new)] != new:
            return None
        lines[start : start + len(new)] = old
    return "\n".join(lines)
