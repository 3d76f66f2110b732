"""Every operation on a file can fail, and every one can be the last before a kill.

A sample; benchmarks/faults.py runs them all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
SAMPLE = 6
SCENARIOS = ("aggregate_archive", "aggregate_parquet", "store_new", "redact_file")
REASONS = {"ENOSPC": "No space left", "EIO": "Input/output", "EACCES": "Permission denied"}


def runs(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, TESTS / "fault_runs.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    """Runs with a fault each, of every scenario here and of every kind."""
    return runs(*SCENARIOS, "--sample", str(SAMPLE))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_costs_no_earlier_output_and_leaves_no_part(
    found: list[dict[str, Any]], scenario: str
) -> None:
    own = [run for run in found if run["scenario"] == scenario]
    assert [run for run in own if run["faults"]] == []
    assert len(own) == SAMPLE


def test_failures_are_told_with_their_reason_and_place(found: list[dict[str, Any]]) -> None:
    told = [run["said"] for run in found if run["kind"] in REASONS and run["code"] == 1]
    assert told
    for said in told:
        assert said.startswith("Error: ")
        assert any(reason in said for reason in REASONS.values())
        assert any(name in said for name in ("traces.", "runs.db", "shared.json"))


def test_the_harness_notices_a_file_that_is_not_written_whole() -> None:
    careless = runs("careless", "--kinds", "ENOSPC,SIGKILL,SIGTERM+")
    faults = Counter(fault for run in careless for fault in run["faults"])
    assert faults["torn: ['out.txt']"] > 2
    assert {-9, -15} <= {run["code"] for run in careless}


def test_an_interrupt_while_a_folder_is_removed_waits_until_it_is_gone() -> None:
    interrupted = runs("removal", "--kinds", "SIGINT,SIGINT+")
    assert {run["code"] for run in interrupted} == {130}
    assert [run for run in interrupted if run["faults"]] == []


def test_a_folder_that_is_there_for_a_while_goes_as_soon_as_it_was_made() -> None:
    arguments = ("--kinds", "SIGINT+", "--operations", "mkdir", "flock")
    interrupted = runs("aggregate_workers", *arguments)
    assert len(interrupted) > 3
    assert [run for run in interrupted if run["faults"]] == []
