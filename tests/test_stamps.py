"""What a source has looked at: whatever changes a trace changes a stamp."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregated import EXAMPLES, edit_result, the_trial
from evaltrace.readers.harbor import TrialFiles, open_trial, read_job, read_trace
from evaltrace.source import Source, Stamp, stamp_of
from job_dirs import write_job


def now(root: Path, stamps: dict[str, Stamp]) -> dict[str, Stamp]:
    return {path: stamp_of(root / path) for path in stamps}


def changed(root: Path, stamps: dict[str, Stamp]) -> set[str]:
    return {path for path, stamp in now(root, stamps).items() if stamp != stamps[path]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "job"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "one.txt").write_text("one")
    (root / "a" / "two.txt").write_text("two")
    return root


def test_folders_that_were_listed_and_files_that_were_opened_are_stamped(tree: Path) -> None:
    source = Source(tree)
    assert source.looked_at == {}
    assert source.read("a/one.txt") == b"one"
    stamps = source.looked_at
    assert {path: stamp.kind for path, stamp in stamps.items()} == {
        "": "dir",
        "a": "dir",
        "a/one.txt": "file",
    }
    assert stamps["a/one.txt"].size == 3
    assert changed(tree, stamps) == set()


CHANGES: dict[str, Callable[[Path], object]] = {
    "": lambda root: (root / "new").mkdir(),
    "a": lambda root: (root / "a" / "two.txt").unlink(),
    "a/one.txt": lambda root: (root / "a" / "one.txt").write_text("more"),
    "a/b": lambda root: (root / "a" / "b" / "new.txt").write_text(""),
}


@pytest.mark.parametrize("place", CHANGES)
def test_each_change_shows_in_the_stamp_of_its_place(tree: Path, place: str) -> None:
    source = Source(tree)
    source.read("a/one.txt")
    source.files("a/b")
    CHANGES[place](tree)
    assert changed(tree, source.looked_at) == {place}


def test_a_file_of_the_same_size_and_time_is_another_one(tree: Path) -> None:
    source = Source(tree)
    source.read("a/one.txt")
    path = tree / "a" / "one.txt"
    times = path.stat()
    path.write_text("eno")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert changed(tree, source.looked_at) == {"a/one.txt"}


def test_a_size_that_was_asked_for_is_stamped(tree: Path) -> None:
    source = Source(tree)
    assert source.size("a/two.txt") == 3
    assert source.looked_at["a/two.txt"] == stamp_of(tree / "a/two.txt")


def test_a_link_is_stamped_with_what_it_leads_to_though_it_was_only_listed(tree: Path) -> None:
    (tree / "to_file").symlink_to("a/one.txt")
    (tree / "to_nothing").symlink_to("a/b/later")
    (tree / "out").symlink_to(tree.parent / "outside")
    source = Source(tree)
    source.files()
    stamps = source.looked_at
    assert stamps["to_file"] == stamp_of(tree / "a/one.txt")
    assert stamps["to_nothing"] == stamps["out"] == Stamp("absent")
    (tree / "a" / "b" / "later").touch()
    (tree.parent / "outside").touch()
    assert changed(tree, stamps) == {"to_nothing", "out"}


def test_a_place_that_is_not_there_is_absent_until_it_is(tmp_path: Path) -> None:
    source = Source(tmp_path / "gone")
    assert not source.has("task.toml")
    assert source.looked_at == {"": Stamp("absent")}
    (tmp_path / "gone").mkdir()
    assert changed(tmp_path / "gone", source.looked_at) == {""}


def test_of_what_was_unreadable_no_stamp_is_ever_the_same(tree: Path) -> None:
    source = Source(tree)
    assert source.has("a/one.txt")
    (tree / "a" / "one.txt").unlink()
    os.mkfifo(tree / "a" / "one.txt")
    assert source.read("a/one.txt") is None
    assert source.looked_at["a/one.txt"] == Stamp("unreadable")
    assert "a/one.txt" in changed(tree, source.looked_at)


def test_a_file_that_changes_between_two_readings_keeps_its_first_stamp(tree: Path) -> None:
    source = Source(tree)
    source.read("a/one.txt")
    (tree / "a" / "one.txt").write_text("longer")
    source.read("a/one.txt")
    assert changed(tree, source.looked_at) == {"a/one.txt"}


def test_a_folder_that_was_forgotten_is_listed_again(tree: Path) -> None:
    source = Source(tree)
    assert source.files("a/b") == []
    (tree / "a" / "b" / "late").touch()
    assert source.files("a/b") == []
    source.forget("a/b")
    assert source.files("a/b") == ["late"]


def test_a_folder_that_is_turned_into_a_link_outwards_is_not_read(tree: Path) -> None:
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "one.txt").write_text("secret")
    source = Source(tree)
    assert source.has("a/one.txt")
    (tree / "a").rename(tree / "moved")
    (tree / "a").symlink_to(outside)
    assert source.read("a/one.txt") is None
    assert source.read_text("a/one.txt", 10) is None
    assert list(source.lines("a/one.txt")) == []
    assert [(p.code, p.path) for p in source.problems] == [("unreadable", "a/one.txt")]


# A trial.


def read(trial: Path, **options: Any) -> TrialFiles:
    files = open_trial(trial, read_job(Source(trial.parent)), trial.name)
    read_trace(files, keep_events=True, threshold=1.0, arm=None, attempt=1, **options)
    return files


@pytest.mark.parametrize("trial", sorted(EXAMPLES.glob("*/*__*"))[:6], ids=lambda path: path.name)
def test_every_file_that_is_opened_for_a_trace_is_stamped(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: set[str] = set()
    really_open = os.open

    def watched(path: Any, flags: int, *args: Any, **options: Any) -> int:
        opened.add(os.path.relpath(path, trial))
        return really_open(path, flags, *args, **options)

    job = read_job(Source(trial.parent))
    monkeypatch.setattr(os, "open", watched)
    files = open_trial(trial, job, trial.name)
    read_trace(files, keep_events=True, threshold=1.0, arm=None, attempt=1)
    monkeypatch.undo()
    stamps = files.stamps()
    assert {os.path.normpath(os.path.join(trial, path)) for path in stamps} >= {
        os.path.normpath(os.path.join(trial, path)) for path in opened
    }
    assert len(opened) > 8
    assert changed(trial, stamps) == set()


def test_the_tasks_directory_is_stamped_by_its_absolute_path(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    task = tmp_path / "tasks" / "add-flag"
    edit_result(job, lambda result: result.update(task_id={"path": str(task)}))
    stamps = read(the_trial(job)).stamps()
    assert stamps[str(task)] == Stamp("absent")
    task.mkdir(parents=True)
    for name in ("task.toml", "instruction.md"):
        (task / name).write_text("")
    assert str(task) in changed(the_trial(job), stamps)
    stamps = read(the_trial(job)).stamps()
    assert {f"{task}/task.toml", f"{task}/instruction.md"} <= stamps.keys()
    (task / "instruction.md").write_text("Do it.")
    assert changed(the_trial(job), stamps) == {f"{task}/instruction.md"}
