"""An interrupt at any line of the command line ends it, with its exit code and without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each place is met in a fork")
@pytest.mark.parametrize("arguments", [["--version"], ["schema", "nope"]])
def test_an_interrupt_anywhere_ends_a_command_with_130(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, TESTS / "interrupted.py", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) > 20
    assert [row for row in rows if row["code"] != 130 or "Traceback" in row["said"]] == []
