"""Results of tests, run by run, and the one `Tests` they add up to.

A report that lists its tests is counted by what it lists; an output in words by its
summary line, the runner's own count. Where list and counts differ, `doubt` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evaltrace.trace import TestCase, TestFormat, Tests, TestSummary
from evaltrace.untrusted import clean, shorten

Status = Literal["passed", "failed", "skipped", "other"]

MAX_CASES = 100_000
"""Tests kept of one trial; the others are still counted."""

_MESSAGE_LIMIT = 8192
_NAME_LIMIT = 1000


def to_case(
    name: str | None,
    status: Status,
    duration_ms: float | None = None,
    message: str | None = None,
) -> TestCase:
    """Make a test of texts that come from outside: they are cleaned and bounded."""
    known = duration_ms is not None and 0 <= duration_ms < math.inf
    name = name or "unnamed"
    if len(name) > _NAME_LIMIT or not name.isascii():
        name = shorten(clean(name), _NAME_LIMIT)
    return TestCase(
        name=name,
        status=status,
        duration_ms=duration_ms if known else None,
        message=shorten(clean(message), _MESSAGE_LIMIT) if message else None,
    )


@dataclass
class Run:
    """One run of a test runner: what it listed, and what it counted.

    `listed` counts every result, `repeated` names the tests that had more than one;
    `announced` is how many tests it said it would run, for want of a count at its end.
    """

    cases: dict[str, TestCase] = field(default_factory=dict)
    counts: TestSummary | None = None
    announced: int | None = None
    listed: int = 0
    repeated: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)

    def add(self, case: TestCase) -> None:
        """Take in a result; the last result of a test counts."""
        self.listed += 1
        if case.name in self.cases:
            self.repeated.add(case.name)
        self.cases[case.name] = case

    def end(self) -> None:
        """End the run; where it has tests but no counts, it may not have ended by itself."""
        if not self or self.counts is not None:
            return
        told = "there is no summary line: the run may not have ended"
        if self.announced is not None:
            many = f"{self.announced} test{_s(self.announced)}"
            told = f"{many} began, {self.listed} ended, and there is no summary line"
        self.doubts.append(told)

    def claim(self) -> TestSummary | None:
        """Give what the run says of itself: its counts, else what it began with and listed."""
        if self.counts is not None or self.announced is None:
            return self.counts
        seen = counted(self.cases.values())
        # Of the tests without a result nothing is known: none is not 0.
        return TestSummary(
            total=max(self.announced, len(self.cases)),
            passed=seen.passed or None,
            failed=seen.failed or None,
            skipped=seen.skipped or None,
        )

    def __bool__(self) -> bool:
        return bool(self.cases) or self.counts is not None or self.announced is not None


def counted(cases: Iterable[TestCase]) -> TestSummary:
    """Count tests by status."""
    statuses = [case.status for case in cases]
    return TestSummary(
        total=len(statuses),
        passed=statuses.count("passed"),
        failed=statuses.count("failed"),
        skipped=statuses.count("skipped"),
        other=statuses.count("other"),
    )


def to_counts(passed: int = 0, failed: int = 0, skipped: int = 0, other: int = 0) -> TestSummary:
    """Make the counts of a summary line that names every status it has."""
    total = passed + failed + skipped + other
    return TestSummary(total=total, passed=passed, failed=failed, skipped=skipped, other=other)


def whole(count: int | None) -> int | None:
    """Give a count that can be one."""
    return count if count is not None and count >= 0 else None


def added(parts: Sequence[TestSummary]) -> TestSummary:
    """Add counts; a count stays None only while no part knows it."""
    sums = {}
    for name in TestSummary.__struct_fields__:
        known = [getattr(part, name) for part in parts if getattr(part, name) is not None]
        sums[name] = sum(known) if known else None
    return TestSummary(**sums)


def joined_report(runs: Sequence[Run], source: TestFormat, doubts: Sequence[str] = ()) -> Tests:
    """Join the parts of a structured report: its tests are counted as they are listed."""
    cases, repeated = _joined(runs)
    found = [*doubts]
    for run in runs:
        found += [*run.doubts, *_differences(run, "the report's counts say")]
    if repeated:
        found.append(_repetition(repeated))
    claims = [run.counts for run in runs if run.counts]
    summary = counted(cases.values()) if cases or not claims else added(claims)
    return _to_tests(cases, summary, source, found)


def joined_text(runs: Sequence[Run], source: TestFormat) -> Tests | None:
    """Join the runs of one output in words; None where it holds none."""
    runs = [run for run in runs if run]
    if not runs:
        return None
    cases, repeated = _joined(runs)
    found = [doubt for run in runs for doubt in run.doubts]
    for run in runs:
        found += _differences(run, "the summary line says")
    if repeated:
        found.append(_repetition(repeated))
    return _to_tests(cases, _summary(runs, cases, found), source, found)


def _joined(runs: Sequence[Run]) -> tuple[dict[str, TestCase], set[str]]:
    cases: dict[str, TestCase] = {}
    repeated: set[str] = set()
    for run in runs:
        repeated |= run.repeated | (cases.keys() & run.cases.keys())
        cases.update(run.cases)
    return cases, repeated


def _summary(runs: list[Run], cases: dict[str, TestCase], found: list[str]) -> TestSummary:
    claims = [claim for run in runs if (claim := run.claim())]
    if len(claims) < len(runs):  # a part without counts: only the list covers all
        return counted(cases.values())
    if len(runs) == 1:
        return claims[0]
    if any(run.announced is None and not run.cases and _total(run) for run in runs):
        # Whether the same tests ran again cannot be known.
        found.append(f"{len(runs)} runs do not list all their tests: the counts are the last run's")
        return claims[-1]
    if sum(len(run.cases) for run in runs) == len(cases):
        return added(claims)
    # Tests ran again: the last run's counts hold if it ran them all.
    return claims[-1] if runs[-1].cases.keys() == cases.keys() else counted(cases.values())


def _total(run: Run) -> int:
    return (run.counts.total or 0) if run.counts else 0


def _differences(run: Run, says: str) -> list[str]:
    counts = run.counts
    if counts is None:
        return []
    if counts.total is not None and counts.total != run.listed:
        verb = "was" if run.listed == 1 else "were"
        return [f"{says} {counts.total} test{_s(counts.total)}, {run.listed} {verb} listed"]
    if run.repeated:
        return []
    seen = counted(run.cases.values())
    for status in ("failed", "passed"):
        claim, listed = getattr(counts, status), getattr(seen, status)
        if claim is not None and claim != listed:
            return [f"{says} {claim} {status}, {listed} were listed so"]
    return []


def _repetition(names: set[str]) -> str:
    many = len(names)
    if many == 1:
        return "1 test is there more than once: its last result counts"
    return f"{many} tests are there more than once: the last result of each counts"


def _to_tests(
    cases: dict[str, TestCase], summary: TestSummary, source: TestFormat, doubts: list[str]
) -> Tests:
    kept = list(cases.values())[:MAX_CASES]
    if len(kept) < len(cases):
        doubts = [*doubts, f"only {MAX_CASES} of {len(cases)} tests were kept"]
    return Tests(summary=summary, cases=kept, source=source, doubt=to_doubt(doubts))


def contradiction(found: TestSummary, other: TestSummary, says: str) -> list[str]:
    """Say what another source counts, where it counts more; unknown counts say nothing.

    Less is no contradiction: a runner that ran twice prints its last run, say.
    """
    pairs = [(getattr(found, name), getattr(other, name)) for name in ("total", "passed", "failed")]
    if all(one is None or two is None or one >= two for one, two in pairs):
        return []
    total, passed, failed = (two for _, two in pairs)
    parts = [] if total is None else [f"{total} test{_s(total)}"]
    parts += [] if passed is None else [f"{passed} passed"]
    parts += [] if failed is None else [f"{failed} failed"]
    return [f"{says} {', '.join(parts)}"]


def doubted(tests: Tests, parts: Iterable[str]) -> None:
    """Add reasons to doubt tests."""
    tests.doubt = to_doubt([*([tests.doubt] if tests.doubt else []), *parts])


def to_doubt(parts: Iterable[str]) -> str | None:
    """Join reasons to doubt, each said once and no more than a few; None without any."""
    several = list(dict.fromkeys(parts))
    more = [f"{len(several) - 4} more"] if len(several) > 5 else []
    return "; ".join([*several[:4], *more] if more else several) or None


def _s(number: int) -> str:
    return "" if number == 1 else "s"


Titled = tuple[str, TestCase]
"""A test that is named by its titles alone, and the file it stands in."""


def add_titled(run: Run, tests: Iterable[Titled]) -> None:
    """Add tests; their file is put before the name where several files have the name."""
    several = list(tests)
    files: dict[str, set[str]] = {}
    for file, case in several:
        files.setdefault(case.name, set()).add(file)
    ambiguous = {name for name, places in files.items() if len(places) > 1}
    for file, case in several:
        if case.name in ambiguous and file:
            case.name = to_case(f"{file} > {case.name}", case.status).name
        run.add(case)
