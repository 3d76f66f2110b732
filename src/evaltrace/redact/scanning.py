"""Finding secrets in texts, files and folders, and saying where without saying what."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from evaltrace.errors import Problem
from evaltrace.redact.documents import segments
from evaltrace.redact.redactor import Redactor

PIECE = 1 << 24
"""Bytes of a file that are looked at together."""

_LAST = 1 << 16
_BINARY = 8192
_KEY_OPENS, _KEY_ENDS = b"-----BEGIN ", b"-----END "
_ENCODING = "utf-8"


class Finding(NamedTuple):
    """A secret: in which file, where in it, by which rule; never the secret.

    Files of traces have a trace and a field of it, others a line and the name behind which it
    stands. `digest` is the keyed digest of its marker, by which equal secrets are told.
    """

    file: str
    line: int | None
    field: str
    rule: str
    digest: str
    trace_id: str | None = None


def scan(content: bytes | str, redactor: Redactor, file: str = "") -> Iterator[Finding]:
    """Find the secrets of a text; JSON is read string by string."""
    text = content if isinstance(content, str) else content.decode(_ENCODING, "surrogateescape")
    yield from _scan(text, redactor, file, 1)


def _scan(text: str, redactor: Redactor, file: str, line: int) -> Iterator[Finding]:
    if redactor.is_clean(text):
        return
    for part, is_json in segments(text):
        if is_json:
            yield from _in_document(part, redactor, file, line)
        else:
            for place in redactor.places(part):
                if place.first:
                    number = line + part.count("\n", 0, place.start)
                    yield Finding(file, number, "", place.rule, place.digest)
        line += part.count("\n")


def _in_document(text: str, redactor: Redactor, file: str, line: int) -> Iterator[Finding]:
    for offset, name, secrets in redactor.changes(text):
        number = line + text.count("\n", 0, offset)
        for rule, digest in secrets:
            yield Finding(file, number, name, rule, digest)


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """Cut a file at ends of lines into pieces that fit the memory, no private key in two.

    A line that is longer than a piece is cut where no token is.
    """
    held = b""
    while True:
        read = file.read(PIECE)
        if not read:
            break
        held += read
        cut = _cut(held)
        yield held[:cut]
        held = held[cut:]
    if held:
        yield held


def _cut(held: bytes) -> int:
    cut = held.rfind(b"\n") + 1
    if not cut:
        # Marks that no token has: what comes before one is whole.
        cut = max(held.rfind(mark, len(held) - _LAST) for mark in (b'"', b" ", b",")) + 1
        return cut or len(held)
    opens = held.rfind(_KEY_OPENS, max(0, cut - _LAST), cut)
    if opens > 0 and held.find(_KEY_ENDS, opens, cut) == -1:
        return held.rfind(b"\n", 0, opens) + 1 or cut
    return cut


def scan_file(path: Path, name: str, redactor: Redactor) -> Iterator[Finding | Problem]:
    """Find the secrets of a file, as a text or, where it is none, byte by byte."""
    try:
        with open_regular(path) as file:
            line = 1
            for piece in pieces_of(file):
                text = _decoded(piece)
                yield from _scan(text, redactor, name, line)
                line += text.count("\n")
    except OSError as error:
        yield unreadable(name, error)


def _decoded(piece: bytes) -> str:
    if is_binary(piece):
        wide = piece.count(b"\0", 0, _BINARY) * 3 > len(piece[:_BINARY])
        return piece.decode("utf-16", "replace") if wide else piece.decode("latin-1")
    return piece.decode(_ENCODING, "surrogateescape")


def is_binary(content: bytes) -> bool:
    """Tell whether content is no text: a null byte is among its first."""
    return b"\0" in content[:_BINARY]


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file; OSError for anything else, and without waiting for a pipe's writer."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError("it is no regular file")
    return os.fdopen(number, "rb")


def unreadable(name: str, error: OSError) -> Problem:
    """Make the problem of a file that cannot be read."""
    reason = error.strerror or str(error)
    return Problem(
        code="not_scanned",
        path=name,
        message=f"the file was not looked into ({reason})",
        hint="Check its permissions, or look into it by other means.",
    )


def files_below(folder: Path) -> Iterator[tuple[Path, str] | Problem]:
    """List the files below a folder, sorted, with their names from there; links are left."""
    yield from _files_below(folder, "")


def _files_below(folder: Path, above: str) -> Iterator[tuple[Path, str] | Problem]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield unreadable(above or ".", error)
        return
    for entry in entries:
        name = f"{above}/{entry.name}" if above else entry.name
        if entry.is_symlink():
            yield _skipped(name, "a link", "Name what it leads to.")
        elif entry.is_dir(follow_symlinks=False):
            yield from _files_below(Path(entry.path), name)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path), name
        else:
            yield _skipped(name, "no regular file", "Pipes, sockets and devices are left out.")


def _skipped(name: str, what: str, hint: str) -> Problem:
    return Problem(code="not_scanned", path=name, message=f"left out: it is {what}", hint=hint)
