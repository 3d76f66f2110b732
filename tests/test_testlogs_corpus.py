"""Real outputs of test runners against the reports that were written beside them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from aggregated import CORPUS
from evaltrace.source import Source
from evaltrace.testlogs import ctrf, find_tests, junit, read_tests
from evaltrace.testlogs.lines import read_output
from testlogs import counts, statuses

LAB = sorted((CORPUS / "lab-dev").glob("jobs/**/verifier/ctrf.json"))
TOOL = sorted((CORPUS / "tool-ab-2026-08").glob("*/*/verifier"))
here = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")


@here
def test_words_and_report_agree_on_every_test() -> None:
    assert len(LAB) == 94
    for path in LAB:
        source = Source(path.parent)
        report = read_tests(source, "")
        words = find_tests(read_output(source, "test-stdout.txt")[0])
        assert report is not None
        assert report[0].source == "ctrf"
        assert statuses(words) == statuses(report[0]), path
        assert (report[0].doubt, source.problems) == (None, [])


@here
def test_words_where_there_is_no_report() -> None:
    found = {}
    for path in (CORPUS / "harbor-2025-11-claude-code").rglob("test-stdout.txt"):
        tests = find_tests(read_output(Source(path.parent), path.name)[0])
        assert tests is not None
        found[path.parents[1].name] = (tests.source, counts(tests), len(tests.cases), tests.doubt)
    assert found == {
        "draft_dp_96443054__fSr5gkt": ("pytest_text", (3, 3, 0, 0), 3, None),
        "run_2025-11-19__14-39-23": ("pytest_text", (5, 4, 1, 0), 5, None),
        "fix-async-worker-queue__gPApBGF": ("pytest_text", (11, 10, 1, 0), 11, None),
    }


@here
def test_logs_without_tests_have_none() -> None:
    for name in ("harbor-2026-02-smoke", "harbor-2026-02-codex-effort"):
        for path in (CORPUS / name).rglob("verifier"):
            source = Source(path.parent)
            assert (read_tests(source, "verifier"), source.problems) == (None, [])


@here
@pytest.mark.parametrize("folder", TOOL, ids=lambda path: path.parent.name)
def test_junit_reports_are_read_as_they_were_converted(folder: Path) -> None:
    """Compare JUnit reports with the CTRF reports that a converter made of them."""
    source = Source(folder)
    paths = list(source.walk("reports"))
    runs = [junit.read(source, path) for path in paths if path.endswith(".xml")]
    for run in runs:
        assert run is not None
        assert run.counts is not None
        failed = Counter(case.status for case in run.cases.values())["failed"]
        assert (run.listed, failed) == (run.counts.total, run.counts.failed)
    converted = [ctrf.read(source, path) for path in paths if path.endswith("-ctrf.json")]
    if converted:
        assert sum(run.listed for run in runs if run) == sum(run.listed for run in converted if run)
    assert source.problems == []
