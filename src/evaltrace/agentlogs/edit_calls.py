"""What an edit tool was asked to do, from the input of its call alone.

For logs that keep no structured result. It covers the tools that agents share by name or
by shape; whether the call succeeded is for the log to say.
"""

from __future__ import annotations

import posixpath
from typing import Any

from msgspec.structs import replace

from evaltrace.agentlogs.apply_patch import find_patch, to_edits
from evaltrace.agentlogs.tools import command_of, kind_of
from evaltrace.patches.edits import Edit, Hunk, Replacement

_PATH = ("file_path", "path", "filePath", "target_file", "filename")
_OLD = ("old_string", "old_str", "oldString", "search")
_NEW = ("new_string", "new_str", "newString", "replace")
_WHOLE = ("content", "file_text", "fileText", "contents", "text")
_EVERY = ("replace_all", "replaceAll", "allow_multiple")
_PATCH = ("input", "patch", "patchText", "patch_text")
_BEGIN = "*** Begin Patch"
_READING = ("view", "undo_edit", "view_range")


def edits_of_call(name: str, given: Any) -> list[Edit]:
    """Give the edits that a call asked for; none if it is no edit.

    `given` is the call's input: an object of arguments, or the text of a patch. A shell
    that was given a patch to apply edits as well.
    """
    kind = kind_of(name)
    if kind == "shell":
        return _of_shell(given)
    if isinstance(given, str):
        return to_edits(given) if _BEGIN in given else []
    if kind != "edit" or not isinstance(given, dict):
        return []
    patch = _text(given, _PATCH)
    if patch is not None and _BEGIN in patch:
        return to_edits(patch)
    path = _text(given, _PATH)
    command = given.get("command")
    if not path or command in _READING:
        return []
    if name.lower() == "delete_file" or command == "delete":
        return [Edit(path, deleted=True)]
    edit = _edit(path, given, command)
    return [edit] if edit is not None else []


def _edit(path: str, given: dict[str, Any], command: Any) -> Edit | None:
    whole, old, new = _text(given, _WHOLE), _text(given, _OLD), _text(given, _NEW)
    rows = given.get("edits")
    if command == "insert" or "insert_line" in given:
        return _insertion(path, given.get("insert_line"), new if new is not None else whole)
    if isinstance(rows, list):
        parts = tuple(part for row in rows if (part := _replacement(row)) is not None)
        return Edit(path, replacements=parts) if len(parts) == len(rows) > 0 else None
    if old is not None or command == "str_replace":
        if not old:
            return Edit(path, created=True, after=new) if new is not None else None
        return Edit(path, replacements=(Replacement(old, new or "", _every(given)),))
    if whole is None:
        return None
    return Edit(path, created=True if command == "create" else None, after=whole)


def _replacement(row: Any) -> Replacement | None:
    given = row if isinstance(row, dict) else {}
    old = _text(given, _OLD)
    return Replacement(old, _text(given, _NEW) or "", _every(given)) if old else None


def _insertion(path: str, line: Any, new: str | None) -> Edit | None:
    if not isinstance(line, int) or isinstance(line, bool) or line < 0 or new is None:
        return None
    lines = tuple(f"+{text}" for text in new.removesuffix("\n").split("\n"))
    return Edit(path, hunks=(Hunk(lines, start=line + 1),))


def _text(given: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((given[key] for key in keys if isinstance(given.get(key), str)), None)


def _every(given: dict[str, Any]) -> bool:
    return any(given.get(key) is True for key in _EVERY)


def _of_shell(given: Any) -> list[Edit]:
    argv = given.get("command") if isinstance(given, dict) else None
    command = argv if isinstance(argv, list) else command_of(given)
    if not command or _BEGIN not in (command if isinstance(command, str) else str(command)):
        return []
    found = find_patch(command)
    if found is None:
        return []
    folder, patch = found
    above = given.get("workdir") if isinstance(given, dict) else None
    places = [place for place in (above, folder) if isinstance(place, str)]
    return [_below(places, edit) for edit in to_edits(patch)]


def _below(places: list[str], edit: Edit) -> Edit:
    """Give an edit whose path was meant from a folder."""
    moved = edit.moved_to and posixpath.join(*places, edit.moved_to)
    return replace(edit, path=posixpath.join(*places, edit.path), moved_to=moved)
