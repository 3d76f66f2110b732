"""What pytest prints: `-v` lines, the short summary of `-rA`, and the line of counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from evaltrace.testlogs.cases import Run, Status, joined_text, to_case, to_counts
from evaltrace.testlogs.lines import LINE_LIMIT
from evaltrace.trace import TestCase, Tests, TestSummary
from evaltrace.untrusted import first_part

_STATUSES: dict[str, Status] = {
    "PASSED": "passed",
    "XPASS": "passed",
    "FAILED": "failed",
    "ERROR": "failed",
    "SKIPPED": "skipped",
    "XFAIL": "skipped",
}
"""As pytest's own reports say it: an expected failure is a skipped test."""

_COUNTED: dict[str, str | None] = {
    "passed": "passed",
    "xpassed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
    "warning": None,
    "warnings": None,
    "deselected": None,
    "rerun": None,
    "subtests passed": None,
    "subtests failed": None,
}
_WORD = "|".join(_COUNTED)
_COUNTS = re.compile(
    rf"=*+ ?((?:\d{{1,9}} (?:{_WORD}), )*\d{{1,9}} (?:{_WORD})|no tests ran)"
    r" in \d[\d.]{0,20} ?(?:s|seconds?)(?: \([\d:, day]{1,40}\))? ?=*",
    re.ASCII,
)
_COUNT = re.compile(rf"(\d+) ({_WORD})\b")
_NODE = re.compile(r"[^\s:=]+\.\w{1,8}(?:::[^\s:\[]+)+(?:\[.*\])?")
_PLAIN = re.compile(
    r"([^\s:=]+\.\w{1,8}(?:::[^\s:\[]+)+(?:\[[^\s\]]*\])?)"
    r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?:\s*\[ *\d+%\])?"
)
"""Most lines of tests: nothing but the name, the word and how far the run is."""
_MODULE = re.compile(r"[^\s:=]+\.py")
_STATUS = re.compile(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|RERUN)(?= |$)")
_SUMMARY = re.compile(r"(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (?=\S)")
_WORKER = re.compile(r"\[gw\d+\] (?:\[ *\d+%\] )?(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (?=\S)")
_REST = re.compile(r"(?: \((?P<reason>.*)\))?(?:\s*\[ *\d+%\]|\s*\[ *\d+/\d+\])?")
_MESSAGE = re.compile(r"(?: -)? ((?:assert |(?:\w+\.)*[A-Z]\w*(?::|$)).*)")
_HEADING = re.compile(r"=+ (.+?) =+")
_DETAILS = {"FAILURES", "ERRORS", "PASSES", "XFAILURES", "XPASSES"}
_STOPPED = re.compile(
    r"!+ (?P<why>(?:stopping after|(?:\w{1,40}\.){0,9}(?:Interrupted|KeyboardInterrupt|Exit)\b)"
    r".*?) !+"
)
_NOT_FOUND = re.compile(r"ERROR: (?:file or directory )?not found: .*")
_CANDIDATES = 8
_TELLING = re.compile(
    r"[=!]|INTERNALERROR>|(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b|\[gw\d"
    r"| ?(?:[0-9]{1,9} [a-z]|no tests ran)"
)
"""How a line begins that says something, if it does not name a test."""
INDENTED = r"[0-9]{1,9} [a-z]|no tests ran"
BEGINS = rf"[=!]|INTERNALERROR>|[PFESX][A-Z]{{4}}|\[gw\d|{INDENTED}"
"""The same, found faster; a few other lines begin so too. INDENTED is behind white space."""
_SPOKEN = re.compile(r" in \d[\d.]{0,20} ?s")


@dataclass
class _Reading:
    runs: list[Run] = field(default_factory=lambda: [Run()])
    summed: dict[str, TestCase] = field(default_factory=dict)
    section: str = ""
    faults: dict[str, None] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Take in one line."""
        if heading := _HEADING.fullmatch(line):
            self._enter(heading[1])
        if counts := _COUNTS.fullmatch(line):
            self.runs[-1].counts = _to_counts(counts[1])
            self._end()
        elif stopped := _STOPPED.fullmatch(line):
            self.runs[-1].doubts.append(f"the run stopped early ({stopped['why']})")
        elif line.startswith("INTERNALERROR>"):
            self.faults["pytest had an internal error"] = None
        elif _NOT_FOUND.fullmatch(line):
            self.faults["tests that pytest was to run were not found"] = None
        elif match := _SUMMARY.match(line) or _WORKER.match(line):
            if self.section not in _DETAILS:
                self._summed(match[1], line[match.end() :], worker=line.startswith("["))
        elif "::" in line:
            self.look(line)

    def look(self, line: str) -> None:
        """Take in a line of a kind that may list a test."""
        if self.section not in _DETAILS:  # what tests printed is no result
            self._listed(line)

    def _enter(self, heading: str) -> None:
        self.section = heading
        if heading == "test session starts":
            self._end()

    def _summed(self, word: str, rest: str, *, worker: bool) -> None:
        name, message = _split(rest)
        name = _own(name)
        collected = word == "ERROR" and self.section.startswith("short test summary")
        if _NODE.fullmatch(name) or (collected and _MODULE.fullmatch(name)):
            case = to_case(name, _STATUSES[word], None, message)
            if worker:
                self.runs[-1].add(case)
            elif self.summed.get(name) is None or case.status == "failed":
                self.summed[name] = case

    def _listed(self, line: str) -> None:
        if plain := _PLAIN.fullmatch(line):
            name, word = plain.groups()
            self._add(self.runs[-1], to_case(name, _STATUSES[word]), word)
            return
        for match in islice(_STATUS.finditer(line), _CANDIDATES):
            name, word, rest = line[: match.start()], match[1], line[match.end() :]
            if not _NODE.fullmatch(name):
                name = _own(name)
                if not _NODE.fullmatch(name):
                    continue
            plain, run = _REST.fullmatch(rest), self.runs[-1]
            told = _MESSAGE.fullmatch(rest) if word in ("FAILED", "ERROR") else None
            if word == "RERUN" and plain:
                run.repeated.add(to_case(name, "other").name)
            elif plain or told:
                message = told[1] if told else plain["reason"] if plain else None
                self._add(run, to_case(name, _STATUSES[word], None, message), word)
            return

    def _add(self, run: Run, case: TestCase, word: str) -> None:
        if word == "ERROR" and case.name in run.cases:
            run.cases[case.name] = case  # it ended, and could not be torn down
        else:
            run.add(case)

    def _end(self) -> None:
        """End a run, and join the two places in which it may have named a test."""
        run = self.runs[-1]
        for case in self.summed.values():
            listed = run.cases.get(case.name)
            if listed is None:
                run.add(case)
            elif case.status in ("failed", listed.status):
                listed.status = case.status
                listed.message = case.message or listed.message
        self.summed = {}
        if run:
            self.runs.append(Run())

    def finish(self) -> list[Run]:
        """Give the runs; the last one may have been cut off."""
        self._end()
        for run in self.runs:
            run.end()
        found = [run for run in self.runs if run]
        if len(found) > 1 and any(run.counts and run.counts.total == 0 for run in found):
            self.faults["a run of pytest ran no tests"] = None
        if found:
            found[-1].doubts += self.faults
        return found


def _split(rest: str) -> tuple[str, str | None]:
    """Split a line of the short summary into its test and the reason after it."""
    first = None
    for at in islice(_dashes(rest), _CANDIDATES):
        name = rest[:at]
        if _NODE.fullmatch(name) or _MODULE.fullmatch(name):
            if name.count("[") == name.count("]"):
                return name, rest[at + 3 :]
            first = first or (name, rest[at + 3 :])
    return first or (rest, None)


def _own(name: str) -> str:
    """Leave out the file that an inherited test was written in."""
    return name if _NODE.fullmatch(name) else name.rpartition(" <- ")[0] or name


def _dashes(text: str) -> Iterator[int]:
    at = text.find(" - ")
    while at >= 0:
        yield at
        at = text.find(" - ", at + 1)


def _to_counts(words: str) -> TestSummary:
    sums = {"passed": 0, "failed": 0, "skipped": 0}
    for number, word in _COUNT.findall(words):
        name = _COUNTED[word]
        if name is not None:
            sums[name] += int(number)
    return to_counts(**sums)


def recognises(text: str) -> bool:
    """Tell by its words whether an output may hold such tests; False is certain."""
    if "::" in text and any(word in text for word in _STATUSES):
        return True
    return "short test summary" in text or _SPOKEN.search(text) is not None


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Read what pytest printed; None where it printed nothing."""
    reading = _Reading()
    for line in lines:
        if _TELLING.match(line):
            reading.take(first_part(line, LINE_LIMIT))
        elif "::" in line:
            reading.look(first_part(line, LINE_LIMIT))
    return joined_text(reading.finish(), "pytest_text")
