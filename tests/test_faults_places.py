"""Streams that are closed or full, homes and folders that are gone, odd languages and clocks."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aggregated import EXAMPLES
from evaltrace.aggregate import places

Done = subprocess.CompletedProcess[str]
SETTINGS = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Nowhere/Odd"},
    {"HOME": None, "TERM": None, "TZ": "UTC-14:37:11", "PYTHONIOENCODING": "ascii"},
]
BACKWARDS = """
import itertools, sys, time
ticks = itertools.count()
time.time = lambda: 1e9 - 86400.0 * next(ticks)  # a day back at each look
time.time_ns = lambda: int(time.time() * 1e9)
"""
CLOCKS = f"{BACKWARDS}from evaltrace.cli import main\nmain()\n"
RECORDING = f"""{BACKWARDS}
import evaltrace
with evaltrace.recording("demo", "fix", folder="rec") as run:
    with run.step("developer", "Write"):
        run.event("x", {{"number": 1}})
    run.event("x", {{"number": 2}})
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    for path in sorted((EXAMPLES / "baseline").glob("importer*")):
        shutil.copytree(path, folder / "job" / path.name)
    assert shell(folder, "$E aggregate job -o usual.json -q").returncode == 0
    return folder


def shell(folder: Path, command: str, **environment: str | None) -> Done:
    """Run a line of shell, in which $E is evaltrace, with an environment of its own."""
    own = {
        **os.environ,
        "E": f"{sys.executable} -m evaltrace",
        "EVALTRACE_REDACTION_KEY": "0" * 64,
        "EVALTRACE_CACHE": str(folder / "cache"),
        **environment,
    }
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={name: value for name, value in own.items() if value is not None},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    ["show usual.json >&-", "aggregate job -q -o - >/dev/full", "--version >/dev/full"],
)
def test_a_standard_output_that_takes_nothing_is_named(place: Path, command: str) -> None:
    done = shell(place, f"$E {command}")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Cannot write to standard output (")
    assert "Traceback" not in done.stderr


def test_without_any_stream_a_file_is_written_all_the_same(place: Path) -> None:
    done = shell(place, "$E aggregate job -o closed.json --no-cache --workers 2 <&- >&- 2>&-")
    assert done.returncode == 0
    assert (place / "closed.json").read_bytes() == (place / "usual.json").read_bytes()


@pytest.mark.parametrize("settings", SETTINGS)
def test_language_home_terminal_and_time_zone_change_nothing(
    place: Path, tmp_path: Path, settings: dict[str, str | None]
) -> None:
    output = tmp_path / "out.json"
    done = shell(place, f"$E aggregate job -q --no-cache -o {output}", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_bytes() == (place / "usual.json").read_bytes()


def test_a_clock_that_runs_backwards_changes_nothing(place: Path, tmp_path: Path) -> None:
    script = tmp_path / "backwards.py"
    script.write_text(CLOCKS)
    for _ in range(2):  # the second time with what the first kept
        command = f"{sys.executable} {script} aggregate job -q -o clock.json --cache {tmp_path}/c"
        done = shell(place, command)
        assert (done.returncode, done.stderr) == (0, "")
        assert (place / "clock.json").read_bytes() == (place / "usual.json").read_bytes()


def test_a_folder_that_is_gone_is_said(tmp_path: Path, place: Path) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && $E aggregate {place}/job -q"
    done = shell(tmp_path, command)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The working directory is gone\n")


def test_few_open_files_are_enough_and_a_strict_umask_is_kept(place: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "out.json"
    command = (
        f"ulimit -n 64 && umask 077 && $E aggregate job -q --no-cache --workers 20 -o {output}"
    )
    assert shell(place, command).returncode == 0
    assert output.read_bytes() == (place / "usual.json").read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (output.parent, output)] == [0o700, 0o600]


def test_a_machine_without_room_for_temporary_files_is_said_with_its_remedy(place: Path) -> None:
    done = shell(place, "ulimit -f 0 && $E query 'select 1' usual.json")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No usable temporary directory found")
    assert "\n  Name a folder that may be written to by TMPDIR." in done.stderr


def test_a_clock_that_runs_backwards_while_a_program_records_costs_no_event(
    tmp_path: Path,
) -> None:
    script = tmp_path / "recording.py"
    script.write_text(RECORDING)
    done = shell(tmp_path, f"{sys.executable} {script}")
    assert (done.returncode, done.stderr) == (0, "")
    [file] = (tmp_path / "rec").glob("*.json")
    trace = json.loads(file.read_text())
    assert [event["type"] for event in trace["events"]] == ["step", "x", "x"]
    starts = [event["started_at"] for event in trace["events"]]
    assert starts == sorted(starts)
    assert trace["metrics"]["durations"]["total_s"] >= 0


# Runs beside each other.


def test_a_new_folder_that_another_run_takes_for_dead_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    lock = fcntl.flock

    def lock_second(descriptor: int, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.glob(".evaltrace-*.parts"))
            raise BlockingIOError
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock_second)
    with places.temporary_parts(tmp_path / "out.json") as folder:
        mine = Path(folder.path)
        assert len(taken) == 1
        assert mine not in taken
        assert mine.is_dir()
