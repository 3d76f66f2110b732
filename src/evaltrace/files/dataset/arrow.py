"""Rows of the tables as Arrow batches and Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from evaltrace.errors import MissingPackage, UnreadablePath
from evaltrace.tables import TABLES, fitted

if TYPE_CHECKING:
    from pathlib import Path

_DICTIONARY_MAX = 1 << 16


def require_pyarrow() -> None:
    """Raise MissingPackage when pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        hint = "Install it: python -m pip install 'evaltrace[parquet]'"
        raise MissingPackage("Parquet needs the package pyarrow", hint=hint) from None


def require_utf8(path: Path) -> None:
    """Raise UnreadablePath for a path that libraries of Parquet cannot be told."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        hint = "Rename the folder, or name another one."
        what = "Parquet needs names in UTF-8"
        raise UnreadablePath(what, where=str(path), hint=hint) from None


@cache
def schema_of(table: str) -> Any:
    """Give the Arrow schema of a table; all columns but the trace's id may be null."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "json": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
    }
    columns = TABLES[table].columns
    return pa.schema([pa.field(column.name, types[column.type]) for column in columns])


def to_batch(table: str, columns: Sequence[Sequence[Any]]) -> Any:
    """Turn the columns of some rows into an Arrow batch."""
    import pyarrow as pa

    schema = schema_of(table)
    arrays = [
        pa.array(fitted(column.type, values), field.type)
        for column, values, field in zip(TABLES[table].columns, columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def open_writer(table: str, path: Path, compression: str) -> Any:
    """Open a Parquet file for the rows of a table; each batch becomes a row group."""
    import pyarrow.parquet as pq

    short = [column.name for column in TABLES[table].columns if not column.long]
    return pq.ParquetWriter(
        path,
        schema_of(table),
        compression=compression,
        # No two long texts are alike: a dictionary of them would only be thrown away.
        use_dictionary=short,
        dictionary_pagesize_limit=_DICTIONARY_MAX,
    )
