"""CTRF: the report that many tasks have their test runner write.

Source: https://ctrf.io/docs/specification/overview
"""

from __future__ import annotations

import math

import msgspec
from msgspec import Raw

from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.testlogs.cases import Run, Status, counted, to_case, whole
from evaltrace.trace import TestCase, TestSummary

NAME = "ctrf.json"

_STATUSES: dict[str | None, Status] = {
    "passed": "passed",
    "failed": "failed",
    "skipped": "skipped",
    "pending": "skipped",
}
_WORDS = (b'"results"', b'"tool"', b'"summary"', b'"tests"', b'"passed"')
_MILLISECONDS = 1e11
"""A start above this is in milliseconds since 1970, one below in seconds."""


class _Test(msgspec.Struct):
    name: str | None = None
    status: str | None = None
    duration: float | None = None
    start: float | None = None
    message: str | None = None
    trace: str | None = None
    suite: str | list[str] | None = None
    file_path: str | None = msgspec.field(default=None, name="filePath")


class _Counts(msgspec.Struct):
    tests: int | None = None
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    pending: int | None = None
    other: int | None = None


class _Results(msgspec.Struct):
    # Raw: one odd test must not cost the others.
    tests: list[Raw] | None = None
    summary: _Counts | None = None


class _Report(msgspec.Struct):
    results: _Results | None = None


_REPORT = msgspec.json.Decoder(_Report, strict=False)
_TEST = msgspec.json.Decoder(_Test, strict=False)
_TESTS = msgspec.json.Decoder(list[_Test], strict=False)


def recognises(content: bytes) -> bool:
    """Tell by its words whether a JSON document may be a CTRF report."""
    return all(word in content for word in _WORDS)


def read(source: Source, path: str) -> Run | None:
    """Read a report: its tests, and the counts of its summary; None without either."""
    report = source.read_json(path, _REPORT)
    results = report.results if report else None
    if results is None:
        return None
    run = Run(counts=_to_counts(results.summary) if results.summary else None)
    if results.tests is None:
        return run if run.counts else None
    _take(source, path, results.tests, run)
    run.counts = run.counts or counted(run.cases.values())
    return run


def _take(source: Source, path: str, rows: list[Raw], run: Run) -> None:
    tests = _decoded(rows)
    if len(tests) < len(rows):
        what = f"{len(rows) - len(tests)} of {len(rows)} tests are no CTRF tests"
        source.report("malformed_tests", path, what, "The other tests were read.")
    for name, test in zip(_names(tests), tests, strict=True):
        run.add(_case(name, test))


def _decoded(rows: list[Raw]) -> list[_Test]:
    """Decode all at once, or one by one where that fails; odd ones are left out."""
    try:
        return _TESTS.decode(b"[%b]" % b",".join(rows))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tests = []
    for raw in rows:
        try:
            tests.append(decode(bytes(raw), _TEST)[0])
        except Malformed:
            continue
    return tests


def _names(tests: list[_Test]) -> list[str]:
    """Give each test's name, with its suite or file where the name alone is not enough."""
    names = [test.name or "unnamed" for test in tests]
    if len(set(names)) == len(names):
        return names
    places: dict[str, set[str]] = {}
    for name, test in zip(names, tests, strict=True):
        places.setdefault(name, set()).add(_place(test))
    return [
        f"{_place(test)} > {name}" if len(places[name]) > 1 and _place(test) else name
        for name, test in zip(names, tests, strict=True)
    ]


def _place(test: _Test) -> str:
    suite = [test.suite] if isinstance(test.suite, str) else test.suite or []
    return " > ".join(part for part in (test.file_path, *suite) if part)


def _to_counts(counts: _Counts) -> TestSummary | None:
    skipped = [part for part in (counts.skipped, counts.pending) if part is not None]
    summary = TestSummary(
        total=whole(counts.tests),
        passed=whole(counts.passed),
        failed=whole(counts.failed),
        skipped=whole(sum(skipped)) if skipped else None,
        other=whole(counts.other),
    )
    known = any(part is not None for part in msgspec.structs.astuple(summary))
    return summary if known else None


def _case(name: str, test: _Test) -> TestCase:
    status = _STATUSES.get(test.status, "other")
    return to_case(name, status, _milliseconds(test), test.message or test.trace)


def _milliseconds(test: _Test) -> float | None:
    # CTRF says milliseconds; pytest's reporter wrote seconds, which its start time shows.
    if test.duration is None or not math.isfinite(test.duration * 1000):
        return None
    seconds = test.start is not None and 0 < test.start < _MILLISECONDS
    return round(test.duration * 1000, 3) if seconds else test.duration
