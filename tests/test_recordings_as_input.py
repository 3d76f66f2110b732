"""A folder of recordings is read as a file of traces is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from evaltrace.errors import NotATraceFile
from evaltrace.files import read_documents, read_traces
from evaltrace.record import recording


@pytest.fixture
def evaltrace(warm_evaltrace: Path) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        command = [warm_evaltrace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of two finished runs, beside one that still runs."""
    place = tmp_path / "live"
    for task, reward in (("port", 0.5), ("fix", 1)):
        with recording("dev", task, folder=place) as run:
            run.reward(reward)
    recording("dev", "running", folder=place)
    return place


def test_finished_runs_are_read_by_name(folder: Path) -> None:
    assert [trace.task.name for trace in read_traces(folder)] == ["fix", "port"]
    found = list(read_documents(folder))
    assert [kind for _, kind, _ in found] == ["trace", "trace"]
    assert found[0][0].startswith("trace_dev_fix_")


def test_a_broken_one_is_named(folder: Path) -> None:
    (folder / "trace_zzz.json").write_text("{")
    with pytest.raises(NotATraceFile, match=r"trace_zzz\.json"):
        list(read_traces(folder))
    assert [kind for _, kind, _ in read_documents(folder)] == ["trace", "trace", "malformed"]


def test_commands_take_the_folder(
    evaltrace: Callable[..., str], folder: Path, tmp_path: Path
) -> None:
    assert "fix__" in evaltrace("show", str(folder))
    evaltrace("validate", str(folder))
    store = str(tmp_path / "runs.db")
    evaltrace("store", "add", str(folder), "--store", store)
    assert len(list(read_traces(store))) == 2
    question = "SELECT sum(reward) AS reward FROM trials"
    answered = evaltrace("query", question, str(folder), "--format", "json")
    assert json.loads(answered) == [{"reward": 1.5}]
    compared = json.loads(evaltrace("compare", str(folder), f"b={folder}", "--format", "json"))
    assert compared["denominators"]["treatment"]["valid"] == 2
