"""What may hold secrets is for its user alone, whatever the umask says."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaltrace import Cache, Store, aggregate_jobs, recording
from evaltrace.redact import read_key
from job_dirs import write_job
from traces import minimal_trace

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask that leaves everything open."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """List the files below a folder that others can get at, and those in open folders."""
    found = []
    for here, folders, names in os.walk(folder):
        if not os.stat(here).st_mode & OTHERS:
            folders.clear()
            continue
        found += [f"{here}/{name}" for name in names if _is_open(Path(here, name))]
    return sorted(os.path.relpath(path, folder) for path in found)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & OTHERS)


def test_what_is_open_to_others_is_seen(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("x")
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "file").write_text("x")
    tmp_path.chmod(0o755)
    assert open_to_others(tmp_path) == ["folder/file"]


def test_journals_of_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    with recording("coder", "fix", folder=folder) as run:
        run.event("message", text="x")
        [journal] = folder.glob(".journals/*.jsonl")
        assert not _is_open(journal)
        assert _is_open(journal.parent)  # others may record there too
    assert open_to_others(folder) == [run.path.name]


def test_a_store_and_what_lies_beside_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Store(tmp_path / "runs.db") as store:
        store.add(minimal_trace())
        store.backup(tmp_path / "copy.db")
        names = {path.name for path in tmp_path.iterdir()}
        assert {"runs.db", "runs.db-wal", "copy.db"} <= names
        assert open_to_others(tmp_path) == []
    assert open_to_others(tmp_path) == []


def test_a_store_that_somebody_opened_to_others_stays_open(tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    place.touch(0o660)
    with Store(place) as store:
        store.add(minimal_trace())
    assert stat.S_IMODE(place.stat().st_mode) == 0o660


def test_the_cache(tmp_path: Path) -> None:
    job, place = write_job(tmp_path, "job", ["one"]), tmp_path / "cache"
    place.mkdir(mode=0o755)
    aggregate_jobs(
        [job], tmp_path / "out.json", cache=Cache(place, clock=lambda: time.time_ns() + 10**10)
    )
    assert [path for path in place.rglob("*") if path.is_file()]
    assert open_to_others(place) == []


def test_the_key_of_redaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALTRACE_REDACTION_KEY", raising=False)
    read_key(tmp_path / "data")
    assert (tmp_path / "data" / "redaction.key").is_file()
    assert not _is_open(tmp_path / "data")
    assert not _is_open(tmp_path / "data" / "redaction.key")
