"""Which of several reports and outputs counts, and what no input can do to the readers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregated import the_trace, the_trial
from evaltrace.source import Source
from evaltrace.testlogs import PRINTED_REPORTS, find_tests, junit, read_tests, reports
from evaltrace.testlogs import TEXTS as OUTPUT_TEXTS
from evaltrace.testlogs.lines import (
    _LINE_END,
    _PREFIX,
    _RETURN,
    TEXT_LIMIT,
    Output,
    read_output,
)
from evaltrace.trace import TestFormat
from evaltrace.untrusted import printable
from job_dirs import Step, write_job
from testlogs import FIXTURES, GO, JEST, PYTEST, codes, counts, fixture, folder_of, read, statuses

CTRF = '{"results": {"tests": [{"name": "t", "status": "passed"}]}}'


def test_ctrf_counts_before_all_else(tmp_path: Path) -> None:
    files = {"ctrf__json": CTRF, "a__xml": fixture("junit_go.xml"), "test-stdout.txt": "x"}
    found = read_tests(folder_of(tmp_path, **files), "verifier")
    assert found is not None
    assert (found[0].source, found[1]) == ("ctrf", "verifier/ctrf.json")


def test_a_broken_ctrf_gives_way_to_the_next_report(tmp_path: Path) -> None:
    source = folder_of(tmp_path, ctrf__json='{"results": ', a__xml=fixture("junit_go.xml"))
    assert statuses(read(source)) == GO
    assert codes(source) == {"malformed_json"}


def test_a_list_counts_before_mere_counts(tmp_path: Path) -> None:
    bare = '{"results": {"summary": {"tests": 6, "passed": 6}}}'
    tests = read(folder_of(tmp_path, ctrf__json=bare, a__json=fixture("jest.json")))
    assert statuses(tests) == JEST
    assert tests is not None
    assert tests.doubt == "the counts of verifier/ctrf.json are 6 tests, 6 passed"


def test_a_report_counts_before_the_output(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path,
        out___junit__xml=fixture("junit_pytest.xml"),
        **{"test-stdout.txt": fixture("jest.txt")},
    )
    assert statuses(read(source)) == PYTEST


def test_an_empty_report_gives_way_to_the_output(tmp_path: Path) -> None:
    empty = '{"results": {"tests": []}}'
    source = folder_of(tmp_path, ctrf__json=empty, **{"test-stdout.txt": fixture("go.txt")})
    assert statuses(read(source)) == GO
    other = folder_of(tmp_path / "other", ctrf__json=empty)
    assert counts(read(other)) == (0, 0, 0, 0)


def test_standard_error_is_read_for_want_of_tests_in_the_output(tmp_path: Path) -> None:
    files = {"test-stdout.txt": "...\n", "test-stderr.txt": fixture("unittest_verbose.txt")}
    found = read_tests(folder_of(tmp_path, **files), "verifier")
    assert found is not None
    assert (found[0].source, found[1]) == ("unittest_text", "verifier/test-stderr.txt")


FAILED = "t/test_a.py::test_x FAILED\n== 1 failed in 0.1s ==\n"
PASSED = FAILED.replace("FAILED", "PASSED").replace("failed", "passed")
XML = '<testsuite><testcase name="t">{}</testcase></testsuite>'


@pytest.mark.parametrize(
    ("files", "best", "doubt"),
    [
        ({"ctrf__json": CTRF, "a__xml": XML.format("")}, "ctrf", None),
        (
            {"ctrf__json": CTRF, "a__xml": XML.format("<failure/>")},
            "ctrf",
            "the counts of verifier/a.xml are 1 test, 0 passed, 1 failed",
        ),
        ({"a__xml": XML.format(""), "test-stdout.txt": PASSED}, "junit", None),
        (
            {"a__xml": XML.format(""), "test-stdout.txt": FAILED},
            "junit",
            "the printed summary says 1 test, 0 passed, 1 failed",
        ),
        (
            {"ctrf__json": CTRF, "test-stderr.txt": FAILED},
            "ctrf",
            "the printed summary says 1 test, 0 passed, 1 failed",
        ),
        (
            {"ctrf__json": '{"results": {"tests": []}}', "test-stdout.txt": FAILED},
            "pytest_text",
            None,
        ),
        ({"test-stdout.txt": PASSED, "test-stderr.txt": PASSED}, "pytest_text", None),
        (
            {"test-stdout.txt": PASSED, "test-stderr.txt": FAILED},
            "pytest_text",
            "the printed summary of verifier/test-stderr.txt says 1 test, 0 passed, 1 failed",
        ),
        (
            {"test-stdout.txt": PASSED, "test-stderr.txt": fixture("unittest_verbose.txt")},
            "unittest_text",
            "verifier/test-stdout.txt has tests of another runner too: pytest_text",
        ),
    ],
)
def test_sources_that_contradict_each_other_are_a_doubt(
    tmp_path: Path, files: dict[str, str], best: str, doubt: str | None
) -> None:
    tests = read(folder_of(tmp_path, **files))
    assert tests is not None
    assert (tests.source, tests.doubt) == (best, doubt)


def test_nothing_is_none_without_a_problem(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path,
        reward__json='{"reward": 1, "results": [], "tests": []}',
        notes__json="{broken",
        page__xml="<html></html>",
        **{"test-stdout.txt": "All tests PASSED\n"},
    )
    assert (read_tests(source, "verifier"), source.problems) == (None, [])
    assert read_tests(source, "nowhere") is None


def test_files_without_end_are_not_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MAX_REPORTS", 1)
    source = folder_of(tmp_path, a__xml=fixture("junit_go.xml"), b__xml=fixture("junit_pytest.xml"))
    assert statuses(read(source)) == GO
    assert codes(source) == {"reports_left_out"}


def test_a_report_over_the_limit_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "REPORT_LIMIT", 100)
    source = folder_of(tmp_path, a__xml=fixture("junit_go.xml"))
    assert (read(source), codes(source)) == (None, {"too_large"})


def test_output_cut_for_its_length_is_doubted_and_its_broken_lines_left_out(
    tmp_path: Path,
) -> None:
    rows = "".join(f"tests/test_a.py::test_{n:06} PASSED\n" for n in range(150_000))
    source = folder_of(tmp_path, **{"test-stdout.txt": rows + "== 150000 passed in 9.0s ==\n"})
    tests = read(source)
    assert tests is not None
    assert len(rows) > TEXT_LIMIT
    assert all(len(case.name) == len("tests/test_a.py::test_000000") for case in tests.cases)
    assert 0 < len(tests.cases) < 150_000
    assert tests.summary.passed == 150_000
    assert tests.doubt is not None
    assert tests.doubt.startswith("the output was too long: its middle was not read; ")


# In a trace.


def test_a_trace_names_file_and_doubt(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    folder = the_trial(job) / "verifier"
    (folder / "ctrf.json").unlink()
    (folder / "test-stdout.txt").write_text(fixture("go.txt") + "=== RUN   TestX\n")
    trace = the_trace(job)
    assert trace["sources"]["tests"] == "verifier/test-stdout.txt"
    assert trace["tests"]["source"] == "go_text"
    assert "1 test did not finish" in trace["tests"]["doubt"]


def test_steps_of_different_formats_are_joined(tmp_path: Path) -> None:
    job = write_job(
        tmp_path, "job", [{"task": "add-flag", "steps": [Step(name="a"), Step(name="b")]}]
    )
    folder = the_trial(job) / "steps/b/verifier"
    (folder / "ctrf.json").unlink()
    (folder / "test-stdout.txt").write_text("..\n2 passed in 0.1s\n")
    trace = the_trace(job)
    assert [case["name"] for case in trace["tests"]["cases"]] == ["a: test_flag"]
    assert trace["tests"]["summary"]["total"] == 3
    assert trace["tests"]["doubt"] == (
        "b: the summary line says 2 tests, 0 were listed; "
        "the steps have different formats: ctrf, pytest_text"
    )
    assert trace["sources"]["tests"] == (
        "steps/*/verifier/ctrf.json, steps/*/verifier/test-stdout.txt"
    )


# Whatever the input.

FILES = sorted(path for path in FIXTURES.rglob("*") if path.is_file())
TEXTS = [path.read_text() for path in FILES if path.suffix in (".txt", ".jsonl")]


def check(folder: Path, name: str, content: bytes) -> None:
    """Read a folder with one file; what is found has to hold together."""
    target = folder / ("test-stdout.txt" if name.endswith(".txt") else name)
    target.write_bytes(content)
    found = read_tests(Source(folder), "")
    if found is not None:
        tests, path = found
        assert path == target.name
        assert len({case.name for case in tests.cases}) == len(tests.cases)
        assert all(number is None or number >= 0 for number in counts(tests))
        assert all(case.name for case in tests.cases)
    target.unlink()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_beginning_of_a_file_can_be_read(tmp_path: Path, path: Path) -> None:
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        check(tmp_path, path.name, content[:size])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_changed_byte_can_be_read(tmp_path: Path, path: Path) -> None:
    content = path.read_bytes()
    for at in range(0, len(content), 11):
        for flip in (0x01, 0x20, 0x80, content[at]):
            check(
                tmp_path, path.name, content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :]
            )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([line for text in TEXTS for line in text.split("\n")])))
def test_lines_in_any_order_can_be_read(lines: list[str]) -> None:
    tests = find_tests(Output("\n".join(lines)))
    if tests is not None:
        assert len(statuses(tests)) == len(tests.cases)
        assert all(number is None or number >= 0 for number in counts(tests))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_of_anything_is_no_test(text: str) -> None:
    assert find_tests(Output(text)) is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["PASSED", "FAILED", "ok", "test", "tests", "in 3s", "5", "...", "a.py", "::", "✓", "-"]
        ),
        max_size=8,
    )
)
def test_words_of_runners_in_a_sentence_are_no_test(words: list[str]) -> None:
    assert find_tests(Output("the " + " ".join(words))) is None


@pytest.mark.parametrize(
    "opening", ["\x1b[2K", "\r", "\x1b[G", "(", "[", "::", " - ", "t/a.py::t["]
)
def test_lines_without_end_take_no_time_without_end(tmp_path: Path, opening: str) -> None:
    text = opening * (200_000 // len(opening))
    (tmp_path / "test-stdout.txt").write_text(text)
    output, cut = read_output(Source(tmp_path), "test-stdout.txt")
    assert (find_tests(output), cut) == (None, False)


def test_xml_that_is_large_and_flat(tmp_path: Path) -> None:
    rows = "".join(f'<testcase name="t{n}"/>' for n in range(20_000))
    (tmp_path / "a.xml").write_text(f"<testsuite>{rows}</testsuite>")
    run = junit.read(Source(tmp_path), "a.xml")
    assert run is not None
    assert len(run.cases) == 20_000


def test_a_printed_part_of_a_report_is_no_doubt(tmp_path: Path) -> None:
    (tmp_path / "verifier" / "raw").mkdir(parents=True)
    tests = [{"name": f"t{number}", "status": "passed"} for number in range(3)]
    report = json.dumps({"results": {"tests": tests}})
    (tmp_path / "verifier" / "ctrf.json").write_text(report)
    (tmp_path / "verifier" / "test-stdout.txt").write_text("== 1 passed in 0.1s ==\n")
    more = {"results": {"tests": [*tests, {"name": "t9", "status": "failed"}]}}
    (tmp_path / "verifier" / "raw" / "all.json").write_text(json.dumps(more))
    found = read_tests(Source(tmp_path), "verifier")
    assert found is not None
    assert (found[0].summary.total, found[0].doubt) == (3, None)


# What is passed over quickly.

_FORMATS = {**PRINTED_REPORTS, **OUTPUT_TEXTS}


@pytest.mark.parametrize("name", _FORMATS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_output_that_is_not_recognised_has_no_tests(
    name: TestFormat, data: st.DataObject
) -> None:
    known = [line for text in TEXTS for line in Output(text).lines]
    output = Output("\n".join(data.draw(st.lists(st.sampled_from(known), max_size=6))))
    format = _FORMATS[name]
    if format.from_lines(output.lines) is not None:
        assert format.recognises("\n".join(output.telling(format.begins, "::", format.indented)))


_BEFORE = ["", "web | ", "2026-01-02T03:04:05Z ", "web | [2026-01-02 03:04:05,1] ", "a|", "\t"]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_line_that_tells_something_is_passed_over(data: st.DataObject) -> None:
    known = st.sampled_from([line for text in TEXTS for line in text.split("\n")])
    line = st.tuples(st.sampled_from(_BEFORE), known, st.sampled_from(["", "  ", "\t"]))
    output = Output("\n".join(data.draw(st.lists(line.map("".join), max_size=6))))
    telling = re.compile(r"::|^(?:[=E]|  |\s+[a-z✓-])")
    given = output.telling("[=E]|  ", "::", "[a-z✓-]")
    assert list(filter(telling.search, given)) == list(filter(telling.search, output.lines))


def test_each_fixture_is_recognised_by_a_reader() -> None:
    found = [{n for n, row in _FORMATS.items() if row.recognises(text)} for text in TEXTS]
    assert all(found)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["\x1b[31m", "\x1b[0m", "\x1b", "[", "\x1b]0;t\x07", "\x9d", "\x9b1m", "\x1b[1G", "\r",
             "\n", "\r\n", "\t", " ", "a", "\u202e", "web | ", "2026-01-02T03:04:05Z ", "\x1b[K"]
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_lines_are_cleaned_as_the_whole_text_is(text: str) -> None:
    whole = printable(_RETURN.sub("\n", _LINE_END.sub("\n", text)))
    expected = [_PREFIX.sub("", line, count=1).rstrip() for line in whole.split("\n")]
    assert Output(text).lines == expected
