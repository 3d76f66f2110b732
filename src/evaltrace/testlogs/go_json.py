"""Lines of `go test -json`, in a file or among other output.

Source: https://pkg.go.dev/cmd/test2json
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.testlogs.cases import Run, Status, joined_report, to_case
from evaltrace.testlogs.lines import read_output
from evaltrace.trace import Tests
from evaltrace.untrusted import first_part

REPORT_LIMIT = 64 * 2**20
"""Bytes read of one file."""

_STATUSES: dict[str, Status] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_MESSAGE_LINES = 40
_OUTPUT_LIMIT = 8192


class _Line(msgspec.Struct, rename="pascal"):
    action: str | None = None
    package: str | None = None
    test: str | None = None
    elapsed: float | None = None
    output: str | None = None
    import_path: str | None = None


_LINE = msgspec.json.Decoder(_Line, strict=False)

BEGINS = r"\{"
"""How such a line begins."""


@dataclass
class _Reading:
    run: Run = field(default_factory=Run)
    started: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    unbuilt: dict[str, None] = field(default_factory=dict)
    begun: dict[str, None] = field(default_factory=dict)
    bad: int = 0

    def take(self, line: _Line) -> None:
        """Take in one line."""
        package = line.package or ""
        if line.package is not None:
            self.begun[package] = None
        if line.action == "build-fail":
            self.unbuilt[line.import_path or package] = None
        elif line.test is None:
            self._package(package, line.action)
        elif line.action == "run":
            self.started[package, line.test] = []
        elif line.action == "output":
            self._output((package, line.test), line.output or "")
        elif line.action in _STATUSES:
            self._ended(package, line.test, _STATUSES[line.action], line.elapsed)

    def _package(self, package: str, action: str | None) -> None:
        if action in _STATUSES:
            self.begun.pop(package, None)
        if action == "fail" and package not in self.failed:
            self.unbuilt[package] = None

    def _output(self, key: tuple[str, str], text: str) -> None:
        rows = self.started.get(key)
        known = text.lstrip().startswith(("=== ", "--- "))
        if rows is not None and not known and len(rows) < _MESSAGE_LINES:
            rows.append(first_part(text, _OUTPUT_LIMIT))

    def _ended(self, package: str, test: str, status: Status, elapsed: float | None) -> None:
        rows = self.started.pop((package, test), [])
        if status == "failed":
            self.failed.add(package)
        message = "".join(rows).strip() if status != "passed" else None
        seconds = round(elapsed * 1000, 3) if elapsed is not None and elapsed >= 0 else None
        self.run.add(to_case(to_name(package, test), status, seconds, message))

    def finish(self) -> Run:
        """Give the tests, with those that were started only."""
        for package, test in self.started:
            self.run.add(to_case(to_name(package, test), "other", None, "did not finish"))
        self.run.doubts += doubts(len(self.started), list(self.unbuilt))
        silent = self.begun.keys() - {package for package, _ in self.started}
        if silent:
            more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
            self.run.doubts.append(f"{min(silent)}{more} did not end: the log may be cut off")
        if self.bad:
            many = "1 line" if self.bad == 1 else f"{self.bad} lines"
            self.run.doubts.append(f"{many} could not be read")
        return self.run


def to_name(package: str, test: str) -> str:
    """Join the package and the test, subtests and all."""
    return f"{package}/{test}" if package else test


def doubts(unfinished: int, failed: list[str]) -> list[str]:
    """Say what the list of Go's tests cannot say: tests without an end, packages without tests."""
    found = []
    if unfinished:
        found.append(f"{unfinished} test{'s' if unfinished > 1 else ''} did not finish")
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        found.append(f"{failed[0]}{more} failed without a failed test: it may not have been built")
    return found


def recognises(content: bytes) -> bool:
    """Tell by its words whether a file may hold such lines."""
    return b'"Action":' in content and (b'"Package":' in content or b'"ImportPath":' in content)


def read(source: Source, path: str) -> Run | None:
    """Read a file of such lines; None when it holds none."""
    output, cut = read_output(source, path, REPORT_LIMIT)
    run = _to_run(output.lines)
    if run is not None and cut:
        run.doubts.append("the report was too long: its middle was not read")
    return run


def recognises_text(text: str) -> bool:
    """Tell by its words whether an output may hold such lines."""
    return '"Action":' in text


def from_lines(lines: Iterable[str]) -> Tests | None:
    """Find such lines among other output."""
    run = _to_run(lines)
    return joined_report([run], "go_json") if run else None


def _to_run(lines: Iterable[str]) -> Run | None:
    reading, seen = _Reading(), False
    for line in lines:
        if not line.startswith("{") or '"Action":' not in line:
            continue
        try:
            value, _ = decode(line.encode("utf-8", "replace"), _LINE)
        except Malformed:
            reading.bad += 1
            continue
        seen = seen or value.package is not None or value.import_path is not None
        reading.take(value)
    return reading.finish() if seen else None
