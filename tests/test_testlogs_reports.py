"""Structured test reports: CTRF, JUnit XML, JSON of jest and of go test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaltrace import trace as tr
from evaltrace.source import Source
from evaltrace.testlogs import find_tests, read_tests
from evaltrace.testlogs.lines import Output
from testlogs import (
    FIXTURES,
    GO,
    JEST,
    PYTEST,
    codes,
    counts,
    fixture,
    folder_of,
    messages,
    read,
    statuses,
)

# CTRF.


def ctrf(tmp_path: Path, results: Any) -> tuple[Any, set[str]]:
    source = folder_of(tmp_path, ctrf__json=json.dumps({"results": results}))
    return read(source), codes(source)


def test_statuses_are_counted_as_the_cases_are(tmp_path: Path) -> None:
    words = ["passed", "failed", "failed", "skipped", "pending", "other", "flaky", None]
    tests = [{"name": f"t{n}", "status": word} for n, word in enumerate(words)]
    found, _ = ctrf(tmp_path, {"summary": {"tests": 99, "passed": 99}, "tests": tests})
    assert counts(found) == (8, 1, 2, 2)
    assert found.summary.other == 3
    assert found.doubt == "the report's counts say 99 tests, 8 were listed"


def test_a_report_that_agrees_with_itself_is_not_doubted(tmp_path: Path) -> None:
    tests = [{"name": "a", "status": "passed"}, {"name": "b", "status": "failed"}]
    found, _ = ctrf(tmp_path, {"summary": {"tests": 2, "passed": 1, "failed": 1}, "tests": tests})
    assert found.doubt is None
    found, _ = ctrf(tmp_path, {"summary": {"tests": 2, "passed": 2, "failed": 0}, "tests": tests})
    assert found.doubt == "the report's counts say 0 failed, 1 were listed so"


@pytest.mark.parametrize(
    ("test", "milliseconds"),
    [
        ({"duration": 5}, 5.0),
        ({"duration": 5, "start": 1763593002247}, 5.0),
        ({"duration": 0.007, "start": 1763593002.247}, 7.0),  # pytest's reporter: seconds
        ({"duration": 0, "start": 0}, 0.0),
        ({"duration": "12.5"}, 12.5),
        ({"duration": -5}, None),
        ({}, None),
    ],
)
def test_durations_in_seconds_or_milliseconds(
    tmp_path: Path, test: dict[str, Any], milliseconds: float | None
) -> None:
    found, _ = ctrf(tmp_path, {"tests": [{"name": "t", "status": "passed", **test}]})
    assert found.cases[0].duration_ms == milliseconds


def test_message_else_trace(tmp_path: Path) -> None:
    tests = [{"message": "m", "trace": "t"}, {"trace": "t" * 20_000}, {"message": ""}]
    named = [{"name": f"t{n}", **test} for n, test in enumerate(tests)]
    found, _ = ctrf(tmp_path, {"tests": named})
    first, second, third = (case.message for case in found.cases)
    assert (first, third) == ("m", None)
    assert second is not None
    assert len(second) < 9000


def test_one_odd_test_does_not_cost_the_others(tmp_path: Path) -> None:
    odd: list[Any] = [{"name": "a", "status": "passed", "duration": {}}, 7, {"name": ["b"]}]
    tests = [*odd, {"name": "c", "status": "failed"}]
    found, seen = ctrf(tmp_path, {"tests": tests})
    assert list(statuses(found).items()) == [
        ("a", "passed"),
        ("unnamed", "other"),
        ("c", "failed"),
    ]
    assert seen == {"malformed_tests"}


def test_counts_stand_in_where_no_tests_are_listed(tmp_path: Path) -> None:
    summary = {"tests": 9, "passed": 4, "failed": 2, "skipped": 1, "pending": 2, "other": 0}
    found, _ = ctrf(tmp_path, {"summary": summary})
    assert (counts(found), found.summary.other, found.cases) == ((9, 4, 2, 3), 0, [])
    assert found.doubt == "the report's counts say 9 tests, 0 were listed"


@pytest.mark.parametrize("results", [None, {}, [], {"summary": {}}, {"summary": {"tests": -1}}])
def test_a_report_without_tests_is_none(tmp_path: Path, results: Any) -> None:
    assert ctrf(tmp_path, results)[0] is None


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty_json"), ("{", "malformed_json"), ("[]", "wrong_shape"), ("x", "malformed_json")],
)
def test_a_broken_report_is_a_problem(tmp_path: Path, text: str, code: str) -> None:
    source = folder_of(tmp_path, ctrf__json=text)
    assert read(source) is None
    assert [problem.code for problem in source.problems] == [code]


def test_suites_tell_tests_of_one_name_apart(tmp_path: Path) -> None:
    tests = [
        {"name": "works", "status": "passed", "suite": "a", "filePath": "x.js"},
        {"name": "works", "status": "failed", "suite": ["b", "c"]},
        {"name": "alone", "status": "passed", "suite": "a"},
    ]
    found, _ = ctrf(tmp_path, {"tests": tests})
    assert list(statuses(found)) == ["x.js > a > works", "b > c > works", "alone"]
    assert found.doubt is None


def test_the_last_result_of_one_name_counts(tmp_path: Path) -> None:
    tests = [{"name": "t", "status": word} for word in ("failed", "passed")]
    found, _ = ctrf(tmp_path, {"summary": {"tests": 2, "passed": 1}, "tests": tests})
    assert (statuses(found), counts(found)) == ({"t": "passed"}, (1, 1, 0, 0))
    assert found.doubt == "1 test is there more than once: its last result counts"


def test_ctrf_by_another_name(tmp_path: Path) -> None:
    results = {
        "tool": {"name": "x"},
        "summary": {"tests": 1, "passed": 1},
        "tests": [{"name": "a", "status": "passed"}],
    }
    source = folder_of(tmp_path, ctrf___ctrf_report__json=json.dumps({"results": results}))
    found = read_tests(source, "verifier")
    assert found is not None
    assert (found[1], found[0].source) == ("verifier/ctrf/ctrf_report.json", "ctrf")


# JUnit XML.


def junit(tmp_path: Path, text: str | bytes) -> tuple[tr.Tests | None, set[str]]:
    source = folder_of(tmp_path, report__xml=text)
    return read(source), codes(source)


def test_pytest_names_are_those_that_it_prints(tmp_path: Path) -> None:
    tests, problems = junit(tmp_path, fixture("junit_pytest.xml"))
    assert (statuses(tests), counts(tests), problems) == (PYTEST, (8, 4, 2, 2), set())
    assert messages(tests) == {
        "tests/test_cart.py::TestTotals::test_sum[a [b] - c-d]": "assert 3 == 4",
        "tests/test_cart.py::test_network": "no network",
        "tests/test_cart.py::test_known_bug": "rounding",
        "tests/test_cart.py::test_fixture": "failed on setup",
    }
    assert tests is not None
    assert (tests.source, tests.doubt) == ("junit", None)
    assert tests.cases[1].duration_ms == 2


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ('classname="tests.test_a" name="test_x"', "tests/test_a.py::test_x"),
        ('classname="...tests.test_a" name="test_x"', "../tests/test_a.py::test_x"),
        ('classname="t.test_a.TestA.TestB" name="test_x"', "t/test_a.py::TestA::TestB::test_x"),
        ('classname="" name="tests.test_a"', "tests/test_a.py"),
        ('classname="t.test_a.weird" file="t/test_a.py" name="x"', "t/test_a.py::weird::x"),
    ],
)
def test_pytest_classes(tmp_path: Path, attributes: str, name: str) -> None:
    tests, _ = junit(tmp_path, f'<testsuite name="pytest"><testcase {attributes}/></testsuite>')
    assert statuses(tests) == {name: "passed"}


def test_gotestsum_names_are_those_of_go(tmp_path: Path) -> None:
    tests, _ = junit(tmp_path, fixture("junit_go.xml"))
    assert (statuses(tests), counts(tests)) == (GO, (5, 2, 2, 1))
    place = "example.com/shop/cart/TestAdd/large_sum"
    assert messages(tests)[place] == "cart_test.go:14: got 3, want 4"


def test_nested_suites_are_counted_once(tmp_path: Path) -> None:
    tests, _ = junit(tmp_path, fixture("junit_nested.xml"))
    assert statuses(tests) == {
        "total > adds": "passed",
        "total is zero": "passed",
        "cart > takes": "failed",
    }
    assert messages(tests) == {"cart > takes": "expected 3 to be 4 <!DOCTYPE x>"}
    assert tests is not None
    assert (tests.doubt, tests.cases[1].duration_ms) == (None, 1_000_500)


def test_all_reports_of_a_folder_are_one(tmp_path: Path) -> None:
    found = read_tests(Source(FIXTURES), "surefire")
    assert found is not None
    tests, path = found
    assert path == "surefire/TEST-shop.CartTest.xml and 1 other file"
    assert statuses(tests) == {
        "shop.CartTest.adds": "passed",
        "shop.CartTest.rounds": "failed",
        "shop.TillTest.opens": "passed",
        "shop.TillTest.closes": "skipped",
    }
    assert tests.doubt == "failed tests were run again: the last result counts"


def test_counts_of_attributes_that_disagree_are_a_doubt(tmp_path: Path) -> None:
    tests, _ = junit(tmp_path, '<testsuite tests="3" failures="0"><testcase name="a"/></testsuite>')
    assert counts(tests) == (1, 1, 0, 0)
    assert tests is not None
    assert tests.doubt == "the report's counts say 3 tests, 1 was listed"


def test_a_report_that_was_cut_off_keeps_its_first_tests(tmp_path: Path) -> None:
    text = fixture("junit_pytest.xml")
    tests, problems = junit(tmp_path, text[: text.index("test_known_bug")])
    assert len(statuses(tests)) == 4
    assert problems == {"malformed_tests"}
    assert tests is not None
    assert tests.doubt is not None
    assert "a report is cut off or broken" in tests.doubt


def test_control_characters_in_a_report_are_left_out(tmp_path: Path) -> None:
    body = b'<testcase name="a"><failure>\x1b[31mno \xff\x00</failure></testcase>'
    tests, problems = junit(tmp_path, b"<testsuite>" + body + b"</testsuite>")
    assert (statuses(tests), problems) == ({"a": "failed"}, set())


def test_entities_are_never_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE testsuite [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    tests, problems = junit(tmp_path, f'{bomb}<testsuite><testcase name="&b;"/></testsuite>')
    assert (tests, problems) == (None, {"malformed_tests"})
    wide = f'{bomb}<testsuite><testcase name="&b;"/></testsuite>'.encode("utf-16")
    assert junit(tmp_path, wide) == (None, {"malformed_tests"})


def test_no_file_is_read_for_an_entity(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    text = f'<!DOCTYPE testsuites [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    tests, _ = junit(tmp_path, f'{text}<testsuites><testcase name="&x;"/></testsuites>')
    assert tests is None


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE coverage SYSTEM "http://example.com/coverage.dtd"><coverage/>',
        "<coverage line-rate='1'/>",
        "<html><body>PASSED</body></html>",
    ],
)
def test_other_xml_is_passed_over(tmp_path: Path, text: str) -> None:
    assert junit(tmp_path, text) == (None, set())


def test_deep_nesting_is_read(tmp_path: Path) -> None:
    deep = "<testsuite>" * 50_000 + '<testcase name="a"/>' + "</testsuite>" * 50_000
    tests, _ = junit(tmp_path, deep)
    assert statuses(tests) == {"a": "passed"}


@pytest.mark.parametrize(
    ("attributes", "status"),
    [('status="run"', "passed"), ('status="notrun"', "skipped"), ('result="skipped"', "skipped")],
)
def test_tests_that_were_not_run(tmp_path: Path, attributes: str, status: str) -> None:
    tests, _ = junit(tmp_path, f'<testsuite><testcase name="a" {attributes}/></testsuite>')
    assert statuses(tests) == {"a": status}


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ('status="failed"', "failed"),
        ('status="FAIL"', "failed"),
        ('result="error"', "failed"),
        ('status="run" result="completed"', "passed"),
        ('status="run" result="skipped"', "skipped"),
        ('status="Success"', "passed"),
        ('status="inconclusive"', "other"),
    ],
)
def test_outcome_in_words_without_an_element(tmp_path: Path, attributes: str, status: str) -> None:
    tests, _ = junit(tmp_path, f'<testsuite><testcase name="a" {attributes}/></testsuite>')
    assert statuses(tests) == {"a": status}


def test_an_element_tells_more_than_a_word(tmp_path: Path) -> None:
    tests, _ = junit(
        tmp_path,
        '<testsuite><testcase name="a" status="failed"><failure message="no"/></testcase>'
        '<testcase name="b" status="odd"><skipped/></testcase></testsuite>',
    )
    assert (statuses(tests), messages(tests)) == ({"a": "failed", "b": "skipped"}, {"a": "no"})


@pytest.mark.parametrize(
    "place", ['classname="{}"', 'file="{}"', 'classname="s &gt; t" file="{}"', 'id="{}"']
)
def test_one_title_in_two_files_is_two_tests(tmp_path: Path, place: str) -> None:
    suites = [
        f'<testsuite name="{file}">'
        f'<testcase {place.format(file)} name="s &gt; t">{inner}</testcase>'
        f'<testcase name="alone in {file[0]}"/></testsuite>'
        for file, inner in (("a.ts", ""), ("b.ts", "<failure/>"))
    ]
    tests, _ = junit(tmp_path, f"<testsuites>{''.join(suites)}</testsuites>")
    assert statuses(tests) == {
        "a.ts > s > t": "passed",
        "b.ts > s > t": "failed",
        "alone in a": "passed",
        "alone in b": "passed",
    }
    assert tests is not None
    assert tests.doubt is None


@pytest.mark.parametrize("name", ["lolz", "testsuite"])
@pytest.mark.parametrize(
    "inner", ["", "[<!ENTITY a ']><html>'><!ELEMENT x ANY>]", "[<!-- <html> ' -->]"]
)
def test_a_document_type_is_judged_by_the_root_that_follows(
    tmp_path: Path, name: str, inner: str
) -> None:
    head = f"<?xml version='1.0'?><!DOCTYPE {name} {inner}>\n"
    refused = junit(tmp_path, head + '<x:testsuite xmlns:x="urn:x"><x:testcase/></x:testsuite>')
    assert refused == (None, {"malformed_tests"})
    assert junit(tmp_path, head + "<coverage><testsuite/></coverage>") == (None, set())


@pytest.mark.parametrize("opening", ["<!--", '"', "'", "<!-- -->", '""', "<", "<a:"])
def test_a_prolog_without_end_takes_no_time_without_end(tmp_path: Path, opening: str) -> None:
    text = "<!DOCTYPE testsuite [" + opening * (2**20 // len(opening))
    assert junit(tmp_path, text)[0] is None


# jest, go.


def test_jest_names_are_those_that_it_prints(tmp_path: Path) -> None:
    tests = read(folder_of(tmp_path, results__json=fixture("jest.json")))
    assert (statuses(tests), counts(tests)) == (JEST, (6, 3, 1, 2))
    assert statuses(find_tests(Output(fixture("jest.txt")))) == JEST
    assert tests is not None
    assert (tests.source, tests.doubt) == ("jest_json", None)
    assert messages(tests)["cart > takes 5 ms"] == (
        "Error: expected 3 to be 4\n    at cart.test.js:9:17"
    )


def test_jest_file_that_could_not_run(tmp_path: Path) -> None:
    report = json.loads(fixture("jest.json"))
    report["testResults"][1].update(assertionResults=[], name="/app/cart.test.js")
    report.update(numTotalTests=3, numPassedTests=2, numFailedTests=0)
    tests = read(folder_of(tmp_path, results__json=json.dumps(report)))
    assert tests is not None
    assert tests.doubt == "the tests of /app/cart.test.js could not be run"


def test_odd_tests_of_jest_do_not_cost_the_others(tmp_path: Path) -> None:
    report = json.loads(fixture("jest.json"))
    report["testResults"][0]["assertionResults"][0] = 7
    source = folder_of(tmp_path, results__json=json.dumps(report))
    assert statuses(read(source)) == {k: v for k, v in JEST.items() if k != "total > adds"}
    assert codes(source) == {"malformed_tests"}


def test_go_names_are_those_that_it_prints(tmp_path: Path) -> None:
    tests = read(folder_of(tmp_path, go__jsonl=fixture("go.jsonl")))
    assert statuses(tests) == GO
    assert statuses(find_tests(Output(fixture("go.txt")))) == GO
    assert messages(tests) == {
        "example.com/shop/cart/TestAdd/large_sum": "cart_test.go:14: got 3, want 4",
        "example.com/shop/cart/TestNet": "cart_test.go:30: no network",
    }
    assert tests is not None
    assert (tests.source, tests.doubt) == ("go_json", None)


def test_go_package_without_tests_that_failed(tmp_path: Path) -> None:
    lines = fixture("go.jsonl").splitlines()[:-2]
    broken = '{"Action":"fail","Package":"m/z","Elapsed":0}'
    tests = read(folder_of(tmp_path, go__jsonl="\n".join([*lines, broken, '{"Action": ']) + "\n"))
    assert statuses(tests)["example.com/shop/till/TestAdd"] == "other"
    assert tests is not None
    assert tests.doubt == (
        "1 test did not finish; m/z failed without a failed test: it may not have been built; "
        "1 line could not be read"
    )


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (0, None),
        (1, "example.com/shop/till did not end: the log may be cut off"),
        (2, "1 test did not finish"),
    ],
)
def test_go_log_cut_before_the_end_of_a_package(
    tmp_path: Path, cut: int, expected: str | None
) -> None:
    lines = fixture("go.jsonl").splitlines()
    tests = read(folder_of(tmp_path, go__jsonl="\n".join(lines[: len(lines) - cut]) + "\n"))
    assert tests is not None
    assert tests.doubt == expected


def jest_report(**changed: Any) -> str:
    rows = [{"title": "a", "status": "passed"}]
    file = {"name": "a.js", "status": changed.pop("status", "passed"), "assertionResults": rows}
    report = {"numTotalTests": 1, "numPassedTests": 1, "numFailedTests": 0, **changed}
    return json.dumps({**report, "testResults": [file]})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"success": True}, None),
        ({"success": False}, "the report says that the run failed, and no test of it did"),
        ({"numFailedTestSuites": 1}, "the report says that the run failed, and no test of it did"),
        ({"status": "failed", "success": False}, "a.js failed without a failed test"),
    ],
)
def test_jest_failures_outside_of_tests(
    tmp_path: Path, changed: dict[str, Any], expected: str | None
) -> None:
    tests = read(folder_of(tmp_path, results__json=jest_report(**changed)))
    assert tests is not None
    assert (statuses(tests), tests.doubt) == ({"a": "passed"}, expected)
