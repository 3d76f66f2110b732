"""What `cargo test` prints, crate by crate, and cargo-nextest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from evaltrace.testlogs.cases import Run, Status, joined_text, to_case, to_counts
from evaltrace.testlogs.lines import LINE_LIMIT
from evaltrace.trace import Tests
from evaltrace.untrusted import first_part

_STATUSES: dict[str, Status] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
_TEST = re.compile(
    r"test (?P<name>\S+(?: - \S.*? \(line \d+\)(?: - [a-z ]+)?)?(?: - should panic)?)"
    r" \.\.\. (?P<word>ok|FAILED|ignored)(?P<rest>, .*)?(?: <(?P<seconds>[\d.]{1,20})s>)?"
)
_BINARY = re.compile(r"\S+[/\\]([\w-]+)-[0-9a-f]{8,20}")
_DOCTESTS = re.compile(r"\s*Doc-tests ([\w-]+)")
_BLOCK = re.compile(r"running (\d{1,9}) tests?")
_RESULT = re.compile(
    r"test result: (?:ok|FAILED)\. (\d{1,9}) passed; (\d{1,9}) failed; (\d{1,9}) ignored;"
    r" \d{1,9} measured; \d{1,9} filtered out(?:; finished in [\d.]{1,20}s)?"
)
_NEXTEST = re.compile(
    r"\s*(?P<word>PASS|LEAK|FAIL|ABORT|XFAIL|SIG[A-Z0-9]{2,8}|TIMEOUT) \[ *[\d.]+s\]"
    r" (?:\( *\d+/\d+\) )?(\S+ \S+)"
)
_PASSED = {"PASS", "LEAK"}
_NEXTEST_SUMMARY = re.compile(
    r"\s*Summary \[ *[\d.]+s\] (?P<ran>\d{1,9})(?:/(?P<of>\d{1,9}))? tests? run:"
    r" (\d{1,9}) passed(?: \([^()]*\))?(?:, (\d{1,9}) failed(?: \([^()]*\))?)?"
    r"(?:, (\d{1,9}) exec failed)?(?:, (\d{1,9}) timed out)?(?:, (\d{1,9}) skipped)?"
)
_MESSAGE = re.compile(r"---- (?P<name>.+?) stdout ----")
_MESSAGE_LINES = 40
_FAILED = re.compile(r"error: (?:doc)?test failed, to rerun pass .*")
INDENTED = r"[A-Z][A-Za-z0-9]{3,9} \["
BEGINS = rf"test result: |running \d|{INDENTED}"
"""How a line begins without which an output has no such tests; INDENTED behind white space."""
_STARTS = re.compile(r"running \d")
_TIMED = re.compile(r" \[ *[\d.]+s\] ")
_UNBUILT = re.compile(r"error: could not compile `([\w-]+)`.*")


@dataclass
class _Reading:
    runs: list[Run] = field(default_factory=lambda: [Run()])
    crate: str = ""
    begun: int | None = None
    failed: bool = False
    message: list[str] | None = None
    messages: dict[str, list[str]] = field(default_factory=dict)
    unbuilt: dict[str, None] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Take in one line."""
        if self.message is None and (crate := _crate(line)):
            self._crashed()
            self.crate = crate
        elif match := _BLOCK.fullmatch(line):
            self._crashed()
            self._end()
            self.begun = int(match[1])
        elif match := _RESULT.fullmatch(line):
            self.runs[-1].counts = to_counts(int(match[1]), int(match[2]), int(match[3]))
            self.failed = self.failed or match[2] != "0"
            self._end()
            self.crate, self.begun = "", None
        elif self.message is None and _FAILED.fullmatch(line):
            self._failed()
        elif self.begun is not None:
            self._within(line)
        elif match := _UNBUILT.fullmatch(line):
            self.unbuilt[match[1]] = None
        else:
            self._nextest(line)

    def _crashed(self, known: bool = False) -> None:
        """End a block that gave no result; without a test it has to be known as cargo's."""
        if self.begun is None:
            return
        if known or self.crate or self.runs[-1].cases:
            self.runs[-1].announced = self.begun
        self._end()
        self.begun = None

    def _failed(self) -> None:
        """Take in cargo's word that a binary failed: a failed test should be the reason."""
        crashed = self.begun is not None
        self._crashed(known=True)
        if not (self.failed or crashed):
            self.runs[-1].doubts.append("cargo says that tests failed, and none is listed")
        self.failed = False

    def _within(self, line: str) -> None:
        if match := _MESSAGE.fullmatch(line):
            self.message = self.messages.setdefault(self._name(match["name"]), [])
        elif line == "failures:":
            self.message = None
        elif match := _TEST.fullmatch(line):
            name, reason = self._name(match["name"]), (match["rest"] or "")[2:]
            seconds = float(match["seconds"]) if _is_number(match["seconds"]) else None
            time = round(seconds * 1000, 3) if seconds is not None else None
            self.runs[-1].add(to_case(name, _STATUSES[match["word"]], time, reason or None))
        elif self.message is not None and line and len(self.message) < _MESSAGE_LINES:
            self.message.append(line)

    def _name(self, test: str) -> str:
        test = test.removesuffix(" - should panic")
        return f"{self.crate} {test}" if self.crate else test

    def _nextest(self, line: str) -> None:
        if match := _NEXTEST.fullmatch(line):
            status: Status = "passed" if match["word"] in _PASSED else "failed"
            # Failures are listed once more after the summary.
            known = self.runs[-2].cases if len(self.runs) > 1 else {}
            case = to_case(match[2], status)
            if case.name not in known or known[case.name].status != case.status:
                self.runs[-1].add(case)
        elif match := _NEXTEST_SUMMARY.fullmatch(line):
            passed, failed, broken, late, skipped = map(_count, match.groups()[2:])
            run = self.runs[-1]
            run.counts = to_counts(passed, failed + broken + late, 0)
            if skipped:
                run.doubts.append(f"{skipped} skipped tests are not named")
            if match["of"] and match["of"] != match["ran"]:
                run.doubts.append(f"only {match['ran']} of {match['of']} tests were run")
            self._end()

    def _end(self) -> None:
        run = self.runs[-1]
        for name, rows in self.messages.items():
            case = run.cases.get(to_case(name, "failed").name)
            if case is not None and case.status == "failed":
                case.message = to_case(None, "failed", None, "\n".join(rows)).message
        self.messages, self.message = {}, None
        if run:
            self.runs.append(Run())

    def finish(self) -> list[Run]:
        """Give the runs; the last one may have been cut off."""
        self._crashed()
        self._end()
        for run in self.runs:
            run.end()
        found = [run for run in self.runs if run]
        if found and self.runs[-1].doubts and not self.runs[-1]:
            found[-1].doubts += self.runs[-1].doubts
        if found and self.unbuilt:
            found[-1].doubts.append(f"{next(iter(self.unbuilt))} was not built")
        return found


def _crate(line: str) -> str | None:
    """Name the crate whose tests come next: by its binary, but for the hash."""
    doctests = _DOCTESTS.fullmatch(line)
    if doctests or not (line.lstrip().startswith("Running ") and line.endswith(")")):
        return doctests[1] if doctests else None
    binary = _BINARY.fullmatch(line[:-1].rpartition("(")[2])
    return binary[1] if binary else None


def _count(number: str | None) -> int:
    return int(number or 0)


def _is_number(text: str | None) -> bool:
    return text is not None and text.replace(".", "", 1).isdecimal()


def recognises(text: str) -> bool:
    """Tell by its words whether an output may hold such tests; False is certain."""
    if "test result: " in text or ("running " in text and _STARTS.search(text)):
        return True
    return "s] " in text and _TIMED.search(text) is not None


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Read what cargo printed; None where it printed nothing."""
    reading = _Reading()
    for line in lines:
        if line:
            reading.take(first_part(line, LINE_LIMIT))
    return joined_text(reading.finish(), "cargo_text")
