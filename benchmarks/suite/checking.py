"""What checking a trace against the schema takes, and whether the fast check is right."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from mutants import mutants, seeds, verdicts
from suite.rows import Row
from suite.setting import Setting, aggregation, called
from suite.timing import Failed, in_fork


def measure(setting: Setting) -> list[Row]:
    """Measure the cost, and count disagreements."""
    return [*_cost(setting), _agreement(setting)]


def _cost(setting: Setting) -> list[Row]:
    rows = []
    for events in ("full", "none"):
        out = setting.out(f"check-{events}.jsonl")
        folder = setting.jobs_of("full", 100)
        in_fork(called(*aggregation(folder, "-o", str(out), "--events", events)))()
        lines = out.read_bytes().splitlines()
        rounds = [_parse_and_check(lines) for _ in range(setting.rounds)]
        figure = median(checking / parsing for parsing, checking in rounds)
        each = 1e6 * median(parsing for parsing, _ in rounds) / len(lines)
        size = sum(map(len, lines)) / len(lines) / 1000
        note = f"{len(lines)} traces of {size:.0f} KB, parsed in {each:.0f} us each"
        name = f"validation against parsing the same trace, events {events}"
        rows.append(Row(name, figure, 0.25, "x", note=note))
    return rows


def _parse_and_check(lines: list[bytes]) -> tuple[float, float]:
    """Parse each trace and check it; give the seconds of both."""
    import orjson

    from evaltrace.schema import fits

    parsing = checking = 0.0
    for line in lines:
        start = time.process_time()
        document = orjson.loads(line)
        parsed = time.process_time()
        if not fits(document):
            raise Failed(f"an invalid trace: {line[:200]!r}")
        checking += time.process_time() - parsed
        parsing += parsed - start
    return parsing, checking


def _agreement(setting: Setting) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        documents = seeds(Path(folder))
    count, valid, apart = setting.trials(20_000), 0, 0
    for _, row in verdicts(mutants(documents, count, seed=1)):
        valid += row.reference
        apart += len(set(row)) > 1
    name = f"disagreements with `jsonschema` on {count:,} mutants of traces"
    return Row(name, apart, 0, note=f"{valid:,} of them valid")
