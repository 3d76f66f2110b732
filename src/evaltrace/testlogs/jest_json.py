"""JSON of jest (`jest --json`), and of vitest's json reporter, which has the same shape."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.testlogs.cases import (
    Run,
    Status,
    Titled,
    add_titled,
    joined_report,
    to_case,
    whole,
)
from evaltrace.trace import Tests, TestSummary

_STATUSES: dict[str | None, Status] = {
    "passed": "passed",
    "failed": "failed",
    "pending": "skipped",
    "skipped": "skipped",
    "disabled": "skipped",
    "todo": "skipped",
}


class _Assertion(msgspec.Struct, rename="camel"):
    title: str | None = None
    full_name: str | None = None
    ancestor_titles: list[str] | None = None
    status: str | None = None
    duration: float | None = None
    failure_messages: list[str] | None = None


class _File(msgspec.Struct, rename="camel"):
    name: str | None = None
    status: str | None = None
    message: str | None = None
    assertion_results: list[Raw] | None = None


class _Report(msgspec.Struct, rename="camel"):
    test_results: list[_File] | None = None
    num_total_tests: int | None = None
    num_passed_tests: int | None = None
    num_failed_tests: int | None = None
    num_pending_tests: int | None = None
    num_todo_tests: int | None = None
    num_failed_test_suites: int | None = None
    success: bool | None = None
    was_interrupted: bool | None = None


_REPORT = msgspec.json.Decoder(_Report, strict=False)
_ASSERTION = msgspec.json.Decoder(_Assertion, strict=False)


BEGINS = r"\{"
"""How a line begins that may be such a report."""


def recognises(content: bytes) -> bool:
    """Tell by its words whether a JSON document may be such a report."""
    return b'"testResults"' in content and b'"assertionResults"' in content


def read(source: Source, path: str) -> Run | None:
    """Read a report; None when it cannot be used."""
    report = source.read_json(path, _REPORT)
    if report is None or report.test_results is None:
        return None
    run, broken = _to_run(report)
    if broken:
        what = f"{broken} tests are no tests of jest"
        source.report("malformed_tests", path, what, "The other tests were read.")
    return run


def recognises_text(text: str) -> bool:
    """Tell by its words whether an output may hold such a report."""
    return '"testResults"' in text and '"assertionResults"' in text


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Find a report that was printed, in one line, among other output."""
    runs = []
    for line in lines:
        if line.startswith("{") and '"testResults"' in line and '"assertionResults"' in line:
            try:
                report, _ = decode(line.encode("utf-8", "replace"), _REPORT)
            except Malformed:
                continue
            if report.test_results is not None:
                runs.append(_to_run(report)[0])
    return joined_report(runs, "jest_json") if runs else None


def _to_run(report: _Report) -> tuple[Run, int]:
    titled: list[Titled] = []
    broken = 0
    for file in report.test_results or ():
        for raw in file.assertion_results or ():
            try:
                titled.append(_titled(file, decode(bytes(raw), _ASSERTION)[0]))
            except Malformed:
                broken += 1
    run = Run(counts=_to_counts(report))
    run.doubts += _doubts(report, {file for file, case in titled if case.status == "failed"})
    add_titled(run, titled)
    return run, broken


def _doubts(report: _Report, explained: set[str]) -> list[str]:
    """Say what failed for another reason than a test, given the files with failed tests."""
    files = [file for file in report.test_results or () if file.status == "failed"]
    unrun = [file.name or "unnamed" for file in files if not file.assertion_results]
    others = [
        file.name or "unnamed"
        for file in files
        if file.assertion_results and (file.name or "") not in explained
    ]
    found = []
    if unrun:
        found.append(f"the tests of {_first(unrun)} could not be run")
    if others:
        found.append(f"{_first(others)} failed without a failed test")
    if report.was_interrupted:
        found.append("the run was interrupted")
    failed = report.success is False or bool(report.num_failed_test_suites)
    if failed and not (found or explained or report.num_failed_tests):
        found.append("the report says that the run failed, and no test of it did")
    return found


def _first(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _titled(file: _File, test: _Assertion) -> Titled:
    titles = [*(test.ancestor_titles or ()), test.title]
    name = " > ".join(title for title in titles if title) if test.title else test.full_name
    messages = "\n".join(test.failure_messages or ()) or None
    status = _STATUSES.get(test.status, "other")
    return file.name or "", to_case(name, status, test.duration, messages)


def _to_counts(report: _Report) -> TestSummary | None:
    if report.num_total_tests is None:
        return None
    parts = (whole(report.num_pending_tests), whole(report.num_todo_tests))
    skipped = [number for number in parts if number is not None]
    return TestSummary(
        total=whole(report.num_total_tests),
        passed=whole(report.num_passed_tests),
        failed=whole(report.num_failed_tests),
        skipped=sum(skipped) if skipped else None,
    )
