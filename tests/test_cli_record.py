"""`evaltrace record`: what is listed, and what is finished."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from click.testing import CliRunner

from evaltrace.cli import main
from evaltrace.record import recording
from recorders import forked, record_day, written


def abandon(folder: Path) -> None:
    def program() -> None:
        recording("agent", "abandoned", folder=folder).event("x")
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(program), 0)


def test_list_shows_each_recording_with_its_state(tmp_path: Path) -> None:
    record_day(tmp_path, None)
    abandon(tmp_path)
    running = recording("agent", "running", folder=tmp_path)
    done = CliRunner().invoke(main, ["record", "list", str(tmp_path)])
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [tuple(line[1:4]) for line in lines] == [
        ("pass", "10", "events"),
        ("abandoned", "1", "event"),
        ("running", "0", "events"),
    ]
    assert lines[2][0] == running.trace_id[:8]
    assert lines[2][4] == running.path.name
    assert "1 running, 1 abandoned, 1 finished" in done.stderr
    assert f"evaltrace record recover {tmp_path}\n" in done.stderr
    running.end()


def test_recover_finishes_what_is_abandoned(tmp_path: Path) -> None:
    abandon(tmp_path)
    dry = CliRunner().invoke(main, ["record", "recover", str(tmp_path), "--dry-run"])
    assert "Would finish 1 of 1 abandoned" in dry.stderr
    assert written(tmp_path) == []
    done = CliRunner().invoke(main, ["record", "recover", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (0, "Finished 1 of 1 abandoned\n")
    (trace,) = written(tmp_path)
    assert done.stdout == f"{trace['trace_id']}  cancelled  1 event\n"


def test_what_cannot_be_recovered_is_told_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / ".journals").mkdir()
    (tmp_path / ".journals" / "odd.jsonl").write_text("odd")
    done = CliRunner().invoke(main, ["record", "recover", str(tmp_path)])
    assert done.exit_code == 1
    assert "journal_unreadable: .journals/odd.jsonl" in done.stderr


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["record", "list", str(tmp_path / "no")])
    assert done.exit_code == 1
    assert "no such directory" in done.stderr
