"""Homes, folders and disks that take nothing, and few files and processes: each ends as it should.

The places are made by limited_places.py, each command in each of them once.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aggregated import EXAMPLES

TESTS = Path(__file__).parent
COMMANDS = ("aggregate", "compare", "store", "redact", "redact job", "record")
FAILS = {
    "read-only home": {"store"},
    "home that is a file": {"store"},
    "home that is nowhere": {"store"},
    "no temporary folder": set(),
    "read-only working folder": {"aggregate", "compare", "store", "redact", "redact job"},
    "full disk": {"aggregate", "compare", "store", "redact", "redact job"},
    "few open files": {"aggregate"},
    "one other process": set(),
    "no other process": {"aggregate"},
}
"""What cannot be done where. The store lies in the home, which lies in the working folder; a
program that records goes on and is warned; workers need files and processes."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], dict[str, Any]]:
    """Runs of every command in every place."""
    done = subprocess.run(
        [sys.executable, TESTS / "limited_places.py"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["place"], row["command"]): row for row in rows}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", FAILS)
def test_a_place_that_takes_nothing_stops_only_what_needs_it(
    found: dict[tuple[str, str], dict[str, Any]], place: str, command: str
) -> None:
    if place == "one other process" and os.geteuid():
        pytest.skip("who runs the tests has others")
    run = found[place, command]
    if run["code"] == 77:
        pytest.skip(run["said"])
    assert "Traceback" not in run["said"]
    assert run["left"] == []
    if command in FAILS[place]:
        assert run["code"] == 1
        assert run["said"].startswith("Error: ")
        assert "\n  " in run["said"]
    elif command == "record" and not run["usual"]:
        assert run["code"] == 0
        assert "RecordingWarning" in run["said"]
    else:
        assert (run["code"], run["usual"]) == (0, command != "store")


def test_numbers_are_computed_where_no_thread_may_be_started(tmp_path: Path) -> None:
    # In a new program: the threads of OpenBLAS are started once, when it is loaded.
    command = [sys.executable, "-m", "evaltrace", "compare", "-q", "-o", "-", "--format", "json"]
    if not os.geteuid():  # whom no limit binds
        caps = "+dac_read_search"  # Python itself may lie in a home that is root's
        nobody = str(1_000_000 + os.getpid())  # who has no other processes
        user = ["--reuid", nobody, "--regid", nobody, "--clear-groups"]
        command = ["setpriv", *user, "--inh-caps", caps, "--ambient-caps", caps, *command]
    if shutil.which(command[0]) is None:
        pytest.skip("no setpriv")
    done = subprocess.run(
        [*command, EXAMPLES / "baseline", EXAMPLES / "with-codesearch"],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"},
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)),
    )
    assert done.returncode == 0, done.stderr
    assert "treatment" in done.stdout
