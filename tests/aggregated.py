"""Aggregates job directories for tests, in memory."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from evaltrace.aggregate import Options, plan_aggregation, write_aggregation

CORPUS = Path(__file__).parents[1].parent / "shared" / "corpus"
EXAMPLES = Path(__file__).parents[1] / "examples" / "jobs"


def aggregate_bytes(*paths: Path, form: Any = "json", **options: Any) -> bytes:
    """Give the file that aggregating the paths makes, as bytes."""
    chosen = Options(**options)
    out = BytesIO()
    write_aggregation(plan_aggregation(paths, chosen), out, options=chosen, form=form)
    return out.getvalue()


def aggregate(*paths: Path, **options: Any) -> dict[str, Any]:
    """Give the file that aggregating the paths makes, as a document."""
    document: dict[str, Any] = json.loads(aggregate_bytes(*paths, **options))
    return document


def codes(document: dict[str, Any]) -> set[str]:
    """Give the codes of all problems of a file of traces."""
    return {problem["code"] for problem in document["problems"]}


def by_task(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the traces by the short name of their task."""
    return {trace["task"]["name"]: trace for trace in document["traces"]}
