"""Finding secrets in texts, files and folders, and saying where without saying what."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from evaltrace.errors import Problem
from evaltrace.redact.documents import segments
from evaltrace.redact.known import (
    MOST_OF_FOLDER,
    SIZE_OF_FOLDER,
    fair_share,
    is_configuration,
    known_values,
)
from evaltrace.redact.redactor import Redactor

PIECE = 1 << 24
"""Bytes of a file that are looked at together."""

_LAST = 1 << 16
_SETTINGS = 1 << 22
_HELD = 8 * SIZE_OF_FOLDER
"""Characters of values after which no more settings of a folder are read."""
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
    yield from _scan(text, redactor, redactor.text(file)[0], 1)


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
        field, _ = redactor.text(name)
        for rule, digest in secrets:
            yield Finding(file, number, field, rule, digest)


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """Cut a file at ends of lines into pieces that fit the memory, no private key in two.

    A line that is longer than a piece is cut where no token is. The end of the file is left
    as it is: a document ends there, with a line or without.
    """
    held, wide = b"", None
    while True:
        held += file.read(PIECE)
        ahead = file.read(1)
        if not ahead:
            break
        wide = _wide_encoding(held) if wide is None else wide
        cut = _cut(held)
        # A character of two bytes is not cut in the middle.
        cut += cut % 2 if wide else 0
        yield held[:cut]
        held = held[cut:] + ahead
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
    said, _ = redactor.text(name)
    try:
        with open_regular(path) as file:
            line, wide = 1, None
            for piece in pieces_of(file):
                wide = _wide_encoding(piece) if wide is None else wide
                text = _decoded(piece, wide)
                yield from _scan(text, redactor, said, line)
                line += text.count("\n")
    except OSError as error:
        yield unreadable(said, error)


def _decoded(piece: bytes, wide: str) -> str:
    if wide:
        return piece.decode(wide, "replace")
    if is_binary(piece):
        return piece.decode("latin-1")
    return piece.decode(_ENCODING, "surrogateescape")


def _wide_encoding(piece: bytes) -> str:
    """Name the encoding of a text with two bytes for each character; "" for any other."""
    first = piece[:_BINARY]
    low, high = first[::2].count(0), first[1::2].count(0)
    if first.startswith(codecs.BOM_UTF16_LE) or (high > low and high * 3 > len(first)):
        return "utf-16-le"
    if first.startswith(codecs.BOM_UTF16_BE) or (low > high and low * 3 > len(first)):
        return "utf-16-be"
    return ""


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


def known_in(folder: Path) -> tuple[tuple[str, ...], list[Problem]]:
    """List the secrets in a folder's configuration files; a Problem says where there are too many.

    What is part of the name of a job or a trial is no secret. What cannot be read is left: who
    looks at all files of the folder says so.
    """
    found: list[tuple[str, ...]] = []
    held = 0
    for content in _settings_in(folder):
        found.append(known_values([content]))
        held += sum(map(len, found[-1]))
        if held > _HELD:
            break
    names = _names_in(folder) if held else ""
    told = ([value for value in values if value not in names] for values in found)
    return fair_share(told, ".", most=MOST_OF_FOLDER, size=SIZE_OF_FOLDER)


def _names_in(folder: Path) -> str:
    """Give the names of a folder and of those in its two uppermost levels, one to a line."""
    names = {Path(os.path.realpath(folder)).name}
    for item in files_below(folder):
        if isinstance(item, tuple):
            names.update(item[1].split("/")[:-1][:2])
    return "\n".join(sorted(names))


def _settings_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    for item in files_below(folder):
        if isinstance(item, tuple) and is_configuration(item[1]):
            with suppress(OSError), open_regular(item[0]) as file:
                yield item[1], file.read(_SETTINGS)
