"""Questions in SQL about traces, answered by DuckDB: read-only, and closed to all other files."""

from evaltrace.query.answering import Answer, answer

__all__ = ["Answer", "answer"]
