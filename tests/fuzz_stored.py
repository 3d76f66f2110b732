"""Fuzzed besides: what evaltrace itself has written and reads again, and questions in SQL.

Each attempt takes tens of milliseconds, so these are not in `fuzz_targets.all_targets`.
"""

from __future__ import annotations

import shutil
import time
from io import BytesIO
from pathlib import Path

from aggregated import EXAMPLES, aggregate_bytes
from evaltrace import Cache
from evaltrace.aggregate import write_aggregation
from evaltrace.files import read_documents, read_traces
from evaltrace.files.dataset import write_dataset
from evaltrace.plan import Options, plan_aggregation
from evaltrace.query import answer
from evaltrace.redact import Redactor, copy_redacted
from evaltrace.reports.answers import render_csv, render_grid
from evaltrace.trace import Tool
from fuzz_targets import Target, _Files, _read_file, examples
from job_dirs import write_job

_QUESTIONS = [
    b"SELECT job, count(*) AS n FROM trials GROUP BY job ORDER BY n",
    b"SELECT name, sum(calls) FROM tool_calls WHERE errors > 0 GROUP BY ALL",
    b"WITH x AS (FROM events) SELECT type, max(duration_ms) FROM x GROUP BY type",
    b"DESCRIBE trials",
    b"SELECT * FROM read_csv('/etc/passwd'); COPY trials TO 'x.csv'; ATTACH 'y.db'",
]


def _cached(job: Path, wanted: bytes, folder: Path) -> None:
    """A damaged cache makes no difference to what is written."""
    cache = Cache(folder, clock=lambda: time.time_ns() + 10**10)
    out = BytesIO()
    write_aggregation(plan_aggregation([job], Options(prices="none"), cache), out)
    assert out.getvalue() == wanted


def _table(folder: Path) -> None:
    list(read_documents(folder))
    list(read_traces(folder))


def stored_targets(folder: Path) -> list[Target]:
    """Give the targets: a cache, a data set, SQL, and the redacted copy of a job."""
    data = folder / "set"
    write_dataset(data, examples()[:3], tool=Tool(name="evaltrace", version="0"))

    def ask(_: int, sql: bytes) -> None:
        with answer(sql.decode("utf-8", "surrogateescape"), [data]) as found:
            rows = [row for row, _ in zip(found.rows, range(50), strict=False)]
        render_grid(found.columns, rows, 80)
        "".join(render_csv(found.columns, rows)).encode()

    job = write_job(folder / "jobs", "job", ["one", "two"])
    kept = folder / "cache"
    _cached(job, aggregate_bytes(job), kept)
    wanted = aggregate_bytes(job)
    trial = next((EXAMPLES / "with-codesearch").glob("*__*"))
    original = Path(shutil.copytree(trial, folder / "original"))

    def copied(place: Path) -> None:
        shutil.rmtree(folder / "copy", ignore_errors=True)
        copy_redacted(place, folder / "copy", Redactor(key=b"fuzz"))

    return [
        Target("query", _QUESTIONS, ask),
        _Files(kept, lambda place: _cached(job, wanted, place)).target("cache"),
        _Files(shutil.copytree(data, folder / "damaged"), _table).target("parquet"),
        Target("parquet-file", [next(data.rglob("*.parquet")).read_bytes()],
               _read_file(folder / "x.parquet", _table)),
        _Files(original, copied).target("redact-copy"),
    ]  # fmt: skip
