"""The verifier's tests one by one, from the CTRF report that many tasks write.

Source: Harbor format reference, section 1.3.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Raw

from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.trace import TestCase, Tests, TestSummary
from evaltrace.untrusted import clean, shorten

_MESSAGE_LIMIT = 8192
_NAME_LIMIT = 1000
_MILLISECONDS = 1e11
"""A start above this is in milliseconds since 1970, one below in seconds."""


class _Test(msgspec.Struct):
    name: str | None = None
    status: str | None = None
    duration: float | None = None
    start: float | None = None
    message: str | None = None
    trace: str | None = None


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


def read_tests(source: Source, folder: str) -> Tests | None:
    """Read the tests of `ctrf.json`; only counts where it lists no tests."""
    path = f"{folder}/ctrf.json"
    report = source.read_json(path, _REPORT)
    results = report.results if report else None
    if results is None:
        return None
    if results.tests is None:
        return _counted(results.summary) if results.summary else None
    cases, broken = [], 0
    for raw in results.tests:
        try:
            cases.append(_case(decode(bytes(raw), _TEST)[0]))
        except Malformed:
            broken += 1
    if broken:
        what = f"{broken} of {len(results.tests)} tests are no CTRF tests"
        source.report("malformed_tests", path, what, "The other tests were read.")
    return summed(cases)


def summed(cases: list[TestCase]) -> Tests:
    """Count test cases by status; the counts are of the cases, not what a report claims."""
    statuses = [case.status for case in cases]
    return Tests(
        summary=TestSummary(
            total=len(cases),
            passed=statuses.count("passed"),
            failed=statuses.count("failed"),
            skipped=statuses.count("skipped"),
            other=statuses.count("other"),
        ),
        cases=cases,
        source="ctrf",
    )


def _counted(counts: _Counts) -> Tests | None:
    skipped = [part for part in (counts.skipped, counts.pending) if part is not None]
    summary = TestSummary(
        total=_whole(counts.tests),
        passed=_whole(counts.passed),
        failed=_whole(counts.failed),
        skipped=_whole(sum(skipped)) if skipped else None,
        other=_whole(counts.other),
    )
    known = any(part is not None for part in msgspec.structs.astuple(summary))
    return Tests(summary=summary, cases=[], source="ctrf") if known else None


def _whole(count: int | None) -> int | None:
    return count if count is not None and count >= 0 else None


def _case(test: _Test) -> TestCase:
    message = test.message or test.trace
    return TestCase(
        name=shorten(clean(test.name or "unnamed"), _NAME_LIMIT),
        status=_status(test.status),
        duration_ms=_milliseconds(test),
        message=shorten(clean(message), _MESSAGE_LIMIT) if message else None,
    )


def _status(word: str | None) -> Any:
    if word in ("passed", "failed", "skipped"):
        return word
    return "skipped" if word == "pending" else "other"


def _milliseconds(test: _Test) -> float | None:
    # CTRF says milliseconds; pytest's reporter wrote seconds, which its start time shows.
    if test.duration is None or not math.isfinite(test.duration):
        return None
    seconds = test.start is not None and 0 < test.start < _MILLISECONDS
    return round(test.duration * 1000, 3) if seconds else test.duration
