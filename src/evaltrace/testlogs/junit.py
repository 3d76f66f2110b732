"""JUnit XML, as pytest, Maven, Gradle, gotestsum, jest, vitest and many others write it.

There is no one standard; source: https://github.com/testmoapp/junitxml. Entities are never
expanded: a file that declares a document type is not read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from evaltrace.source import Source
from evaltrace.testlogs.cases import Run, Status, Titled, add_titled, added, to_case
from evaltrace.trace import TestSummary
from evaltrace.untrusted import first_part

REPORT_LIMIT = 64 * 2**20
"""Bytes of one report."""

_ROOTS = ("testsuites", "testsuite")
_TEXT_LIMIT = 3 * 8192
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}encoding=["'](?!utf-?8["'])""", re.I)
_STATUSES: dict[str, Status] = {"failure": "failed", "error": "failed", "skipped": "skipped"}
_WORDS: dict[str, Status] = {
    **dict.fromkeys(("failed", "failure", "fail", "error", "errored", "regression"), "failed"),
    **dict.fromkeys(("notrun", "not run", "skipped", "skip", "ignored", "pending"), "skipped"),
    **dict.fromkeys(("disabled", "suppressed", "filtered"), "skipped"),
    **dict.fromkeys(("", "run", "completed", "executed", "passed", "pass"), "passed"),
    **dict.fromkeys(("success", "successful", "ok", "fixed"), "passed"),
}
"""What `status` and `result` of a test say, which some write instead of an element."""

_SEVERITY: tuple[Status, ...] = ("passed", "other", "skipped", "failed")
_RERUN = {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}
_PYTEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")
_SCRIPT = re.compile(r"\.[cm]?[jt]sx?$")
_MODULE = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_UP = re.compile(r"(?:\.\.\.)+")
_EMPTY_WORDS = {"", "failed", "failure", "error", "skipped"}
_REST = "The tests before it were read."
_LEFT_OUT = "It was left out; what the verifier printed was read."


_DECLARED = "it declares a document type"
_ROOT = re.compile(
    r"<!--(?:(?!-->).)*+(?:-->|\Z)|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)"
    r"|<(?:[\w.-]{1,60}:)?(?P<root>[A-Za-z_][\w.-]{0,60})",
    re.DOTALL,
)
_PROLOG = 2**20
"""Characters in which the root element is looked for, after a document type."""


class _Refused(Exception):
    """The file is not read on: for a reason, or because it is no report."""


@dataclass
class _Suite:
    name: str
    counts: TestSummary | None


@dataclass
class _Case:
    attributes: dict[str, str]
    suite: str
    status: Status = "passed"
    told: bool = False
    message: str | None = None


@dataclass
class _Reading:
    """What the parser has seen of one file."""

    run: Run = field(default_factory=Run)
    path: list[str] = field(default_factory=list)
    suites: list[_Suite] = field(default_factory=list)
    claims: list[TestSummary] = field(default_factory=list)
    total: TestSummary | None = None
    case: _Case | None = None
    text: list[str] | None = None
    length: int = 0
    go: bool = False
    reran: int = 0
    rows: list[_Case] = field(default_factory=list)

    def doctype(self, name: str, *_: object) -> None:
        """Refuse a document type, and with it every entity."""
        raise _Refused(_DECLARED)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take in the beginning of an element."""
        tag = tag.rpartition(":")[2]
        if not self.path and tag not in _ROOTS:
            raise _Refused("")
        self.path.append(tag)
        if tag == "testsuites":
            self.total = _claim(attributes)
        elif tag == "testsuite":
            self._suite(attributes)
        elif tag == "testcase":
            suite = self.suites[-1].name if self.suites else ""
            self.case = _Case(attributes, suite, _status(attributes))
        elif self.case is not None and self.path[-2] == "testcase":
            self._outcome(self.case, tag, attributes)
        elif tag == "property" and attributes.get("name") == "go.version":
            self.go = True

    def _suite(self, attributes: dict[str, str]) -> None:
        claim = _claim(attributes)
        if claim and not any(suite.counts for suite in self.suites):
            self.claims.append(claim)  # a nested suite is counted by the one around it
        self.suites.append(_Suite(attributes.get("name", ""), claim))

    def _outcome(self, case: _Case, tag: str, attributes: dict[str, str]) -> None:
        if tag in _STATUSES:
            if not (case.told and case.status == "failed"):
                case.status, case.told = _STATUSES[tag], True
                case.message = attributes.get("message") or None
                says_nothing = (case.message or "").strip().lower() in _EMPTY_WORDS
                self.text, self.length = [] if says_nothing else None, 0
        elif tag in _RERUN:
            self.reran += 1

    def characters(self, text: str) -> None:
        """Take in text: only the beginning of a failure's is kept."""
        if self.text is not None and self.length <= _TEXT_LIMIT:
            self.text.append(text[: 2 * _TEXT_LIMIT])
            self.length += len(text)

    def end(self, tag: str) -> None:
        """Take in the end of an element."""
        tag = self.path.pop()
        if tag == "testsuite" and self.suites:
            self.suites.pop()
        elif tag == "testcase" and self.case is not None:
            self.rows.append(self.case)
            self.case = None
        elif tag in _STATUSES and self.case is not None and self.text is not None:
            told = first_part("".join(self.text), _TEXT_LIMIT).strip()
            self.case.message = told or self.case.message
            self.text = None

    def finish(self) -> Run:
        """Name the tests and give them with the report's counts."""
        add_titled(self.run, [_titled(case, self.go) for case in self.rows])
        self.run.counts = added(self.claims) if self.claims else self.total
        if self.reran:
            self.run.doubts.append("failed tests were run again: the last result counts")
        return self.run


def recognises(content: bytes) -> bool:
    """Tell by its first bytes whether a file may be XML."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"\xff\xfe", b"\xfe\xff"))


def read(source: Source, path: str) -> Run | None:
    """Read one report; None when it is XML of another kind, or cannot be used."""
    content = source.read(path, REPORT_LIMIT)
    if content is None:
        return None
    reading, fault = _parse(content)
    if reading is not None and fault and not _ENCODING.match(content):
        # Control characters of captured output are not allowed in XML, and yet written.
        mended, second = _parse(_mended(content))
        if mended is not None and (second is None or len(mended.rows) > len(reading.rows)):
            reading, fault = mended, second
    if fault:
        hint = _REST if reading and reading.rows else _LEFT_OUT
        source.report("malformed_tests", path, f"not a usable JUnit report: {fault}", hint)
    if reading is None or (fault and not reading.rows):
        return None
    if fault:
        reading.run.doubts.append("a report is cut off or broken")
    return reading.finish()


def _parse(content: bytes) -> tuple[_Reading | None, str | None]:
    """Parse a report; None for what is none. Also say what is wrong with it."""
    from xml.parsers.expat import ExpatError, ParserCreate

    reading, parser = _Reading(), ParserCreate()
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.characters
    parser.StartDoctypeDeclHandler = reading.doctype
    try:
        parser.Parse(content, True)
    except _Refused as refusal:
        refused = str(refusal) == _DECLARED and _root(content) in _ROOTS
        return None, _DECLARED if refused else None
    except (ExpatError, ValueError, LookupError) as error:  # the latter: odd encodings
        return reading, str(error)
    return reading, None


def _root(content: bytes) -> str:
    """Find the name of the root element without a parser: none may see the entities."""
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4]
    text = content[: 4 * _PROLOG].decode("utf-16" if wide else "utf-8", "replace")[:_PROLOG]
    return next((found["root"] for found in _ROOT.finditer(text) if found["root"]), "")


def _status(attributes: dict[str, str]) -> Status:
    """Read the words of a test's own attributes; the worst counts, an unknown one is other."""
    if "status" not in attributes and "result" not in attributes:
        return "passed"
    words = [(attributes.get(name) or "").strip().lower() for name in ("status", "result")]
    return max((_WORDS.get(word, "other") for word in words), key=_SEVERITY.index)


def _titled(case: _Case, go: bool) -> Titled:
    """Name a test; where its name is a title only, also tell the place it stands in."""
    name, title = _name(case, go), case.attributes.get("name", "")
    time, place = case.attributes.get("time"), ""
    if name == title:
        around = (case.attributes.get("file"), case.attributes.get("classname"), case.suite)
        place = next((text for text in around if text and text not in title), "")
    return place, to_case(name, case.status, _milliseconds(time), case.message)


def _mended(content: bytes) -> bytes:
    return _ILLEGAL.sub("", content.decode("utf-8", "replace")).encode()


def _name(case: _Case, go: bool) -> str:
    """Give a test the name that its runner gives it elsewhere."""
    place, name = case.attributes.get("classname", ""), case.attributes.get("name", "")
    if case.suite == "pytest" or _PYTEST_FILE.search(case.attributes.get("file", "")):
        return _node_id(place, name, case.attributes.get("file"))
    if not place or name.startswith(place) or name.endswith(f" {place}"):
        return name  # jest-junit and mocha have the describe blocks in either
    if go:
        return f"{case.suite}/{name}"
    if _SCRIPT.search(place):  # vitest: the file
        return name
    return f"{place}.{name}"


def _node_id(place: str, name: str, file: str | None) -> str:
    """Turn `tests.test_a.TestB` and `test_c` into `tests/test_a.py::TestB::test_c`."""
    up = _UP.match(place)
    parts = place[up.end() if up else 0 :].split(".")
    if not place:  # a module that could not be collected
        return name.replace(".", "/") + ".py" if _MODULE.fullmatch(name) else name
    known = file.removesuffix(".py").replace("/", ".").lstrip(".").split(".") if file else []
    module = len(known) if known and parts[: len(known)] == known else _module_length(parts)
    folder = "../" * (len(up[0]) // 3) if up else ""
    return "::".join([f"{folder}{'/'.join(parts[:module])}.py", *parts[module:], name])


def _module_length(parts: list[str]) -> int:
    classes = (at for at, part in enumerate(parts) if at and part[:1].isupper())
    return next(classes, len(parts))


def _milliseconds(time: str | None) -> float | None:
    try:
        seconds = float((time or "").replace(",", ""))
    except ValueError:
        return None
    return round(seconds * 1000, 3) if 0 <= seconds < math.inf else None


def _claim(attributes: dict[str, str]) -> TestSummary | None:
    # Not what passed: reporters do not agree on what they count as skipped.
    numbers = {name: _number(attributes.get(name)) for name in ("tests", "failures", "errors")}
    if numbers["tests"] is None:
        return None
    failed = [number for number in (numbers["failures"], numbers["errors"]) if number is not None]
    return TestSummary(total=numbers["tests"], failed=sum(failed) if failed else None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None
