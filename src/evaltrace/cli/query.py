"""`evaltrace query`: a question in SQL about traces."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.widths import terminal_width, width_option

if TYPE_CHECKING:
    from evaltrace.query import Answer

_RENDERERS = {"csv": "render_csv", "json": "render_json_array", "jsonl": "render_json_lines"}
_MOST_ROWS = 1000
"""Rows of a table for people; the other forms give all."""
_MOST_CHARACTERS = 10_000
"""What is held of a text for a table, which shows less of it: some are whole traces."""


@click.command()
@click.argument("sql")
# Not readable for click: what cannot be read is our error, with advice.
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, readable=False),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "jsonl"]),
    default="table",
    show_default=True,
    help=f"table shows {_MOST_ROWS:,} rows and cuts long texts, the others give everything.",
)
@width_option("table")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="More are faster; rows without ORDER BY may then come in another order each time.",
)
@click.option(
    "--memory",
    default="1GB",
    show_default=True,
    metavar="SIZE",
    help="Memory for the query; beyond it, a temporary folder is used.",
)
def query(
    sql: str, paths: tuple[Path, ...], form: str, width: int | None, threads: int, memory: str
) -> None:
    """Answer the question SQL about the traces of the PATHs, with DuckDB.

    PATH is a Parquet data set (a folder), a store, or a file of traces: JSON, JSONL,
    Parquet; - is standard input. Rows of all PATHs come together; the column source_file
    tells them apart.

    The tables are trials, events, tool_calls and tests; 'DESCRIBE trials' lists the
    columns. A query only reads, and sees nothing but these tables.

    \b
    Example:
      evaltrace query 'SELECT job, count(*) FROM trials GROUP BY job' traces.json
      evaltrace query 'FROM tool_calls WHERE errors > 0' data/ --format csv
    """
    from evaltrace.query import answer

    with answer(sql, paths, threads=threads, memory=memory) as found:
        if form == "table":
            _print_table(found, width or terminal_width())
        else:
            _print_all(found, form)


def _print_table(found: Answer, width: int) -> None:
    from evaltrace.reports.answers import render_grid

    rows = [[_held(value) for value in row] for row in islice(found.rows, _MOST_ROWS)]
    click.echo(render_grid(found.columns, rows, width), nl=False)
    if next(found.rows, None) is not None:
        click.echo(f"More than {_MOST_ROWS:,} rows: --format csv gives all of them.", err=True)


def _held(value: Any) -> Any:
    return value[:_MOST_CHARACTERS] if isinstance(value, str) else value


def _print_all(found: Answer, form: str) -> None:
    from evaltrace.reports import answers

    render = getattr(answers, _RENDERERS[form])
    for piece in render(found.columns, found.rows):
        sys.stdout.buffer.write(piece.encode())
    sys.stdout.buffer.flush()
