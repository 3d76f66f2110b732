"""Traces spread over files by table, arm and job, in memory that does not grow with them."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from evaltrace.files.dataset.arrow import open_writer, to_batch
from evaltrace.files.dataset.manifest import DataFile
from evaltrace.tables import TABLES, rows_of
from evaltrace.trace import Trace
from evaltrace.untrusted import digest

_GROUP_BYTES = 4 << 20
"""Size of the rows of a row group in memory; a single larger trace is one of its own."""

_MOST_GROUPS = 100
"""Row groups of a file: its end tells 9 KB of each, all of which a reader takes into memory."""

_ALL_BYTES = 24 << 20
"""Size of all rows that wait to be written."""

_MAX_OPEN = 128
"""Files that are written to at a time; one that has to give way is complete."""

_NAME_LIMIT = 100
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+@")


class Partition(NamedTuple):
    """What the rows of a file have in common."""

    table: str
    arm: str | None
    job_name: str | None
    job_id: str | None


class StagedFile(NamedTuple):
    """A complete file that is not at its place yet."""

    partition: Partition
    source: Path
    file: DataFile


@dataclass(slots=True)
class _Waiting:
    columns: list[list[Any]]
    number: int = 0
    size: int = 0


@dataclass(slots=True)
class _Open:
    writer: Any
    path: Path
    rows: int = 0
    groups: int = 0


class Partitions:
    """Writes rows into complete files below a folder, each named by its content later on."""

    def __init__(self, folder: Path, compression: str, tables: Sequence[str]) -> None:
        self._folder = folder
        self._tables = tables
        self._compression = compression
        self._waiting: dict[Partition, _Waiting] = {}
        self._open: OrderedDict[Partition, _Open] = OrderedDict()
        self._numbers = count()
        self._staged: list[tuple[Partition, int, StagedFile]] = []
        self._size = 0

    def add(self, trace: Trace, text: bytes) -> None:
        """Take the rows of a trace; `text` is the trace as JSON."""
        origin = trace.origin
        for rows in rows_of(trace, text, self._tables):
            partition = Partition(rows.table, trace.arm, origin.job_name, origin.job_id)
            waiting = self._waiting.get(partition)
            if waiting is None:
                waiting = self._waiting[partition] = _Waiting([[] for _ in rows.columns])
            for values, new in zip(waiting.columns, rows.columns, strict=True):
                values.extend(new)
            waiting.number += rows.number
            waiting.size += rows.size
            self._size += rows.size
            if waiting.size >= _GROUP_BYTES:
                self._flush(partition)
        while self._size > _ALL_BYTES:
            self._flush(max(self._waiting, key=lambda key: self._waiting[key].size))

    def finish(self) -> list[StagedFile]:
        """Write what waits, and list all files by partition in the order of writing."""
        for partition in list(self._waiting):
            self._flush(partition)
        while self._open:
            self._complete(next(iter(self._open)))
        tables = list(TABLES)
        self._staged.sort(key=lambda it: (*_order(it[0], tables), it[1]))
        return [staged for _, _, staged in self._staged]

    def close(self) -> None:
        """Let go of files that are not complete, after a failure."""
        for file in self._open.values():
            file.writer.close()
        self._open.clear()

    def _flush(self, partition: Partition) -> None:
        waiting = self._waiting.pop(partition)
        self._size -= waiting.size
        if partition in self._open:
            self._open.move_to_end(partition)
        else:
            if len(self._open) >= _MAX_OPEN:
                self._complete(next(iter(self._open)))
            path = self._folder / f"{next(self._numbers):08}.parquet"
            writer = open_writer(partition.table, path, self._compression)
            self._open[partition] = _Open(writer, path)
        file = self._open[partition]
        file.writer.write_batch(to_batch(partition.table, waiting.columns), waiting.number)
        file.rows += waiting.number
        file.groups += 1
        if file.groups >= _MOST_GROUPS:
            self._complete(partition)

    def _complete(self, partition: Partition) -> None:
        whole = self._open.pop(partition)
        whole.writer.close()
        with whole.path.open("rb") as file:
            os.fsync(file.fileno())
            name = file_digest(file, "sha256").hexdigest()
        data_file = DataFile(
            table=partition.table,
            arm=partition.arm,
            path=f"{folder_of(partition)}/part-{name[:20]}.parquet",
            rows=whole.rows,
            digest=f"sha256:{name}",
        )
        staged = StagedFile(partition, whole.path, data_file)
        self._staged.append((partition, int(whole.path.stem), staged))


def _order(partition: Partition, tables: list[str]) -> tuple[Any, ...]:
    names = [(name is not None, name or "") for name in partition[1:]]
    return tables.index(partition.table), *names


def folder_of(partition: Partition) -> str:
    """Name the folder of a partition, relative to the data set."""
    arm, job = _segment(partition.arm), _segment(partition.job_name)
    return f"{partition.table}/arm={arm}/job={job}"


def _segment(name: str | None) -> str:
    """Make one safe part of a path of any name; different names stay different."""
    if name is None:
        return _NO_VALUE
    safe = "".join(c if c in _PLAIN else _escaped(c) for c in name)
    if len(safe) > _NAME_LIMIT:
        safe = f"{safe[:_NAME_LIMIT].rstrip('%')}~{digest(name.encode())[7:19]}"
    return f"%5F{safe[1:]}" if safe.startswith("__HIVE") else safe


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
