"""Traces out of Parquet: of a data set, or of a single file of its table `trials`."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

import msgspec

from evaltrace.errors import UnreadablePath
from evaltrace.files.dataset.arrow import require_pyarrow, require_utf8
from evaltrace.files.dataset.footers import no_traces, require_footer
from evaltrace.files.dataset.manifest import read_manifest

_BATCH_BYTES = 1 << 20
_MOST_ROWS = 64
"""How much of a file is decoded at a time, but a whole trace at least."""
_MOST_BYTES, _MOST_TIMES = 1 << 28, 1000
"""What a file may unpack to: so many bytes, or times its own size if that is more."""
_REWRITTEN = "It may have been written again at this moment: try once more."


def read_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Read the traces of a data set or a Parquet file as JSON, each with its place.

    Raises UnreadablePath, NotATraceFile, MissingPackage.
    """
    require_pyarrow()
    require_utf8(path)
    if not path.is_dir():
        yield from _read_file(path, "")
        return
    for file in read_manifest(path).files("trials"):
        yield from _read_file(path / file.path, f"{file.path} ")


def read_frame(path: Path) -> bytes | None:
    """Give what surrounds the traces of a data set as a document without traces."""
    if not path.is_dir():
        return None
    manifest = read_manifest(path)
    document = {
        "schema_version": manifest.schema_version,
        "tool": manifest.tool,
        "inputs": manifest.inputs(),
        "traces": [],
        "problems": manifest.all_problems(),
    }
    return msgspec.json.encode(document)


def verify_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the files of a data set that are not as they were written, and why."""
    manifest = read_manifest(folder)
    for file in (file for job in manifest.jobs for file in job.files):
        try:
            with (folder / file.path).open("rb") as stream:
                found = f"sha256:{file_digest(stream, 'sha256').hexdigest()}"
        except OSError as error:
            yield file.path, f"cannot be read ({error.strerror or error})"
            continue
        if found != file.digest:
            yield file.path, "is not what was written: its digest is another"


def _read_file(path: Path, before: str) -> Iterator[tuple[str, bytes]]:
    import pyarrow as pa

    row, left = 0, max(_MOST_BYTES, _MOST_TIMES * _size_of(path))
    try:
        for batch in _batches(path):
            for text in batch.column(0):
                row += 1
                value = text.as_py()
                content = b"null" if value is None else _bytes(value)
                left -= len(content)
                if left < 0:
                    raise no_traces(path, f"it unpacks to more than {_MOST_TIMES:,} times its size")
                yield f"{before}row {row}: $", content
    except OSError as error:
        if error.errno is None:  # Arrow's own, of what is in the file
            raise no_traces(path, str(error).strip()) from None
        reason = error.strerror or str(error)
        raise UnreadablePath(f"Cannot read ({reason})", where=str(path), hint=_REWRITTEN) from None
    except (pa.ArrowException, ValueError) as error:  # the latter: text that is no UTF-8
        raise no_traces(path, str(error)) from None


def _batches(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    require_footer(path)
    with pq.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False) as file:
        if "trace" not in file.schema_arrow.names:
            raise no_traces(path, "it has no column named trace")
        size = _BATCH_BYTES // max(_largest_value(file.metadata), 1)
        rows = max(1, min(size, _MOST_ROWS))
        yield from file.iter_batches(batch_size=rows, columns=["trace"], use_threads=False)


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _largest_value(metadata: Any) -> int:
    """Give the bytes of the largest row group, all of which one value may have.

    A dictionary may have one value for all rows. Whether there is one is not asked: where the
    footer of a column is damaged, Arrow ends the whole process.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return max((group.total_byte_size for group in groups), default=0)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
