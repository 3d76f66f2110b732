"""A folder copied without its secrets: whole or not at all, and looked into again at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaltrace.errors import EvaltraceError, OutputFailure, Problem
from evaltrace.redact.redactor import Redactor
from evaltrace.redact.scanning import (
    Finding,
    files_below,
    is_binary,
    known_in,
    open_regular,
    pieces_of,
    scan_file,
    unreadable,
)

_DEAD_AFTER = 86_400
"""Seconds without a new file in it after which an unfinished copy is of no use."""


class SecretsLeft(EvaltraceError):
    """Secrets were found in what had been redacted; nothing was left behind."""


@dataclass
class Copied:
    """What became of a folder: files copied, secrets replaced by rule, and what was left out."""

    files: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def copy_redacted(source: Path, target: Path, redactor: Redactor) -> Copied:
    """Copy a folder without its secrets, those included that its configuration files hold.

    Links and what is no regular file are left out, with a problem; so are binary files with a
    secret in them. The copy is read again: raises SecretsLeft where a secret is found in it, and
    OutputFailure where it cannot be written. Either leaves nothing behind.
    """
    place, origin = Path(os.path.realpath(target)), Path(os.path.realpath(source))
    if place == origin or origin in place.parents or place in origin.parents:
        hint = "Name a folder apart from it: what is redacted is never changed itself."
        raise OutputFailure("the copy would lie in what is copied", where=str(target), hint=hint)
    if os.path.lexists(target):
        hint = "Name another folder, or remove it."
        raise OutputFailure("there is something already", where=str(target), hint=hint)
    known, problems = known_in(origin)
    copied = Copied(problems=problems)
    knowing = redactor.knowing(known)
    try:
        with _made_whole(place) as folder:
            _copy(origin, folder, knowing, copied)
            check_clean(folder, knowing)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Check that the folder may be written to and has space left, or name another one."
        what = f"cannot write the copy ({reason})"
        raise OutputFailure(what, where=str(target), hint=hint) from error
    return copied


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_dead(target.parent)
    # Not the process alone: in containers each has the same number.
    number = int.from_bytes(os.urandom(6))
    folder = target.with_name(f".evaltrace-{os.getpid()}-{number}.tmp")
    try:
        folder.mkdir()
        yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_dead(place: Path) -> None:
    """Remove the copies of killed runs: what nobody has written to for a day."""
    for folder in place.glob(".evaltrace-[0-9]*-[0-9]*.tmp"):
        with suppress(OSError):
            if folder.is_symlink() or not folder.is_dir():
                continue
            within = [path for path in folder.rglob("*") if path.is_dir()]
            latest = max(path.stat().st_mtime for path in (folder, *within))
            if time.time() - latest > _DEAD_AFTER:
                shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, folder: Path, redactor: Redactor, copied: Copied) -> None:
    looked_at: set[str] = set()
    for item in files_below(source):
        if isinstance(item, Problem):
            copied.problems.append(replace(item, path=redactor.text(item.path)[0]))
            continue
        path, name = item
        copied.problems += _named_by_secrets(name, redactor, looked_at)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            kept = _copy_file(path, target, name, redactor, copied)
        except _Unreadable as fault:
            copied.problems.append(unreadable(redactor.text(name)[0], fault.error))
            kept = False
        if kept:
            shutil.copystat(path, target)
            copied.files += 1
        else:
            target.unlink(missing_ok=True)


def _named_by_secrets(name: str, redactor: Redactor, seen: set[str]) -> Iterator[Problem]:
    """Report the folders and the file of a path whose own names hold secrets, each once."""
    above = ""
    for part in name.split("/"):
        above = f"{above}/{part}" if above else part
        if above in seen:
            continue
        seen.add(above)
        counts = redactor.text(part)[1]
        if counts:
            rules = ", ".join(sorted(counts))
            yield Problem(
                code="secret_in_name",
                path=redactor.text(above)[0],
                message=f"its name has what looks like a secret ({rules}), and is kept in the copy",
                hint="Rename it in the copy before you share that.",
            )


class _Unreadable(Exception):
    """A file of the source cannot be read, which is not a failure of the copy."""

    def __init__(self, error: OSError) -> None:
        self.error = error


def _copy_file(path: Path, target: Path, name: str, redactor: Redactor, copied: Copied) -> bool:
    try:
        file = open_regular(path)
    except OSError as error:
        raise _Unreadable(error) from None
    with file, target.open("xb") as out:
        for piece in pieces_of(file):
            if is_binary(piece):
                break
            text, counts = redactor.text(piece.decode("utf-8", "surrogateescape"))
            copied.counts += counts
            out.write(text.encode("utf-8", "surrogateescape"))
        else:
            return True
        file.seek(0)
        out.seek(0)
        shutil.copyfileobj(file, out)
    hits = [hit for hit in scan_file(path, name, redactor) if isinstance(hit, Finding)]
    if hits:
        rules = ", ".join(sorted({hit.rule for hit in hits}))
        copied.problems.append(
            Problem(
                code="secret_in_binary",
                path=redactor.text(name)[0],
                message=f"left out: it is no text and has what looks like a secret ({rules})",
                hint="Look into it; copy it yourself where nothing in it is secret.",
            )
        )
    return not hits


def check_clean(folder: Path, redactor: Redactor) -> None:
    """Look into each file of a folder. Raises SecretsLeft where a secret is left."""
    for item in files_below(folder):
        if isinstance(item, Problem):
            continue
        for hit in scan_file(*item, redactor):
            if isinstance(hit, Finding):
                raise secrets_left(f"{hit.file}:{hit.line}", hit.rule)


def secrets_left(where: str, rule: str) -> SecretsLeft:
    """Make the error for a secret that outlived its redaction."""
    hint = "This is a mistake in a rule, your own or ours; nothing was written."
    return SecretsLeft(f"a secret is left ({rule})", where=where, hint=hint)
