"""What `go test` prints, with `-v` or without."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from evaltrace.testlogs.cases import Run, Status, joined_text, to_case
from evaltrace.testlogs.go_json import doubts, to_name
from evaltrace.testlogs.lines import LINE_LIMIT
from evaltrace.trace import TestCase, Tests, TestSummary
from evaltrace.untrusted import first_part

_STATUSES: dict[str, Status] = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
_NAME = r"((?:Test|Fuzz|Example|Benchmark)\S*)"
_RESULT = re.compile(rf" *--- (PASS|FAIL|SKIP): {_NAME} \((\d[\d.]{{0,20}})s\)")
_STARTED = re.compile(rf"=== (RUN|NAME|CONT|PAUSE) +{_NAME}")
_MARKER = re.compile(r"--- (?:PASS|FAIL|SKIP): |=== RUN ")
INDENTED = r"--- [PFS]"
BEGINS = rf"=== RUN |{INDENTED}"
"""How a line begins without which an output has no such tests; INDENTED behind white space."""
_PACKAGE = re.compile(
    r"(?P<word>ok  |FAIL)(?:\t| {1,8})(?P<name>[\w./~+-]+)(?:\t| {1,8})"
    r"(?P<rest>(?:\d[\d.]{0,20}s|\(cached\)|\[build failed\]|\[setup failed\])(?:\s.*)?)"
)
_MESSAGE_LINES = 40
_MESSAGE_LIMIT = 4096


@dataclass
class _Reading:
    runs: list[Run] = field(default_factory=list)
    waiting: list[TestCase] = field(default_factory=list)
    started: dict[str, None] = field(default_factory=dict)
    failed: TestCase | None = None
    output: list[str] | None = None
    outputs: dict[str, list[str]] = field(default_factory=dict)
    verbose: bool = False
    unlisted: int = 0
    silent: int = 0
    broken: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take in one line."""
        line = self._without_output(line)
        if match := _RESULT.fullmatch(line):
            self._result(match)
        elif match := _STARTED.fullmatch(line):
            self.failed = None
            self.output = self.outputs.setdefault(match[2], [])
            if match[1] == "RUN":
                self.verbose, self.started[match[2]] = True, None
        elif match := _PACKAGE.fullmatch(line):
            self._package(match["name"], match["word"].strip(), match["rest"])
        elif not line.startswith("    "):
            self.failed = self.output = None
        elif self.failed is not None:
            self._tell(self.failed, line)
        elif self.output is not None and len(self.output) < _MESSAGE_LINES:
            self.output.append(line)

    def _without_output(self, line: str) -> str:
        """Leave out what a started test printed before a marker, without a line's end."""
        for marker in _MARKER.finditer(line) if self.verbose else ():
            rest = line[marker.start() :]
            result = _RESULT.fullmatch(rest)
            known = result[2] in self.started if result else _STARTED.fullmatch(rest)
            if known and line[: marker.start()].strip():
                return rest
        return line

    def _result(self, match: re.Match[str]) -> None:
        word, name, seconds = match.groups()
        time = float(seconds) * 1000 if seconds.count(".") < 2 else None
        case = to_case(name, _STATUSES[word], None if time is None else round(time, 3))
        self.started.pop(name, None)
        self.waiting.append(case)
        # With -v a test's output stands before its result, otherwise below it.
        output = self.outputs.pop(name, [])
        self.failed = self.output = None
        if word != "PASS":
            self.failed = None if output else case
            for line in output:
                self._tell(case, line)

    def _tell(self, case: TestCase, line: str) -> None:
        """Give a failure, or what was skipped, a line of its output."""
        lines = [case.message, line.strip()] if case.message else [line.strip()]
        if len(case.message or "") < _MESSAGE_LIMIT:
            case.message = to_case(None, "other", None, "\n".join(lines)).message

    def _package(self, name: str, word: str, rest: str) -> None:
        run = Run()
        self._unended(word)
        failed = any(case.status == "failed" for case in self.waiting)
        listed = self.verbose or any(case.status == "passed" for case in self.waiting)
        if word == "FAIL" and not failed:
            self.broken.append(name)
        elif not listed and "[no test" not in rest:
            self.unlisted += 1
        for case in self.waiting:
            case.name = to_case(to_name(name, case.name), "other").name
            run.add(case)
        self.waiting, self.started, self.outputs = [], {}, {}
        self.failed, self.output, self.verbose = None, None, False
        self.runs.append(run)

    def _unended(self, word: str) -> None:
        """Take in the tests of a package that were started and have no result."""
        for test in self.started:
            if word == "FAIL":
                self.waiting.append(to_case(test, "failed", None, "did not finish"))
            elif not test.startswith("Benchmark"):  # a benchmark has no such line
                self.waiting.append(to_case(test, "other", None, "there is no result line"))
                self.silent += 1

    def finish(self) -> list[Run]:
        """Give the tests of each package, then those whose package was never named."""
        rest = Run()
        for case in self.waiting:
            rest.add(case)
        for test in self.started:
            rest.add(to_case(test, "other", None, "did not finish"))
        runs = [run for run in (*self.runs, rest) if run]
        if not runs:
            return []
        runs[-1].doubts += doubts(len(self.started), self.broken)
        if rest:
            runs[-1].doubts.append("the last package was not named: the run may not have ended")
        if self.silent:
            many = f"{self.silent} test{'s' if self.silent > 1 else ''}"
            runs[-1].doubts.append(f"{many} of packages that passed have no result line")
        if self.unlisted:
            many = f"{self.unlisted} package{'s' if self.unlisted > 1 else ''}"
            runs[-1].doubts.append(f"{many} did not list the tests that passed")
        return runs


def recognises(text: str) -> bool:
    """Tell by its words whether an output may hold such tests; False is certain."""
    if "=== RUN " in text:
        return True
    return "--- " in text and any(f"--- {word}: " in text for word in _STATUSES)


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Read what go test printed; None where it named no test."""
    reading = _Reading()
    for line in lines:
        if line:
            reading.take(first_part(line, LINE_LIMIT))
    tests = joined_text(reading.finish(), "go_text")
    if tests is not None and reading.unlisted:
        # Without -v only failures are printed: how many others there were is not known.
        tests.summary = TestSummary(failed=tests.summary.failed)
    return tests
