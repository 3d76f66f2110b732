"""The four flat tables of a set of traces: what is asked in SQL and kept in Parquet.

One row a trial (`trials`), event (`events`), trial and tool (`tool_calls`), and test of the
verifier (`tests`). The columns are defined once, in `columns`, with type and meaning.
"""

from evaltrace.tables.columns import KEYS, TABLES, TEXT_LIMIT, Column, Table, Type
from evaltrace.tables.rows import Rows, fitted, rows_of

__all__ = [
    "KEYS",
    "TABLES",
    "TEXT_LIMIT",
    "Column",
    "Rows",
    "Table",
    "Type",
    "fitted",
    "rows_of",
]
