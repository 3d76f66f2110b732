"""The warm `evaltrace` of other tests does what the installed one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSTALLED = Path(sys.executable).with_name("evaltrace")


def outcome(program: Path, line: str, folder: Path) -> tuple[int, str, str]:
    """Run a line in a folder; give exit code, output and messages, without the folder's name."""
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"EVALTRACE_STORE": "none.db", "COLUMNS": "70"}
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr.replace(str(folder), "FOLDER")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("evaltrace schema list", 0),
        ("evaltrace aggregate", 2),
        ("evaltrace show none.json", 1),
        ("evaltrace store sessions", 1),
        ("umask 027; evaltrace schema show trace > out; stat -c %a out", 0),
        ("echo '{}' > broken.json; evaltrace validate broken.json", 1),
        ("evaltrace schema show trace | head -n 2", 0),
    ],
)
def test_same_exit_code_output_and_messages(
    tmp_path: Path, warm_evaltrace: Path, line: str, code: int
) -> None:
    (tmp_path / "warm").mkdir()
    (tmp_path / "installed").mkdir()
    warm = outcome(warm_evaltrace, line, tmp_path / "warm")
    assert warm == outcome(INSTALLED, line, tmp_path / "installed")
    assert warm[0] == code
    assert warm[1] + warm[2]
