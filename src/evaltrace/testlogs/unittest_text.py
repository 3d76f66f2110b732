"""What Python's unittest prints, and Django's runner with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from evaltrace.testlogs.cases import Run, Status, joined_text, to_case, to_counts
from evaltrace.testlogs.lines import LINE_LIMIT
from evaltrace.trace import Tests
from evaltrace.untrusted import first_part

_WORDS: dict[str, Status] = {
    "ok": "passed",
    "FAIL": "failed",
    "ERROR": "failed",
    "skipped": "skipped",
    "expected failure": "skipped",
    "unexpected success": "failed",
}
_RESULT = r"(ok|FAIL|ERROR|expected failure|unexpected success|skipped(?: (?P<reason>['\"].*))?)"
_TEST = re.compile(r"\s{0,2}(?P<name>\w+) \((?P<place>\w+(?:\.[\w<>]+)+|\w+Tests?|__main__\.\w+)\)")
_ENDED = re.compile(r"(?:.* )?\.\.\. ?" + _RESULT)
_ALONE = re.compile(_RESULT)
_DETAIL = re.compile(r"(FAIL|ERROR): (.*)")
_RAN = re.compile(r"Ran (\d{1,9}) tests? in \d[\d.]{0,20}s")
_ENDING = re.compile(r"(OK|FAILED)(?: \(((?:[a-z ]+=\d{1,9}(?:, )?)+)\))?")
_COUNT = re.compile(r"([a-z ]+?)=(\d+)")
_FIXTURE = re.compile(r"\.(?:setUp|tearDown)(?:Class|Module)$")
_MESSAGE_LINES = 40
_LETTER = r"[0-9A-Za-z_\x80-\U0010ffff]"
"""Each character that `\\w` has, and others: it is looked up faster."""
INDENTED = rf"{_LETTER}{_LETTER}* \(\w+[.)]"
BEGINS = rf"Ran \d|{INDENTED}"
"""How a line begins without which an output has no such tests; INDENTED behind white space."""
_SPOKEN = re.compile(r" \((?:\w+\.[\w<>]|\w+Tests?\))")


@dataclass
class _Reading:
    runs: list[Run] = field(default_factory=lambda: [Run()])
    pending: str | None = None
    details: dict[str, list[str]] = field(default_factory=dict)
    detail: list[str] | None = None
    ran: int | None = None
    subtests: dict[str, int] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Take in one line."""
        if match := _RAN.fullmatch(line):
            self.ran, self.detail = int(match[1]), None
        elif self.ran is not None and (match := _ENDING.fullmatch(line)):
            self._end(match[2] or "")
        elif match := _DETAIL.fullmatch(line):
            self._detail(match[2])
        elif set(line) == {"="}:
            self.detail = None
        elif self.detail is not None:
            if len(self.detail) < _MESSAGE_LINES and set(line) != {"-"}:
                self.detail.append(line)
        else:
            self._result(line)

    def _result(self, line: str) -> None:
        test = _test(line)
        if test and (test.ends or line.lstrip().startswith("test")):
            self.pending = test.name
        ended = _ENDED.fullmatch(line) or _ALONE.fullmatch(line)
        if ended and self.pending is not None:
            word = "skipped" if ended[1].startswith("skipped") else ended[1]
            reason = (ended["reason"] or "").strip("'\"") or None
            case = to_case(self.pending, _WORDS[word], None, reason)
            if not (test and test.subtest):
                self.runs[-1].add(case)
            self.pending = None

    def _detail(self, title: str) -> None:
        test = _test(title)
        self.detail = []
        if test is not None:
            name = to_case(test.name, "failed").name
            self.details.setdefault(name, self.detail)
            if test.subtest:
                self.subtests[name] = self.subtests.get(name, 0) + 1

    def _end(self, words: str) -> None:
        """End a run: what failed has a traceback, or is named by it alone."""
        run = self.runs[-1]
        for name, rows in self.details.items():
            if name not in run.cases:
                run.add(to_case(name, "failed"))
            run.cases[name].status = "failed"  # a subtest failed, or what comes after the test
            run.cases[name].message = to_case(None, "failed", None, _last(rows)).message
        counts = {word.strip(): int(number) for word, number in _COUNT.findall(words)}
        failed = sum(counts.get(w, 0) for w in ("failures", "errors", "unexpected successes"))
        failed -= sum(number - 1 for number in self.subtests.values())  # a test fails once
        skipped = sum(counts.get(word, 0) for word in ("skipped", "expected failures"))
        # The set-up of a class is counted as an error, but not as a test.
        total = (self.ran or 0) + sum(bool(_FIXTURE.search(name)) for name in run.cases)
        run.counts = to_counts(max(total - failed - skipped, 0), max(failed, 0), skipped)
        run.counts.total = total
        self.runs.append(Run())
        self.details, self.subtests, self.ran, self.pending = {}, {}, None, None

    def finish(self) -> list[Run]:
        """Give the runs; the last one may have been cut off."""
        self.runs[-1].end()
        return self.runs


@dataclass(frozen=True, slots=True)
class _Test:
    name: str
    subtest: bool
    ends: bool


def _test(line: str) -> _Test | None:
    """Read the test that a line begins with: module, class and test, whichever way written."""
    match = _TEST.match(line)
    if match is None:
        return None
    subtest, dots, _ = line[match.end() :].partition(" ...")
    if subtest and not (subtest.startswith((" (", " [")) and subtest.endswith((")", "]"))):
        return None
    name, place = match["name"], match["place"]
    whole = place if place.endswith(f".{name}") else f"{place}.{name}"
    return _Test(whole, bool(subtest), bool(dots))


def _last(rows: list[str]) -> str | None:
    """Give the error itself: what is not indented after the traceback."""
    starts = [at for at, row in enumerate(rows) if row.startswith('  File "')]
    after = rows[starts[-1] + 1 :] if starts else rows
    error = next((at for at, row in enumerate(after) if row and not row.startswith(" ")), 0)
    return "\n".join(after[error:]).strip() or None


def recognises(text: str) -> bool:
    """Tell by its words whether an output may hold such tests; False is certain."""
    return "Ran " in text or _SPOKEN.search(text) is not None


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Read what unittest printed; None where it printed nothing."""
    reading = _Reading()
    for line in lines:
        if line:
            reading.take(first_part(line, LINE_LIMIT))
    return joined_text(reading.finish(), "unittest_text")
