"""The views that a question sees: the tables of all traces that were named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaltrace.errors import MissingPackage, NotATraceFile, UnreadablePath
from evaltrace.files import STANDARD_INPUT, holds_traces, is_dataset, read_traces
from evaltrace.files.dataset import require_footer, require_utf8, table_files, write_dataset
from evaltrace.source import spelled
from evaltrace.tables import TABLES, Type
from evaltrace.trace import Tool
from evaltrace.version import __version__

SOURCE_FILE = "source_file"
"""The last column of every view: the path that a row is from, as it was named."""

DAMAGED = "`evaltrace validate FOLDER` lists what is damaged: write those jobs again."
"""What to do about a file that cannot be read."""

_TYPES: dict[Type, str] = {
    "text": "VARCHAR",
    "json": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A path that was named, and the data set that has its traces."""

    name: str
    folder: Path

    def files(self, table: str) -> list[str]:
        """List the absolute paths of the files of a table; raises UnreadablePath."""
        folder = self.folder.resolve()
        require_utf8(folder)
        return table_files(folder, table)


def require_known(paths: Sequence[Path]) -> None:
    """Refuse what is neither a file nor a data set before anything is read."""
    for path in paths:
        if path == STANDARD_INPUT or not path.is_dir() or holds_traces(path):
            continue
        hint = "Of a job directory: evaltrace aggregate JOB -o traces.json, and query that."
        raise NotATraceFile("A folder that is no data set", where=str(path), hint=hint)


def tables_in(sql: str) -> list[str]:
    """List the tables that a question can mean: those it names, all if it names none."""
    text = sql.lower()
    return [table for table in TABLES if table in text] or list(TABLES)


def open_sources(paths: Sequence[Path], folder: Path, tables: Sequence[str]) -> list[Source]:
    """Find the data sets of some paths; of other files, write one below a folder.

    Raises what read_traces raises.
    """
    return [_source(path, folder / f"source-{n}", tables) for n, path in enumerate(paths)]


def _source(path: Path, folder: Path, tables: Sequence[str]) -> Source:
    if path != STANDARD_INPUT and is_dataset(path):
        return Source(spelled(str(path)), path)
    tool = Tool(name="evaltrace", version=__version__)
    # What is read once and thrown away is not worth packing well.
    try:
        write_dataset(folder, read_traces(path), tool=tool, compression="lz4", tables=tables)
    except MissingPackage as error:
        hint = "Install it: python -m pip install 'evaltrace[sql]'"
        raise MissingPackage(error.what, hint=hint) from None
    return Source(spelled(str(path)), folder)


def create_views(connection: Any, sources: Sequence[Source], tables: Sequence[str]) -> str:
    """Create a view of each of the tables; give the files they read, as a list in SQL.

    Raises UnreadablePath when a data set names a file that is not there.
    """
    everything: list[str] = []
    for table in tables:
        parts = [_empty(table)]
        for source in sources:
            files = source.files(table)
            _require_present(source, files)
            everything += files
            if files:
                parts.append(_selection(source, files))
        rows = "\nUNION ALL BY NAME\n".join(parts)
        connection.execute(f"CREATE VIEW {table} AS {rows}")
    return _listed(everything)


def _empty(table: str) -> str:
    """Select no row with the right columns: for their order, and where no file has any."""
    columns = ", ".join(
        f'NULL::{_TYPES[column.type]} AS "{column.name}"' for column in TABLES[table].columns
    )
    return f"SELECT {columns}, NULL::VARCHAR AS {SOURCE_FILE} WHERE false"


def _selection(source: Source, files: Sequence[str]) -> str:
    reading = f"read_parquet({_listed(files)}, hive_partitioning = false, union_by_name = true)"
    return f"SELECT *, {_quoted(source.name)} AS {SOURCE_FILE} FROM {reading}"


def _require_present(source: Source, files: Sequence[str]) -> None:
    for file in files:
        if not Path(file).is_file():
            hint = "It may have been written again at this moment: try once more."
            raise UnreadablePath("A file of the data set is missing", where=file, hint=hint)
        try:
            require_footer(Path(file))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UnreadablePath(f"Cannot read ({reason})", where=file) from None
        except NotATraceFile as error:
            raise NotATraceFile(error.what, where=error.where, hint=DAMAGED) from None


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]" if texts else "[]::VARCHAR[]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
