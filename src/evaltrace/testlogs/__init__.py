"""Readers of the verifier's tests, one file per format, behind two tables of names.

A structured report is `recognises(content)` and `read(source, path) -> Run | None`, listed
in `reports.FORMATS`; an output in words is `recognises(text)` and
`from_lines(lines) -> Tests | None`, listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from evaltrace.source import Source, Text, path_in
from evaltrace.testlogs import (
    cargo_text,
    go_json,
    go_text,
    jest_json,
    jest_text,
    pytest_text,
    unittest_text,
)
from evaltrace.testlogs.cases import contradiction, doubted
from evaltrace.testlogs.lines import Output, read_output
from evaltrace.testlogs.reports import Found, read_reports
from evaltrace.trace import TestFormat, Tests


class _Printed(NamedTuple):
    """A format that runners print.

    `begins` is a pattern, and `indented` of what stands behind white space: without a line that
    begins so, or names a test with `::`, there is nothing. `recognises` tells more of the text of
    those lines; `from_lines` reads all lines, or (where the others do not matter to it) those.
    """

    begins: str
    recognises: Callable[[str], bool]
    from_lines: Callable[[Iterable[str]], Tests | None]
    indented: str = ""
    all_lines: bool = True


PRINTED_REPORTS: dict[TestFormat, _Printed] = {
    "jest_json": _Printed(
        jest_json.BEGINS, jest_json.recognises_text, jest_json.from_lines, all_lines=False
    ),
    "go_json": _Printed(
        go_json.BEGINS, go_json.recognises_text, go_json.from_lines, all_lines=False
    ),
}
"""Structured reports that a runner may print: trusted before its words."""

TEXTS: dict[TestFormat, _Printed] = {
    "pytest_text": _Printed(
        pytest_text.BEGINS,
        pytest_text.recognises,
        pytest_text.from_lines,
        pytest_text.INDENTED,
        all_lines=False,
    ),
    "unittest_text": _Printed(
        unittest_text.BEGINS,
        unittest_text.recognises,
        unittest_text.from_lines,
        unittest_text.INDENTED,
    ),
    "cargo_text": _Printed(
        cargo_text.BEGINS, cargo_text.recognises, cargo_text.from_lines, cargo_text.INDENTED
    ),
    "go_text": _Printed(go_text.BEGINS, go_text.recognises, go_text.from_lines, go_text.INDENTED),
    "jest_text": _Printed(
        jest_text.BEGINS, jest_text.recognises, jest_text.from_lines, jest_text.INDENTED
    ),
}
"""Readers of what runners print; of several in one output, the one with most tests counts."""

_FORMATS = [*PRINTED_REPORTS.values(), *TEXTS.values()]
_BEGINS = "|".join(dict.fromkeys(format.begins for format in _FORMATS))
_INDENTED = "|".join(format.indented for format in _FORMATS if format.indented)
_MARK = "::"

OUTPUTS = ("test-stdout.txt", "test-stderr.txt")
"""Where harnesses keep what the tests printed; unittest and jest print to standard error."""

_SUMMARY_SAYS = "the printed summary says"


def read_tests(
    source: Source, folder: str, known: Mapping[str, Text] | None = None
) -> Found | None:
    """Read the tests of a verifier's folder, and say which file they come from.

    `known` has outputs that were read already, by path.
    A report is trusted before a printed text; one that lists tests before mere counts.
    What the others say is compared with it: where they count otherwise, that is a doubt.
    """
    report = read_reports(source, folder)
    printed = _printed(source, folder, known or {})
    if report is not None and (report[0].cases or report[0].summary.total or not printed):
        for tests, _ in printed:
            doubted(report[0], contradiction(report[0].summary, tests.summary, _SUMMARY_SAYS))
        return report
    if not printed:
        return None
    best = max(printed, key=lambda found: _extent(found[0]))
    if report is not None:
        doubted(
            best[0],
            contradiction(best[0].summary, report[0].summary, f"the counts of {report[1]} are"),
        )
    for tests, path in printed:
        if path != best[1]:
            doubted(best[0], _of_other_output(best[0], tests, path))
    return best


def _printed(source: Source, folder: str, known: Mapping[str, Text]) -> list[Found]:
    paths = [path_in(folder, name) for name in OUTPUTS]
    read = [
        (_read_output(source, path, known.get(path)), path) for path in paths if source.exists(path)
    ]
    return [(tests, path) for tests, path in read if tests is not None]


def _of_other_output(best: Tests, other: Tests, path: str) -> list[str]:
    if best.source != other.source:
        return [f"{path} has tests of another runner too: {other.source}"]
    return contradiction(best.summary, other.summary, f"the printed summary of {path} says")


def _extent(tests: Tests) -> tuple[int, int]:
    return len(tests.cases), tests.summary.total or 0


def _read_output(source: Source, path: str, known: Text | None) -> Tests | None:
    output, cut = read_output(source, path, known=known)
    tests = find_tests(output)
    if tests is not None and cut:
        said = [tests.doubt] if tests.doubt else []
        tests.doubt = None
        doubted(tests, ["the output was too long: its middle was not read", *said])
    return tests


def find_tests(output: Output) -> Tests | None:
    """Find the tests in an output; None where no runner's shape is there."""
    telling = output.telling(_BEGINS, _MARK, _INDENTED)
    report, words = (_best(formats, output, telling) for formats in (PRINTED_REPORTS, TEXTS))
    if report is not None and words is not None:
        doubted(report, contradiction(report.summary, words.summary, _SUMMARY_SAYS))
    return report or words


def _best(formats: dict[TestFormat, _Printed], output: Output, telling: list[str]) -> Tests | None:
    text = "\n".join(telling)
    found = [
        tests
        for format in formats.values()
        if format.recognises(text)
        and (tests := format.from_lines(output.lines if format.all_lines else telling))
    ]
    best = max(found, key=_extent, default=None)
    others = [tests.source for tests in found if tests is not best]
    if best is not None and others:
        doubted(best, [f"the output has tests of other runners too: {', '.join(others)}"])
    return best
