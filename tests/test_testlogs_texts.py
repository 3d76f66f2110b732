"""What test runners print, read test by test."""

from __future__ import annotations

import pytest

from evaltrace import trace as tr
from evaltrace.testlogs import find_tests
from evaltrace.testlogs.lines import Output
from testlogs import GO, JEST, PYTEST, counts, fixture, messages, statuses


def found(text: str) -> tr.Tests | None:
    return find_tests(Output(text))


def doubt(tests: tr.Tests | None) -> str | None:
    assert tests is not None
    return tests.doubt


def run_of(names: str, word: str, line: str) -> str:
    return "".join(f"t/test_a.py::test_{name} {word}\n" for name in names) + f"{line} in 0.1s\n"


# pytest.


def test_pytest_names_each_test_once_though_it_prints_it_twice() -> None:
    tests = found(fixture("pytest_verbose.txt"))
    assert statuses(tests) == PYTEST
    assert counts(tests) == (8, 4, 2, 2)
    assert messages(tests)["tests/test_cart.py::TestTotals::test_sum[a [b] - c-d]"] == (
        "assert 3 == 4"
    )
    assert tests is not None
    assert (tests.source, tests.doubt) == ("pytest_text", None)


def test_pytest_short_summary_alone() -> None:
    _, heading, rest = fixture("pytest_verbose.txt").partition("=== short test")
    tests = found(heading + rest)
    # The skipped test has a place there, and no name.
    assert statuses(tests) == {k: v for k, v in PYTEST.items() if not k.endswith("network")}
    assert tests is not None
    assert tests.doubt == "the summary line says 8 tests, 7 were listed"
    assert counts(tests) == (8, 4, 2, 2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("5 passed in 0.12s", (5, 5, 0, 0)),
        ("=== 3 failed, 5 passed, 1 skipped, 2 warnings in 0.12s ===", (9, 5, 3, 1)),
        ("== 1 passed, 2 errors, 1 xfailed, 1 xpassed, 4 deselected in 1.5s ==", (5, 2, 2, 1)),
        ("=== 3 passed in 75.12s (0:01:15) ===", (3, 3, 0, 0)),
        ("=== 3 passed in 0.12 seconds ===", (3, 3, 0, 0)),
        ("=== no tests ran in 0.01s ===", (0, 0, 0, 0)),
    ],
)
def test_pytest_line_of_counts(line: str, expected: tuple[int, ...]) -> None:
    tests = found(f".....  [100%]\n{line}\n")
    assert counts(tests) == expected
    assert tests is not None
    assert tests.cases == []
    assert (tests.doubt is None) == (expected[0] == 0)


def test_pytest_module_that_cannot_be_collected() -> None:
    tests = found(
        "=== short test summary info ===\n"
        "ERROR tests/test_cart.py - ImportError: no module\n"
        "!!! Interrupted: 1 error during collection !!!\n"
        "=== 1 error in 0.10s ===\n"
    )
    assert statuses(tests) == {"tests/test_cart.py": "failed"}
    assert tests is not None
    assert tests.doubt == "the run stopped early (Interrupted: 1 error during collection)"


def test_pytest_output_that_ends_early_is_doubted() -> None:
    tests = found("tests/test_a.py::test_x PASSED   [ 50%]\ntests/test_a.py::test_y ")
    assert statuses(tests) == {"tests/test_a.py::test_x": "passed"}
    assert tests is not None
    assert tests.doubt == "there is no summary line: the run may not have ended"


def test_pytest_reruns_and_errors_of_teardown() -> None:
    tests = found(
        "t/test_a.py::test_x RERUN  [ 50%]\nt/test_a.py::test_x PASSED [ 50%]\n"
        "t/test_a.py::test_y PASSED [100%]\nt/test_a.py::test_y ERROR [100%]\n"
        "== 2 passed, 1 error, 1 rerun in 0.1s ==\n"
    )
    assert statuses(tests) == {"t/test_a.py::test_x": "passed", "t/test_a.py::test_y": "failed"}
    assert tests is not None
    assert tests.doubt is not None
    assert "1 test is there more than once" in tests.doubt


def test_pytest_with_workers() -> None:
    tests = found("[gw0] [ 50%] PASSED t/test_a.py::test_x[a b]\n== 1 passed in 0.1s ==")
    assert statuses(tests) == {"t/test_a.py::test_x[a b]": "passed"}


def test_message_after_the_status_of_a_custom_runner() -> None:
    tests = found("test_a.py::test_x FAILED AssertionError: f(1) == 2\ntest_a.py::test_y PASSED")
    assert messages(tests) == {"test_a.py::test_x": "AssertionError: f(1) == 2"}


@pytest.mark.parametrize(
    "why",
    [
        "xdist.dsession.Interrupted: stopping after 1 failures",
        "stopping after 1 failures",
        "_pytest.outcomes.Exit: enough",
        "KeyboardInterrupt",
    ],
)
def test_pytest_that_was_stopped_is_doubted(why: str) -> None:
    tests = found(f"t/test_a.py::test_x FAILED\n!!!!!! {why} !!!!!!\n== 1 failed in 0.1s ==\n")
    assert doubt(tests) == f"the run stopped early ({why})"


def test_pytest_that_failed_itself_is_doubted() -> None:
    run = run_of("x", "PASSED", "1 passed")
    assert doubt(found(run)) is None
    assert doubt(found(f"{run}INTERNALERROR> Traceback\nINTERNALERROR> KeyError\n")) == (
        "pytest had an internal error"
    )


def test_pytest_run_without_tests_among_others_is_doubted() -> None:
    empty = "== no tests ran in 0.01s ==\n"
    assert doubt(found(run_of("x", "PASSED", "1 passed") + empty)) == (
        "a run of pytest ran no tests"
    )
    missing = "ERROR: file or directory not found: tests/test_b.py\n"
    assert doubt(found(empty + missing)) == "tests that pytest was to run were not found"


@pytest.mark.parametrize("line", ["{} PASSED  [100%]", "[gw0] [100%] PASSED {}"])
def test_pytest_inherited_test_is_named_without_the_file_it_is_from(line: str) -> None:
    name = "t/test_a.py::TestX::test_a"
    tests = found(line.format(f"{name} <- t/test_main.py") + "\n== 1 passed in 0.1s ==\n")
    assert (statuses(tests), doubt(tests)) == ({name: "passed"}, None)
    odd = "t/test_a.py::test_a[x <- y]"
    assert statuses(found(line.format(odd))) == {odd: "passed"}


# unittest.


def test_unittest_with_docstrings_output_and_tracebacks() -> None:
    tests = found(fixture("unittest_verbose.txt"))
    place = "tests.test_cart.CartTest."
    assert statuses(tests) == {
        f"{place}test_add": "passed",
        f"{place}test_big": "passed",
        f"{place}test_loud": "passed",
        f"{place}test_old": "skipped",
        f"{place}test_sum": "failed",
        f"{place}test_known": "skipped",
        f"{place}test_open": "failed",
    }
    assert counts(tests) == (7, 3, 2, 2)
    assert messages(tests)[f"{place}test_sum"] == "AssertionError: 3 != 4"
    assert tests is not None
    assert (tests.source, tests.doubt) == ("unittest_text", None)


def test_unittest_that_is_not_verbose_names_its_failures() -> None:
    text = "..F.\n" + "=" * 70 + "\nFAIL: test_x (m.C.test_x)\n" + "-" * 70
    tests = found(f"{text}\nAssertionError\n\nRan 4 tests in 0.001s\n\nFAILED (failures=1)\n")
    assert statuses(tests) == {"m.C.test_x": "failed"}
    assert counts(tests) == (4, 3, 1, 0)
    assert tests is not None
    assert tests.doubt == "the summary line says 4 tests, 1 was listed"


def test_unittest_fails_a_test_once_for_all_its_subtests() -> None:
    heads = "".join(
        f"{'=' * 70}\nFAIL: test_x (m.C.test_x) (i={i})\n{'-' * 70}\nE\n\n" for i in (1, 2)
    )
    tests = found(
        "test_x (m.C.test_x) ... \n  test_x (m.C.test_x) (i=1) ... FAIL\n"
        f"  test_x (m.C.test_x) (i=2) ... FAIL\n\n{heads}"
        "Ran 1 test in 0.001s\n\nFAILED (failures=2)\n"
    )
    assert (statuses(tests), counts(tests)) == ({"m.C.test_x": "failed"}, (1, 0, 1, 0))


def test_unittest_set_up_of_a_class_is_no_test_of_its_count() -> None:
    tests = found(
        "setUpClass (m.C) ... ERROR\ntest_y (m.D.test_y) ... ok\n\n"
        "Ran 1 test in 0.001s\n\nFAILED (errors=1)\n"
    )
    assert statuses(tests) == {"m.C.setUpClass": "failed", "m.D.test_y": "passed"}
    assert counts(tests) == (2, 1, 1, 0)


# cargo.


def test_cargo_keeps_the_tests_of_crates_apart() -> None:
    tests = found(fixture("cargo.txt"))
    assert statuses(tests) == {
        "basket totals::adds": "passed",
        "basket totals::rounds": "failed",
        "basket totals::panics": "passed",
        "basket totals::slow": "skipped",
        "api totals::adds": "passed",
        "basket src/lib.rs - total (line 3)": "passed",
    }
    assert counts(tests) == (6, 4, 1, 1)
    assert "left == right" in (messages(tests)["basket totals::rounds"] or "")
    assert tests is not None
    assert (tests.source, tests.doubt) == ("cargo_text", None)


def test_cargo_crate_that_was_not_built() -> None:
    tests = found(fixture("cargo.txt") + "error: could not compile `till` (lib test) due to 1\n")
    assert tests is not None
    assert tests.doubt == "till was not built"


CRASHES = [
    "error: test failed, to rerun pass `-p till --lib`\n\nCaused by:\n"
    "  process didn't exit successfully: `x` (signal: 11, SIGSEGV: invalid memory reference)\n",
    "thread 'main' has overflowed its stack\nfatal runtime error: stack overflow\n",
    "",
]


@pytest.mark.parametrize("end", CRASHES)
def test_cargo_binary_that_crashed_before_its_first_result_is_not_lost(end: str) -> None:
    binary = "     Running unittests src/lib.rs (target/debug/deps/till-0123456789abcdef)\n\n"
    tests = found(f"{binary}running 2 tests\n{end}")
    assert counts(tests) == (2, None, None, None)
    assert doubt(tests) == "2 tests began, 0 ended, and there is no summary line"
    tests = found(f"{fixture('cargo.txt')}{binary}running 2 tests\n{end}")
    assert counts(tests) == (8, 4, 1, 1)
    assert doubt(tests) == "2 tests began, 0 ended, and there is no summary line"


def test_cargo_binary_that_crashed_is_followed_by_others() -> None:
    good = (
        "test a ... ok\n\n"
        "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
    )
    binary = "     Running tests/{}.rs (target/debug/deps/{}-0123456789abcdef)\n"
    tests = found(
        f"{binary.format('x', 'x')}running 3 tests\ntest a ... ok\n"
        f"{binary.format('y', 'y')}running 1 test\n{good}\n"
    )
    assert (statuses(tests), counts(tests)) == ({"x a": "passed", "y a": "passed"}, (4, 2, 0, 0))
    assert doubt(tests) == "3 tests began, 1 ended, and there is no summary line"


def test_cargo_that_says_that_tests_failed_without_a_failed_test() -> None:
    error = "error: test failed, to rerun pass `--test own_harness`\n"
    assert doubt(found(fixture("cargo.txt") + error)) is None  # one did
    text = (
        fixture("cargo.txt").replace("FAILED", "ok").replace("ok. 2 passed; 1", "ok. 3 passed; 0")
    )
    assert doubt(found(text)) is None
    assert doubt(found(text + error)) == "cargo says that tests failed, and none is listed"


def test_running_tests_of_another_program_is_no_cargo() -> None:
    assert found("running 2 tests\nhello\n") is None


def test_nextest_that_did_not_run_all() -> None:
    tests = found(
        "        FAIL [   0.004s] (1/5) basket totals::adds\n"
        "     Summary [   0.006s] 1/5 tests run: 0 passed, 1 failed, 0 skipped\n"
    )
    assert doubt(tests) == "only 1 of 5 tests were run"


def test_nextest_words_for_leaks_and_signals() -> None:
    words = ["LEAK", "SIGTERM", "SIGKILL", "ABORT", "XFAIL", "TIMEOUT"]
    rows = [f"  {word} [   0.004s] basket t{at}\n" for at, word in enumerate(words)]
    summary = (
        "Summary [ 0.006s] 6 tests run: 1 passed (1 leaky), 3 failed, 1 exec failed, 1 timed out"
    )
    tests = found(f"{''.join(rows)}     {summary}, 0 skipped\n")
    assert list(statuses(tests).values()) == ["passed", *["failed"] * 5]
    assert (counts(tests), doubt(tests)) == ((6, 1, 5, 0), None)


def test_nextest_lists_a_failure_again_at_the_end() -> None:
    tests = found(
        "        PASS [   0.005s] basket totals::adds\n"
        "        FAIL [   0.007s] basket totals::rounds\n"
        "     Summary [   0.010s] 2 tests run: 1 passed, 1 failed, 0 skipped\n"
        "        FAIL [   0.007s] basket totals::rounds\n"
    )
    assert statuses(tests) == {"basket totals::adds": "passed", "basket totals::rounds": "failed"}
    assert tests is not None
    assert tests.doubt is None


# go.


def test_go_names_tests_by_the_package_that_follows_them() -> None:
    tests = found(fixture("go.txt"))
    assert statuses(tests) == GO
    assert messages(tests) == {
        "example.com/shop/cart/TestAdd/large_sum": "cart_test.go:14: got 3, want 4",
        "example.com/shop/cart/TestNet": "cart_test.go:30: no network",
    }
    assert tests is not None
    assert (tests.source, tests.doubt) == ("go_text", None)


def test_go_without_v_says_what_it_does_not_list() -> None:
    tests = found(
        "--- FAIL: TestX (0.00s)\n    x_test.go:3: no\nFAIL\nFAIL\tm/x\t0.1s\n"
        "ok  \tm/y\t0.2s\nFAIL\tm/z [build failed]\nFAIL\n"
    )
    assert (statuses(tests), messages(tests)) == (
        {"m/x/TestX": "failed"},
        {"m/x/TestX": "x_test.go:3: no"},
    )
    assert tests is not None
    assert tests.doubt == (
        "m/z failed without a failed test: it may not have been built; "
        "2 packages did not list the tests that passed"
    )
    assert counts(tests) == (None, None, 1, None)  # how many passed is not known


def test_go_test_that_never_ended() -> None:
    tests = found("=== RUN   TestX\n--- PASS: TestX (0.0s)\n=== RUN   TestY\npanic: oh")
    assert statuses(tests) == {"TestX": "passed", "TestY": "other"}
    assert tests is not None
    assert tests.doubt is not None
    assert "1 test did not finish" in tests.doubt
    assert statuses(found("=== RUN   TestY\npanic: oh\nFAIL\tm\t0.1s")) == {"m/TestY": "failed"}


def test_go_failed_package_without_v_does_not_know_what_passed() -> None:
    tests = found("--- FAIL: TestX (0.00s)\n    x_test.go:3: no\nFAIL\nFAIL\tm/x\t0.1s\n")
    assert (statuses(tests), counts(tests)) == ({"m/x/TestX": "failed"}, (None, None, 1, None))
    assert doubt(tests) == "1 package did not list the tests that passed"


@pytest.mark.parametrize(("end", "word"), [("ok  ", "PASS"), ("FAIL", "FAIL")])
def test_go_result_after_output_without_an_end_of_line(end: str, word: str) -> None:
    tests = found(
        f"=== RUN   TestA\nloading... --- {word}: TestA (0.00s)\n"
        f"=== RUN   TestB\nhalf=== RUN   TestC\n--- PASS: TestC (0.00s)\n"
        f"more--- PASS: TestB (0.00s)\n{end}\tm/x\t0.1s\n"
    )
    status = "passed" if word == "PASS" else "failed"
    assert statuses(tests) == {"m/x/TestA": status, "m/x/TestB": "passed", "m/x/TestC": "passed"}
    assert doubt(tests) is None
    assert set(messages(tests).values()) == set()


def test_go_result_in_words_of_a_test_that_was_not_started() -> None:
    tests = found(
        "=== RUN   TestA\nI saw --- FAIL: TestB (0.00s)\n--- PASS: TestA (0.00s)\nok  \tm/x\t0.1s\n"
    )
    assert statuses(tests) == {"m/x/TestA": "passed"}


def test_go_started_test_of_a_good_package_is_not_lost() -> None:
    tests = found(
        "=== RUN   TestA\n=== RUN   TestB\n--- PASS: TestB (0.00s)\n"
        "=== RUN   BenchmarkA\nPASS\nok  \tm/x\t0.1s\n"
    )
    assert statuses(tests) == {"m/x/TestB": "passed", "m/x/TestA": "other"}
    assert doubt(tests) == "1 test of packages that passed have no result line"


# jest, vitest, mocha.


def test_jest_names_tests_by_their_describe_blocks() -> None:
    tests = found(fixture("jest.txt"))
    assert (statuses(tests), counts(tests)) == (JEST, (6, 3, 1, 2))
    assert (messages(tests)["cart > takes 5 ms"] or "").startswith("expect(received)")
    assert tests is not None
    assert [case.duration_ms for case in tests.cases] == [5, None, None, 1200, 2, None]
    assert (tests.source, tests.doubt) == ("jest_text", None)


def test_jest_that_lists_failures_only() -> None:
    tests = found(
        "FAIL ./a.test.js\n  ● one › two\n\n    Error: no\n\n"
        "FAIL ./b.test.js\n  ● Test suite failed to run\n\n    SyntaxError\n\n"
        "Test Suites: 2 failed, 2 total\nTests:       1 failed, 4 passed, 5 total\n"
    )
    assert (statuses(tests), counts(tests)) == ({"one > two": "failed"}, (5, 4, 1, 0))
    assert tests is not None
    assert tests.doubt == (
        "the tests of ./b.test.js could not be run; the summary line says 5 tests, 1 was listed"
    )


def test_same_name_in_two_files_is_two_tests() -> None:
    tests = found(
        "PASS a.test.js\n  ✓ works\nFAIL b.test.js\n  ✕ works\n\n"
        "Tests:       1 failed, 1 passed, 2 total\n"
    )
    assert statuses(tests) == {"a.test.js > works": "passed", "b.test.js > works": "failed"}
    assert tests is not None
    assert tests.doubt is None


def test_vitest() -> None:
    tests = found(fixture("vitest.txt"))
    assert statuses(tests) == {
        "total > adds": "passed",
        "total > of nothing > is zero": "passed",
        "total > of nothing > is never negative": "skipped",
        "cart > takes": "failed",
    }
    assert tests is not None
    assert (counts(tests), tests.doubt) == ((4, 2, 1, 1), None)


def test_mocha() -> None:
    tests = found(fixture("mocha.txt"))
    assert statuses(tests) == {
        "total > adds": "passed",
        "total > of nothing > is zero": "passed",
        "total > of nothing > is never negative": "skipped",
        "cart > takes 5 ms": "failed",
    }
    assert tests is not None
    assert (counts(tests), tests.doubt) == ((4, 2, 1, 1), None)


@pytest.mark.parametrize(("time", "failing"), [("1m", 0), ("2s", 1), ("3h", 1)])
def test_mocha_that_took_long(time: str, failing: int) -> None:
    rows = "  a\n    ✔ x (2001ms)\n" + "    1) y\n" * failing
    tests = found(f"\n{rows}\n\n  1 passing ({time})\n" + "  1 failing\n" * failing)
    assert (counts(tests), doubt(tests)) == ((1 + failing, 1, failing, 0), None)


VITEST = " ✓ src/a.test.ts > sum > adds 1ms\n\n{} Test Files  {}\n      Tests  1 passed (1)\n{}"


@pytest.mark.parametrize(
    ("before", "files", "after", "expected"),
    [
        ("", "1 passed (1)", "", None),
        ("", "1 failed | 1 passed (2)", "", "a test file failed without a failed test"),
        (
            " FAIL  src/b.test.ts [ src/b.test.ts ]\nError: no\n\n",
            "1 failed | 1 passed (2)",
            "",
            "the tests of src/b.test.ts could not be run",
        ),
        ("", "1 passed (1)", "     Errors  1 error\n", "there were errors outside of tests: 1"),
    ],
)
def test_vitest_failures_outside_of_tests(
    before: str, files: str, after: str, expected: str | None
) -> None:
    tests = found(VITEST.format(before, files, after))
    assert (counts(tests), doubt(tests)) == ((1, 1, 0, 0), expected)


@pytest.mark.parametrize(
    ("suites", "expected"),
    [
        ("1 failed, 1 total", None),
        ("1 failed, 1 passed, 2 total", None),
        ("2 skipped, 1 failed, 1 of 3 total", None),  # skipped files are not among those that ran
        ("1 failed, 1 of 9 total", "only 1 of 9 test files were run"),
        ("2 failed, 2 total", "a test file failed without a failed test"),
    ],
)
def test_jest_counts_of_files(suites: str, expected: str | None) -> None:
    tests = found(
        "FAIL a.test.js\n  ✕ one (2 ms)\n  ✕ two (2 ms)\n\n"
        f"Test Suites: {suites}\nTests:       2 failed, 2 total\n"
    )
    assert (counts(tests), doubt(tests)) == ((2, 0, 2, 0), expected)


# Several runs, several runners.


def test_of_a_run_before_and_one_after_the_last_counts() -> None:
    before, after = run_of("xy", "FAILED", "2 failed"), run_of("xy", "PASSED", "2 passed")
    tests = found(before + after)
    assert set(statuses(tests).values()) == {"passed"}
    assert counts(tests) == (2, 2, 0, 0)
    assert tests is not None
    assert tests.doubt == "2 tests are there more than once: the last result of each counts"


def test_runs_of_different_tests_add_up() -> None:
    tests = found(run_of("xy", "PASSED", "2 passed") + run_of("z", "FAILED", "1 failed"))
    assert counts(tests) == (3, 2, 1, 0)
    assert tests is not None
    assert tests.doubt is None


def test_a_second_run_of_some_tests_is_counted_by_the_list() -> None:
    tests = found(run_of("xy", "FAILED", "2 failed") + run_of("y", "PASSED", "1 passed"))
    assert counts(tests) == (2, 1, 1, 0)


def test_runs_that_list_nothing_are_not_added() -> None:
    tests = found("...\n3 passed in 0.1s\n..F\n1 failed, 2 passed in 0.1s\n")
    assert counts(tests) == (3, 2, 1, 0)
    assert tests is not None
    assert tests.doubt is not None
    assert "the counts are the last run's" in tests.doubt


def test_of_several_runners_the_one_with_most_tests_counts() -> None:
    tests = found(fixture("jest.txt") + run_of("x", "PASSED", "1 passed"))
    assert tests is not None
    assert tests.source == "jest_text"
    assert tests.doubt == "the output has tests of other runners too: pytest_text"


def test_a_report_among_the_output_is_trusted_before_its_words() -> None:
    tests = found(fixture("go.jsonl") + run_of("abcdefgh", "PASSED", "8 passed"))
    assert (tests and tests.source, statuses(tests)) == ("go_json", GO)
    line = fixture("jest.json").replace("\n", "")
    tests = found(f"npm notice\n{line}\n")
    assert (tests and tests.source, statuses(tests)) == ("jest_json", JEST)


def test_words_that_contradict_a_report_among_them_are_a_doubt() -> None:
    line = fixture("jest.json").replace("\n", "")
    assert doubt(found(f"{line}\n{fixture('jest.txt')}")) is None
    tests = found(f"{line}\nTests:       6 failed, 6 total\n")
    assert statuses(tests) == JEST
    assert doubt(tests) == "the printed summary says 6 tests, 0 passed, 6 failed"


# Around the lines.


@pytest.mark.parametrize("name", ["pytest_verbose.txt", "cargo.txt", "go.txt", "jest.txt"])
@pytest.mark.parametrize(
    "prefix", ["verifier-1  | ", "2026-01-01T00:00:00.1234567Z ", "tests | [2026-01-01 00:00:00] "]
)
def test_names_and_times_before_lines_change_nothing(name: str, prefix: str) -> None:
    text = fixture(name)
    assert found("".join(prefix + line for line in text.splitlines(True))) == found(text)


@pytest.mark.parametrize(
    "name", ["pytest_verbose.txt", "unittest_verbose.txt", "cargo.txt", "go.txt", "jest.txt"]
)
def test_colours_and_progress_change_nothing(name: str) -> None:
    text = fixture(name)
    coloured = "".join(
        f"10%\r50%\r\x1b[2K\x1b[1G\x1b[32m{line}\x1b[0m\r\n" for line in text.splitlines()
    )
    plain = found(text)
    tests = found(coloured)
    assert statuses(tests) == statuses(plain)
    assert counts(tests) == counts(plain)


PROSE = [
    "All tests PASSED and nothing FAILED.",
    "PASSED",
    "PASSED all 12 tests",
    "FAILED to fetch https://example.com/a.py::b - timeout",
    "I ran tests/test_a.py::test_x and it PASSED",
    "tests/test_a.py::test_x PASSED because I mended it",
    "tests/test_a.py::test_x FAILED before my change",
    "ERROR app.py - connection lost",
    "5 passed",
    "5 passed, 2 failed",
    "5 passed the exam in 3s",
    "- 5 passed in 0.1s",
    "OK",
    "Ran 12 tests in total",
    "setup (release) ... ok",
    "checking for gcc ... ok",
    "test result: everything went well",
    "test the thing ... ok",
    "test foo::bar ... ok",
    "--- PASS: the salt",
    "PASS",
    "ok  \tready",
    "✓ Done",
    "  ✓ built in 5ms",
    "Tests: 3 of them",
    "Tests are passing",
    "  5 passing trains",
    '{"Action": "pass"}',
]


@pytest.mark.parametrize("line", PROSE)
def test_prose_is_no_test(line: str) -> None:
    assert found(f"{line}\n") is None


def test_all_prose_together_is_no_test() -> None:
    assert found("\n".join(PROSE)) is None
