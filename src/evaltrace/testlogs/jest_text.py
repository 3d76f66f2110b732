"""What jest prints with `--verbose`, and vitest and mocha in much the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from evaltrace.testlogs.cases import Run, Status, Titled, add_titled, joined_text, to_case
from evaltrace.testlogs.lines import LINE_LIMIT
from evaltrace.trace import Tests, TestSummary
from evaltrace.untrusted import first_part

_MARKS: dict[str, Status] = {
    **dict.fromkeys("✓✔√", "passed"),
    **dict.fromkeys("✕✖✗×", "failed"),
    **dict.fromkeys("○✎↓", "skipped"),
}
_TIME = re.compile(r" \((\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m)\)$")
_VITEST_TIME = re.compile(r" +(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)$")
_FILE = re.compile(r"(?:PASS|FAIL) +(?:\S+ +)?(?P<name>\S+\.[cm]?[jt]sx?)(?: \([\d.]+ ?m?s\))?")
_VITEST_FILE = re.compile(r"(?P<name>\S+\.[cm]?[jt]sx?) +\(\d+ tests?(?: \| [^()]*)?\).*")
_OF_FILE = re.compile(r"(?P<name>\S+\.[cm]?[jt]sx?) > ")
_MANY = re.compile(r"(?:skipped|todo) \d+ tests?")
_NO_TEST = {"Console", "Validation Warning:", "Deprecation Warning:"}
_MESSAGE_LINES = 40
_NUMBERED = re.compile(r"\d{1,5}\) ")
_PART = r"\d{1,9} (?:failed|passed|skipped|todo|pending|total|flaky|expected fail)"
_JEST_COUNTS = re.compile(rf"Tests: +({_PART}(?:, {_PART})*)")
_VITEST_COUNTS = re.compile(rf" +Tests  +({_PART}(?: \| {_PART})*) \((\d{{1,9}})\)")
_SUITE_PART = r"\d{1,9} (?:failed|passed|skipped)"
_JEST_FILES = re.compile(
    rf"Test Suites: (?P<parts>(?:{_SUITE_PART}, )*)"
    r"(?:(?P<ran>\d{1,9}) of )?(?P<all>\d{1,9}) total"
)
_VITEST_FILES = re.compile(rf" +Test Files  (?P<parts>{_SUITE_PART}(?: \| {_SUITE_PART})*) \(\d+\)")
_VITEST_UNRUN = re.compile(r" FAIL  (?:\S+ )?(\S+\.[cm]?[jt]sx?) \[ \S+ \]")
_VITEST_ERRORS = re.compile(r" +Errors  (\d{1,9}) errors?")
_COUNT = re.compile(r"(\d+) (failed|passed|skipped|todo|pending|total)")
_PASSING = re.compile(r"  (\d{1,9}) passing \([\d.]+(?:ms|[smhd])\)")
_OTHERS = re.compile(r"  (\d{1,9}) (failing|pending)")
_COUNTING = ("Tests: ", " Tests  ", " passing (")
_MARKED = rf"[{''.join(_MARKS)}❯][^\S\n]*\S+\.[cm]?[jt]s"
INDENTED = rf"Tests  +\d|\d{{1,9}} passing \(|{_MARKED}"
BEGINS = rf"Tests: +\d|[PF]A[SI][SL] |{_MARKED}"
"""How a line begins without which an output has no such tests; INDENTED behind white space."""
_SCRIPT = re.compile(r"\.[cm]?[jt]sx?(?=\s|\Z)")


@dataclass
class _Reading:
    runs: list[Run] = field(default_factory=list)
    titled: list[Titled] = field(default_factory=list)
    counts: TestSummary | None = None
    file: str = ""
    titles: list[tuple[int, str]] = field(default_factory=list)
    tree: bool = True
    framed: bool = False
    vitest: bool = False
    details: dict[str, list[str]] = field(default_factory=dict)
    detail: list[str] | None = None
    unrun: dict[str, None] = field(default_factory=dict)
    failed_files: int = 0
    doubts: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take in one line."""
        text = line.lstrip()
        if match := _FILE.fullmatch(line):
            self._ended()
            self.file, self.titles, self.tree, self.framed = match["name"], [], True, True
            self.detail = None
        elif self._counted(line) or self._counted_files(line):
            self.detail = None
        elif text.startswith("● "):
            self._detail(text[2:].strip())
        elif self.detail is not None and len(line) - len(text) >= 2:
            self.detail += [text] if len(self.detail) < _MESSAGE_LINES else []
        elif not text:
            # A blank line ends jest's tree of a file; mocha has them between its suites.
            self.tree, self.titles = self.tree and not self.framed, []
        else:
            self._result(len(line) - len(text), text)

    def _detail(self, title: str) -> None:
        self.tree, self.titles, self.detail = False, [], None
        if title == "Test suite failed to run":
            self.unrun[self.file] = None
        elif self.file and title not in _NO_TEST:
            self.detail = self.details.setdefault(title.replace(" › ", " > "), [])

    def _result(self, indent: int, text: str) -> None:
        mark, name = text[0], text[1:].lstrip()
        marked = mark in _MARKS and text[1:2] == " "
        if not indent and not marked:
            return
        while self.titles and self.titles[-1][0] >= indent:
            self.titles.pop()
        if mark == "❯" and (match := _VITEST_FILE.fullmatch(name)):
            self._of_file(match["name"])
        elif marked:
            self._ended()
            self._marked(_MARKS[mark], name)
        elif self.tree and self.counts is None and (number := _NUMBERED.match(text)):
            self._titled("failed", text[number.end() :])
        elif self.tree and self.counts is None and text.startswith("- ") and self.titles:
            self._titled("skipped", text[2:])
        elif self.tree and indent and len(self.titles) < 20:
            self.titles.append((indent, text))

    def _marked(self, status: Status, name: str) -> None:
        if match := _VITEST_FILE.fullmatch(name):
            self._of_file(match["name"])
        elif match := _OF_FILE.match(name):
            self._of_file(match["name"])
            self._titled(status, name[match.end() :])
        elif not _MANY.fullmatch(name):
            self._titled(status, name)

    def _of_file(self, name: str) -> None:
        self.file, self.titles, self.framed, self.vitest = name, [], True, True

    def _titled(self, status: Status, name: str) -> None:
        if status == "skipped":
            name = name.removeprefix("skipped ").removeprefix("todo ")
        time = (_VITEST_TIME if self.vitest else _TIME).search(name)
        milliseconds = None
        if time:
            name = name[: time.start()]
            milliseconds = round(float(time[1]) * {"ms": 1, "s": 1000, "m": 60000}[time[2]], 3)
        whole = " > ".join([*(title for _, title in self.titles), name])
        self.titled.append((self.file, to_case(whole, status, milliseconds)))

    def _counted(self, line: str) -> bool:
        """Take in a line of counts."""
        if match := _JEST_COUNTS.fullmatch(line):
            self._ended()
            self.counts = _to_counts(match[1], None)
            self._ended()
        elif match := _VITEST_COUNTS.fullmatch(line):
            self._ended()
            self.counts = _to_counts(match[1], int(match[2]))
            self._ended()
        elif match := _PASSING.fullmatch(line):
            self._ended()
            self.counts = TestSummary(total=0, passed=0, failed=0, skipped=0, other=0)
            self._count("passed", int(match[1]))
        elif self.counts is not None and (match := _OTHERS.fullmatch(line)):
            self._count("failed" if match[2] == "failing" else "skipped", int(match[1]))
        else:
            return False
        return True

    def _counted_files(self, line: str) -> bool:
        """Take in what is said of files and errors: not every failure is a test's."""
        if match := _JEST_FILES.fullmatch(line) or _VITEST_FILES.fullmatch(line):
            counts = {word: int(number) for number, word in _COUNT.findall(match["parts"])}
            self.failed_files = counts.get("failed", 0)
            several = match.groupdict()
            if several.get("ran") and _missing(several, counts.get("skipped", 0)):
                self.doubts.append(f"only {several['ran']} of {several['all']} test files were run")
        elif match := _VITEST_UNRUN.fullmatch(line):
            self.unrun[match[1]] = None
        elif self.runs and (match := _VITEST_ERRORS.fullmatch(line)):
            self.runs[-1].doubts.append(f"there were errors outside of tests: {match[1]}")
        else:
            return False
        return True

    def _count(self, status: str, number: int) -> None:
        if self.counts is not None:
            setattr(self.counts, status, number)
            self.counts.total = (self.counts.total or 0) + number

    def _ended(self) -> None:
        """End a run whose counts are complete."""
        if self.counts is not None:
            self._close()

    def _close(self) -> None:
        run = Run(counts=self.counts)
        add_titled(run, [*self.titled, *self._detailed()])
        run.doubts += [f"the tests of {file or 'a file'} could not be run" for file in self.unrun]
        run.doubts += self.doubts
        if self.failed_files > self._explained(run):
            run.doubts.append("a test file failed without a failed test")
        # Marks alone are no tests: many programs print them.
        if self.counts is not None or (self.framed and run):
            run.end()
            self.runs.append(run)
        self.titled, self.titles, self.counts = [], [], None
        self.file, self.tree, self.framed, self.vitest = "", True, False, False
        self.details, self.detail, self.unrun = {}, None, {}
        self.failed_files, self.doubts = 0, []

    def _explained(self, run: Run) -> int:
        """Count the files that failed for their tests, as far as these are listed."""
        listed = [file for file, case in self.titled if case.status == "failed"]
        counted = (run.counts.failed or 0) if run.counts else len(listed)
        if len(listed) < counted or not all(listed):
            return counted + len(self.unrun)
        return len({*listed, *self.unrun})

    def _detailed(self) -> list[Titled]:
        """Give failures their messages, and those that are named by a message alone."""
        cases = {case.name: case for _, case in self.titled if case.status == "failed"}
        found = []
        for title, rows in self.details.items():
            detailed = to_case(title, "failed", None, "\n".join(rows).strip())
            if detailed.name in cases:
                cases[detailed.name].message = detailed.message
            else:
                found.append((self.file, detailed))
        return found

    def finish(self) -> list[Run]:
        """Give the runs; the last one may have been cut off."""
        self._close()
        return self.runs


def _missing(files: dict[str, str | None], skipped: int) -> bool:
    # Files of which every test is skipped are in the total, and not among those that ran.
    return int(files["ran"] or 0) + skipped < int(files["all"] or 0)


def _to_counts(words: str, total: int | None) -> TestSummary:
    counts = {"failed": 0, "passed": 0, "skipped": 0}
    for number, word in _COUNT.findall(words):
        if word == "total":
            total = int(number)
        else:
            counts[word if word in counts else "skipped"] += int(number)
    whole = sum(counts.values()) if total is None else total
    return TestSummary(total=whole, other=max(whole - sum(counts.values()), 0), **counts)


def recognises(text: str) -> bool:
    """Tell by its words whether an output may hold such tests; False is certain."""
    if any(word in text for word in _COUNTING):
        return True
    # Without counts it takes a file: named by a word of jest, or with a mark of vitest.
    named = not text.isascii() or "PASS " in text or "FAIL " in text
    return named and _SCRIPT.search(text) is not None


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Read what jest printed; None where it printed nothing."""
    reading = _Reading()
    for line in lines:
        reading.take(first_part(line, LINE_LIMIT))
    return joined_text(reading.finish(), "jest_text")
