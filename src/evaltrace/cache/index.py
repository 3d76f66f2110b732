"""The index of a shelf: a row for each trial that is kept, and the packs their traces lie in.

One file, written whole or not at all: a prefix, the rows, the header. The prefix tells where
the header begins and the checksum of all that follows it; rows are written as they come, so
that a run does not hold them.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from evaltrace.errors import Problem
from evaltrace.source import Stamp
from evaltrace.summary import Facts

INDEX = "index"
_MAGIC = b"evtrace1"
_PREFIX = struct.Struct(">8sQIcI")
_ARRAY = b"\xdd"
"""How msgpack begins an array; its number of items, the last of the prefix, comes next."""

_ARRAY_HEAD = 5
_STAMP = struct.Struct("<4q")


class KnownTrial(Struct, array_like=True, frozen=True):
    """What a plan needs of a trial that is not read again.

    `state` tells what an unfinished one takes from its job besides what all trials take.
    """

    task: str
    trial: str
    trace_id: str
    configuration: str
    started: str | None
    finished: bool
    state: str
    attempt: int


class KeptTrial(KnownTrial, frozen=True):
    """What a summary needs besides."""

    facts: Facts
    problems: list[Problem]


class Row(Struct, array_like=True):
    """A trial by the name of its folder: who read it, where its trace stands, what that
    depended on.

    `stamps` belong to `paths`, one after the other; `last` is the file that the harness writes
    last, with its stamp; without a name while it has not.
    """

    name: str
    reader: str
    pack: int
    offset: int
    length: int
    trial: Raw
    paths: Raw
    stamps: bytes
    last: tuple[str, bytes]


class Pack(Struct, array_like=True, frozen=True):
    """A file of traces, and its stamp when it was finished: nobody changes it afterwards."""

    name: str
    stamp: Stamp


class Header(Struct):
    """What holds for all rows; others than those of the same maker and facts are of no use."""

    made_by: str = ""
    job: str = ""
    facts: str = ""
    packs: dict[int, Pack] = {}


class DamagedIndex(Exception):
    """An index that is not as it was written."""


_ROWS = msgspec.msgpack.Decoder(list[Row])
_HEADER = msgspec.msgpack.Decoder(Header)
_TRIAL = msgspec.msgpack.Decoder(KeptTrial)
_KNOWN = msgspec.msgpack.Decoder(KnownTrial)
_PATHS = msgspec.msgpack.Decoder(list[str])
_ENCODER = msgspec.msgpack.Encoder()


def trial_of(row: Row) -> KeptTrial:
    """Unpack what a row says of its trial."""
    return _TRIAL.decode(row.trial)


def known_of(row: Row) -> KnownTrial:
    """Unpack only what a plan needs of that."""
    return _KNOWN.decode(row.trial)


def paths_of(row: Row) -> list[str]:
    """Unpack the paths that a trial depended on."""
    return _PATHS.decode(row.paths)


def packed(value: KeptTrial | list[str]) -> Raw:
    """Pack a part of a row."""
    return Raw(_ENCODER.encode(value))


def packed_stamp(stamp: Stamp) -> bytes:
    """Pack a stamp; what was absent has no number but 0."""
    return _STAMP.pack(stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode)


def packed_status(status: os.stat_result) -> bytes:
    """Pack the stamp of a path that is there."""
    return _STAMP.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


ABSENT = packed_stamp(Stamp("absent"))


def read_index(path: Path) -> tuple[Header, list[Row]]:
    """Read an index. Raises OSError, and DamagedIndex."""
    content = path.read_bytes()
    try:
        magic, header_at, checksum, _, _ = _PREFIX.unpack_from(content)
        if magic != _MAGIC or checksum != zlib.crc32(memoryview(content)[_PREFIX.size :]):
            raise DamagedIndex(str(path))
        view = memoryview(content)
        rows = _ROWS.decode(view[_PREFIX.size - _ARRAY_HEAD : header_at])
        return _HEADER.decode(view[header_at:]), rows
    except (struct.error, ValueError, msgspec.MsgspecError) as error:
        raise DamagedIndex(str(path)) from error


def read_header(path: Path) -> tuple[Header, int]:
    """Read the header of an index, and the number of its rows. Raises OSError, DamagedIndex."""
    with path.open("rb") as file:
        try:
            magic, header_at, _, _, number = _PREFIX.unpack(file.read(_PREFIX.size))
            if magic != _MAGIC:
                raise DamagedIndex(str(path))
            file.seek(header_at)
            return _HEADER.decode(file.read()), number
        except (struct.error, ValueError, msgspec.MsgspecError) as error:
            raise DamagedIndex(str(path)) from error


class IndexWriter:
    """Writes an index beside the one that it replaces when it is finished."""

    def __init__(self, folder: Path) -> None:
        self._target = folder / INDEX
        self._path = folder / f"{INDEX}-{os.getpid()}-{id(self):x}.tmp"
        self._file: BinaryIO = self._path.open("xb")
        self._file.write(bytes(_PREFIX.size))
        self._checksum = 0
        self._length = _PREFIX.size
        self._number = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows. Raises OSError."""
        for row in rows:
            self._write(_ENCODER.encode(row))
            self._number += 1

    def finish(self, header: Header) -> None:
        """Put the index in its place. Raises OSError."""
        header_at = self._length
        self._write(_ENCODER.encode(header))
        self._file.seek(0)
        self._file.write(_PREFIX.pack(_MAGIC, header_at, self._checksum, _ARRAY, self._number))
        self._file.close()
        self._path.replace(self._target)

    def abandon(self) -> None:
        """Leave what stands in its place as it is."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._length += len(content)
        self._checksum = zlib.crc32(content, self._checksum)
