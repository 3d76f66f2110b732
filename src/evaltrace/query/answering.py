"""A question in SQL, and its answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaltrace.errors import MissingPackage, NotATraceFile, QueryFailure
from evaltrace.files import STANDARD_INPUT, is_dataset
from evaltrace.query.views import (
    DAMAGED,
    Source,
    create_views,
    open_sources,
    require_known,
    tables_in,
)
from evaltrace.untrusted import clean, printable

MEMORY = "1GB"
"""Memory that DuckDB may use; what is more goes to a temporary folder."""

_SPILL = "20GB"
_MOST_ROWS = 1000
_BATCH_CHARACTERS = 1 << 20
"""How much of an answer is taken at a time, but a row at least: some hold whole traces."""
_MESSAGE = 2000
_READ_ONLY = "Ask with SELECT (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE)."
_INSTALL = "Install it: python -m pip install 'evaltrace[sql]'"


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns of an answer, by names that differ, and its rows as they come."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def answer(
    sql: str, paths: Sequence[str | Path], *, threads: int = 1, memory: str = MEMORY
) -> Iterator[Answer]:
    """Answer a question about the traces of some paths; the rows are read within the block.

    One thread always gives the same answer; with several, the order of rows that no ORDER BY
    gives, and the last digits of sums, may differ. Raises QueryFailure, MissingPackage, and
    what read_traces raises.
    """
    duckdb = _duckdb()
    places = [Path(path) for path in paths]
    require_known(places)
    tables = tables_in(sql)
    with TemporaryDirectory(prefix="evaltrace-query-") as folder, ExitStack() as stack:
        settings = _settings(threads, memory, Path(folder) / "spill")
        if not all(path != STANDARD_INPUT and is_dataset(path) for path in places):
            # What is wrong with the question shows before a large file is read for it.
            with _our_errors(duckdb), duckdb.connect(":memory:", config=settings) as empty:
                _check_statement(duckdb, empty, sql)
                _close_off(empty, (), tables)
                empty.execute(f"EXPLAIN {sql}")
        sources = open_sources(places, Path(folder), tables)
        with _our_errors(duckdb):
            connection = stack.enter_context(duckdb.connect(":memory:", config=settings))
            _check_statement(duckdb, connection, sql)
            with _file_errors(duckdb):
                _close_off(connection, sources, tables)
            connection.execute(sql)
            columns = _different([column[0] for column in connection.description or ()])
        yield Answer(columns, _rows(duckdb, connection))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise MissingPackage("SQL needs the package duckdb", hint=_INSTALL) from None
    return duckdb


def _settings(threads: int, memory: str, spill: Path) -> dict[str, Any]:
    return {
        "threads": threads,
        "memory_limit": memory,
        "temp_directory": str(spill),
        "max_temp_directory_size": _SPILL,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        # A name in the question must never mean a variable of this program.
        "python_enable_replacements": False,
    }


def _check_statement(duckdb: Any, connection: Any, sql: str) -> None:
    """Let one SELECT pass: DuckDB could write to the files that it may read."""
    if clean(sql) != sql:
        raise QueryFailure("The query is no valid Unicode text")
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        what = "The query is empty" if not statements else "More than one statement"
        raise QueryFailure(what, hint=_READ_ONLY)
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise QueryFailure(f"{kind.name} is not allowed: a query only reads", hint=_READ_ONLY)


def _close_off(connection: Any, sources: Sequence[Source], tables: Sequence[str]) -> None:
    """Create the views, and then allow their files and nothing else."""
    connection.execute("SET TimeZone = 'UTC'")
    # Shown after two seconds, on standard output: within the answer.
    connection.execute("SET enable_progress_bar = false")
    files = create_views(connection, sources, tables)
    connection.execute(f"SET allowed_paths = {files}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _different(names: Sequence[str]) -> list[str]:
    """Number the names of columns that occur again, as in a_2."""
    seen: dict[str, None] = {}
    for name in names:
        number, new = 1, name
        while new in seen:
            number += 1
            new = f"{name}_{number}"
        seen[new] = None
    return list(seen)


def _rows(duckdb: Any, connection: Any) -> Iterator[tuple[Any, ...]]:
    number = 1
    while True:
        with _our_errors(duckdb):
            rows = connection.fetchmany(number)
        if not rows:
            return
        yield from rows
        size = max(sum(len(str(value)) for value in row) for row in rows)
        number = max(1, min(_BATCH_CHARACTERS // max(size, 1), number * 2, _MOST_ROWS))


@contextmanager
def _our_errors(duckdb: Any) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        # What a signal's handler raised meanwhile is lost: DuckDB says only this of it.
        if "interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise _failure(str(error)) from None


@contextmanager
def _file_errors(duckdb: Any) -> Iterator[None]:
    """Say of the files what is wrong with them: the line of a view would tell nobody."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        reason = printable(str(error)).partition("\n")[0][:_MESSAGE]
        raise NotATraceFile("A file cannot be read", where=reason, hint=DAMAGED) from None


def _failure(message: str) -> QueryFailure:
    """Make DuckDB's message ours: what is wrong, where in the query, near names."""
    if "'pytz'" in message:
        hint = "Write column::text, or column::timestamp."
        return QueryFailure("A time with a zone cannot be shown as such", hint=hint)
    text = printable(message)[:_MESSAGE].strip()
    what, _, rest = text.partition("\n")
    lines = [line for line in rest.split("\n") if line.strip()]
    where = next(
        (_place(lines, at) for at in range(len(lines)) if lines[at].startswith("LINE ")), None
    )
    advice = [line.strip() for line in lines if not line.startswith(("LINE ", " "))]
    return QueryFailure(what, where=where, hint="\n  ".join([*advice[:5], *_hint(what)]) or None)


def _place(lines: Sequence[str], at: int) -> str | None:
    """Give the line of the query, marked below where the message says it is wrong."""
    mark = next((line for line in lines[at + 1 :] if line.strip("^ ") == ""), None)
    shown = lines[at].partition(": ")
    number = shown[0].removeprefix("LINE ")
    if mark is None:
        return f"line {number}, {shown[2].strip()}"
    column = len(mark) - len(mark.lstrip()) - len(shown[0]) - 2
    with suppress(IndexError):
        near = shown[2][column:].strip()
        return f"line {number}, at {near[:60]!r}" if near else f"line {number}, at its end"
    return f"line {number}"


def _hint(what: str) -> list[str]:
    if what.startswith("Permission Error"):
        return ["A query sees the views trials, events, tool_calls and tests, and no other files."]
    if what.startswith("Catalog Error: Table"):
        return ["There are trials, events, tool_calls and tests; DESCRIBE trials lists columns."]
    if what.startswith("Out of Memory Error"):
        return ["Choose fewer columns, or allow more with --memory."]
    return []
