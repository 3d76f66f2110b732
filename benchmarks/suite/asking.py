"""Narrow questions: what other tools take for them, and what the tables take."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from suite.rows import Row, unmeasured
from suite.setting import Setting, aggregation, missing, options_of, whole_evaltrace
from suite.timing import Case, Failed, command, cpu_of, interleaved, ratio

JQ = (
    "group_by(.config.trials_dir) | map({job: .[0].config.trials_dir, trials: length, "
    "passed: (map(.verifier_result.rewards.reward // 0) | add / length)})"
)
DUCKDB = """
import duckdb, sys
columns = "{config: 'STRUCT(trials_dir VARCHAR)', "
columns += "verifier_result: 'STRUCT(rewards STRUCT(reward DOUBLE))'}"
print(duckdb.sql(f\"\"\"
    SELECT config.trials_dir, count(*), avg(coalesce(verifier_result.rewards.reward, 0))
    FROM read_json('{sys.argv[1]}/*/*/result.json', columns = {columns}, format = 'unstructured')
    GROUP BY 1 ORDER BY 1
\"\"\").fetchall())
"""
SQL = "SELECT job, count(*), avg(coalesce(reward, 0)) FROM trials GROUP BY job ORDER BY job"


def measure(setting: Setting, peer: str | None) -> list[Row]:
    """Measure the pass rate by job, the peer's reading, and the tables."""
    rows = []
    for kind, count in (("full", 1000), ("small", 10_000)):
        folder = setting.jobs_of(kind, count)  # type: ignore[arg-type]
        rows += _narrow(setting, folder, kind, setting.trials(count))
    return [*rows, *_peer(setting, peer), *_tables(setting)]


def _narrow(setting: Setting, folder: Path, kind: str, count: int) -> list[Row]:
    out, cache = setting.out("narrow.jsonl"), setting.out(f"narrow-{kind}")
    given = (folder, "-o", out, "--events", "none")
    cases: dict[str, Case] = {"`aggregate`": whole_evaltrace(*aggregation(*given))}
    if not missing("aggregate", "--cache", "--trust-finished"):
        again = aggregation(*given, "--cache", cache, "--trust-finished")
        cases["`aggregate` again, finished trials trusted"] = whole_evaltrace(*again)
        whole_evaltrace(*again)()
    if not missing("query"):
        cases["`aggregate`"]()
        cases["`query` on the JSONL made before"] = whole_evaltrace("query", SQL, out)
    if not missing("query") and re.search(r"--format \[.*parquet", options_of("aggregate")):
        data = setting.out(f"narrow-{kind}-data")
        made = aggregation(folder, "-o", data, "--events", "none", "--format", "parquet")
        whole_evaltrace(*made)()
        cases["`query` on the Parquet made before"] = whole_evaltrace("query", SQL, data)
    results = sorted(folder.glob("*/*/result.json"))
    others = {"DuckDB `read_json`": command(sys.executable, "-c", DUCKDB, folder)}
    if shutil.which("jq"):
        others["`jq -s`"] = command("jq", "-s", JQ, *results)
    try:
        found = interleaved(cases | others, setting.rounds)
    except Failed as failure:
        return [unmeasured(f"pass rate by job, {kind}", failure.reason)]
    fastest = min(cases, key=lambda name: cpu_of(found, name))
    size = f"{count:,} trials of {'1 MB' if kind == 'full' else '75 KB'}"
    rows = [
        Row(f"pass rate by job, {size}: {name}", 1000 * cpu_of(found, name), unit="ms")
        for name in cases
    ]
    for name in others:
        title = f"pass rate by job, {size}: {name} on result.json, its time over ours"
        note = f"{1000 * cpu_of(found, name):.0f} ms against {fastest}"
        rows.append(Row(title, ratio(found, name, fastest), unit="x", sense="at least", note=note))
    return rows


def _peer(setting: Setting, peer: str | None) -> list[Row]:
    title = "`agent-diagnostics ingest`, its time over ours without events"
    if not peer:
        reason = "agent-diagnostics is not installed (--peer names its command)"
        return [unmeasured(title, reason)]
    folder = setting.jobs_of("full", 1000)
    out = setting.out("peer.jsonl")
    given = aggregation(folder, "-o", setting.out("ours.jsonl"), "--events", "none")
    cases = {
        "peer": command(peer, "ingest", "--runs-dir", folder, "--output", out),
        "ours": whole_evaltrace(*given),
    }
    try:
        found = interleaved(cases, setting.rounds)
    except Failed as failure:
        return [unmeasured(title, failure.reason)]
    times = f"{cpu_of(found, 'peer'):.2f} s of {cpu_of(found, 'ours'):.2f} s, whole processes"
    return [Row(title, ratio(found, "peer", "ours"), unit="x", sense="at least", note=times)]


def _tables(setting: Setting) -> list[Row]:
    """Ask three questions of a data set of 100,000 traces."""
    count = setting.trials(100_000)
    title = f"{count:,} traces in a Parquet data set"
    limits = {"pass rate by arm": 15, "one trace by id": 1, "a rare word": 1}
    reason = missing("query")
    if reason:
        return [unmeasured(title, reason)]
    script = Path(__file__).with_name("tables.py")
    folder = setting.out(f"tables-{count}")
    asked = subprocess.run(
        [sys.executable, script, folder, str(count)], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return [unmeasured(title, (asked.stderr.strip().splitlines() or ["it failed"])[-1])]
    rows = []
    for line in asked.stdout.splitlines():
        name, milliseconds = line.split("\t")
        rows.append(Row(f"{title}: {name}", float(milliseconds), limits[name], "ms"))
    return rows
