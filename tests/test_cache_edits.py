"""Whatever is edited in a job, aggregating it with the cache gives the same bytes as without."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregated import edit_json
from evaltrace.aggregate import write_aggregation
from evaltrace.cache import Cache
from evaltrace.errors import EvaltraceError
from evaltrace.plan import Options, Plan, plan_aggregation
from job_dirs import write_job

TASKS = ["add-flag", "fix-bug", {"task": "slow", "reward": 0.0}, "add-flag"]


def later() -> int:
    """A time at which everything that was just written may not change unseen."""
    return time.time_ns() + 10**12


def result_of(folder: Path, options: Options, cache: Path | None) -> tuple[bytes, object, Plan]:
    opened = None if cache is None else Cache(cache, clock=later)
    plan = plan_aggregation([folder], options, opened)
    out = BytesIO()
    summary = write_aggregation(plan, out)
    assert opened is None or opened.notes == []
    return out.getvalue(), summary, plan


def write_tasks(folder: Path) -> None:
    for name in ("add-flag", "fix-bug"):
        (folder / name).mkdir(parents=True)
        (folder / name / "task.toml").write_text('[metadata]\ncategory = "one"\n')
        (folder / name / "instruction.md").write_text(f"Do {name}.\n")


def trials(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("jobs/*/*/config.json"))


def one(folder: Path, which: int) -> Path:
    found = trials(folder)
    return found[which % len(found)]


def a_file(folder: Path, which: int) -> Path:
    files = sorted(path for path in one(folder, which).rglob("*") if path.is_file())
    return files[which % len(files)]


def rewrite_unseen(folder: Path, which: int) -> None:
    """Change what a result says, and leave the file its size and its time."""
    path = one(folder, which) / "result.json"
    if path.exists():
        before, text = path.stat(), path.read_text()
        path.write_text(text.replace('"reward": 0.0', '"reward": 0.5').replace("1.0", "0.0"))
        assert path.stat().st_size == before.st_size
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(folder: Path, which: int) -> None:
    path = a_file(folder, which)
    path.write_text(path.read_text() + "more\n")


def remove_trial(folder: Path, which: int) -> None:
    if len(trials(folder)) > 2:
        shutil.rmtree(one(folder, which))


def rename_trial(folder: Path, which: int) -> None:
    path = one(folder, which)
    path.rename(path.with_name(f"{path.name}x"))


def exchange_trials(folder: Path, which: int) -> None:
    first, second = one(folder, which), one(folder, which + 1)
    if first != second:
        first.rename(first.with_name("aside"))
        second.rename(first)
        first.with_name("aside").rename(second)


def add_earlier_attempt(folder: Path, which: int) -> None:
    path, copy = one(folder, which), folder / "jobs/arm" / f"early{which}"
    if not copy.exists():
        shutil.copytree(path, copy, symlinks=True)
        for file in copy.glob("*.json"):
            file.write_text(file.read_text().replace(path.name, copy.name).replace("2026", "2020"))


def replace_by_copy(folder: Path, which: int) -> None:
    path = one(folder, which)
    shutil.copytree(path, path.with_name("copy"), symlinks=True)
    shutil.rmtree(path)
    path.with_name("copy").rename(path)


def link_broken(folder: Path, which: int) -> None:
    link = one(folder, which) / ("agent/lost.log" if which % 2 else "lost")
    if not os.path.lexists(link):
        link.symlink_to(folder / "jobs/arm/missing.log")


def mend_link(folder: Path, which: int) -> None:
    (folder / "jobs/arm/missing.log").write_text(f"{which}\n")


def run_on(folder: Path, which: int) -> None:
    (one(folder, which) / "result.json").unlink(missing_ok=True)


def add_folder(folder: Path, which: int) -> None:
    (folder / "jobs/arm" / f"notes-{which}").mkdir(exist_ok=True)
    (folder / "jobs/arm" / f"notes-{which}" / "config.json").write_text("{}")


def of_job(name: str, change: Callable[[dict], object]) -> Callable[[Path, int], None]:
    def edit(folder: Path, which: int) -> None:
        path = folder / "jobs/arm" / name
        if path.exists():
            edit_json(path, change)

    return edit


EDITS: dict[str, Callable[[Path, int], object]] = {
    "nothing": lambda folder, which: None,
    "remove trial": remove_trial,
    "rename trial": rename_trial,
    "exchange trials": exchange_trials,
    "earlier attempt": add_earlier_attempt,
    "replace by copy": replace_by_copy,
    "broken link": link_broken,
    "mend link": mend_link,
    "running again": run_on,
    "folder in job": add_folder,
    "touch": lambda folder, which: a_file(folder, which).touch(),
    "empty": lambda folder, which: a_file(folder, which).write_text(""),
    "append": append,
    "delete": lambda folder, which: a_file(folder, which).unlink(),
    "unseen": rewrite_unseen,
    "job id": of_job("result.json", lambda row: row.update(id="another")),
    "job goes on": of_job("result.json", lambda row: row.update(finished_at=None)),
    "job version": of_job("lock.json", lambda row: row["harbor"].update(version="0.24.0")),
    "job without lock": lambda folder, which: (folder / "jobs/arm/lock.json").unlink(True),
    "job without log": lambda folder, which: (folder / "jobs/arm/job.log").unlink(True),
    "instruction": lambda folder, which: (folder / "tasks/add-flag/instruction.md").write_text(
        f"Do {which}.\n"
    ),
    "task gone": lambda folder, which: shutil.rmtree(folder / "tasks/fix-bug", True),
    "task there": lambda folder, which: shutil.copytree(
        folder / "tasks/add-flag", folder / "tasks/slow", dirs_exist_ok=True
    ),
}
OPTIONS = {
    "same": {},
    "arm": {"arm": "other"},
    "no events": {"events": False},
    "threshold": {"pass_threshold": 0.5},
    "patterns": {"tool_patterns": ("git",)},
    "one task": {"tasks": ("add-flag",)},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return prepared(tmp_path)


def prepared(place: Path) -> Path:
    write_job(place / "jobs", "arm", TASKS)
    write_tasks(place / "tasks")
    return place


def check_edits(place: Path, edits: list[tuple[str, int]], **options: Any) -> None:
    """Edit a job that is in the cache; then the cache must make no difference."""
    for name, which in edits:
        time.sleep(0.006)  # the clock of a file system ticks every few milliseconds
        if trials(place):
            EDITS[name](place, which)
    given = Options(prices="none", task_dirs=(str(place / "tasks"),), **options)
    try:
        cold, summary, _ = result_of(place / "jobs", given, None)
    except EvaltraceError as error:  # such as a task of which no trial is left
        with pytest.raises(type(error)):
            result_of(place / "jobs", given, place / "cache")
        return
    for _ in range(2):
        warm, counted, plan = result_of(place / "jobs", given, place / "cache")
        assert warm == cold
        assert counted == summary
    assert all(_must_be_read(entry.path) for entry in plan.unread)


def _must_be_read(trial: Path) -> bool:
    """Tell whether the job reports something right in the folder of a trial."""
    return os.path.lexists(trial / "lost")


@pytest.mark.parametrize("which", [0])
@pytest.mark.parametrize("name", sorted(EDITS))
def test_same_bytes_after_an_edit(name: str, which: int, place: Path) -> None:
    check_edits(place, [])
    check_edits(place, [(name, which)])


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_same_bytes_with_other_options(name: str, place: Path) -> None:
    check_edits(place, [])
    check_edits(place, [], **OPTIONS[name])
    check_edits(place, [("unseen", 0)])


_EDIT = st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 5))
_RUN = st.tuples(st.lists(_EDIT, min_size=1, max_size=3), st.sampled_from(sorted(OPTIONS)))


@settings(max_examples=6, deadline=None)
@given(runs=st.lists(_RUN, min_size=1, max_size=3))
def test_same_bytes_after_any_edits(runs: list[tuple[list[tuple[str, int]], str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = prepared(Path(folder))
        check_edits(place, [])
        for edits, chosen in runs:
            check_edits(place, edits, **OPTIONS[chosen])
