"""The cache itself: what it believes, what it mends, what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from aggregated import aggregate_bytes, edit_json
from evaltrace.aggregate import aggregate_jobs, read_record, write_aggregation
from evaltrace.cache import Cache, forget, kept_jobs, keys
from evaltrace.cli.cache import cache as cache_command
from evaltrace.cli.caching import Caching, cache_options
from evaltrace.errors import OutputFailure, StrictFailure, UnreadablePath
from evaltrace.plan import Options, Plan, plan_aggregation
from evaltrace.readers.harbor import job_facts, unfinished_facts
from evaltrace.readers.harbor.job import Job
from job_dirs import write_job

OPTIONS = Options(prices="none")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return write_job(tmp_path / "jobs", "arm", ["add-flag", "fix-bug", "slow"] * 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opened(folder: Path, **chosen: Any) -> Cache:
    """Open a cache as if all files were written long ago."""
    return Cache(folder, clock=lambda: time.time_ns() + 10**10, **chosen)


def run(job: Path, cache: Cache, out: Path | None = None, **options: Any) -> Plan:
    """Aggregate, check that the cache makes no difference, and give the plan."""
    plan = plan_aggregation([job], Options(prices="none", **options), cache)
    path = out or job.parents[1] / "out.json"
    with path.open("wb") as file:
        write_aggregation(plan, file)
    assert path.read_bytes() == aggregate_bytes(job, **options)
    return plan


def filled(job: Path, folder: Path) -> Path:
    """Fill a cache with a job, and give the folder of its shelf."""
    assert len(run(job, opened(folder)).unread) == 6
    [shelf] = folder.iterdir()
    return shelf


def trial(job: Path, task: str = "slow") -> Path:
    return sorted(job.glob(f"{task}__*"))[0]


def codes(cache: Cache) -> list[str]:
    return [note.code for note in cache.notes]


def test_an_unchanged_trial_is_not_opened(job: Path, folder: Path) -> None:
    filled(job, folder)
    path = trial(job) / "agent"
    seen: list[str] = []
    watching = True

    def watch(event: str, given: tuple[Any, ...]) -> None:
        # A hook stays for good, and is asked about all that the process does later on.
        if watching:
            seen.append(f"{event} {given}")

    sys.addaudithook(watch)
    plan_aggregation([job], OPTIONS, opened(folder))
    watching = False
    assert any(str(job) in event for event in seen)
    assert [event for event in seen if str(path) in event] == []


def test_only_what_changed_is_read(job: Path, folder: Path) -> None:
    filled(job, folder)
    (trial(job) / "agent" / "note.txt").write_text("new")
    plan = run(job, opened(folder))
    assert [entry.path for entry in plan.unread] == [trial(job)]
    assert run(job, opened(folder)).unread == []


def test_a_running_trial_is_looked_at_again(job: Path, folder: Path) -> None:
    (trial(job) / "result.json").unlink()
    for _ in range(2):
        run(job, opened(folder))
    assert [entry.path for entry in run(job, opened(folder)).unread] == [trial(job)]


def test_a_running_trial_that_is_still_is_not_read_until_something_happens(
    job: Path, folder: Path
) -> None:
    def unread(**chosen: Any) -> list[Path]:
        cache = Cache(folder, clock=lambda: time.time_ns() + 10**12, **chosen)
        return [entry.path for entry in run(job, cache).unread]

    (trial(job) / "result.json").unlink()
    assert len(unread()) == 6
    assert unread() == []
    edit_json(job / "result.json", lambda row: row.update(finished_at=None))
    assert unread() == [trial(job)]
    (trial(job) / "agent" / "claude-code.txt").write_text("")
    assert unread(trusting=True) == [trial(job)]
    assert unread(trusting=True) == []


def test_what_was_written_just_now_is_read_again(job: Path, folder: Path) -> None:
    log = trial(job) / "trial.log"
    log.touch()
    changed = log.stat().st_ctime_ns
    for elapsed, believed in ((50_000_000, False), (5_000_000_000, False), (5_000_000_000, True)):
        cache = Cache(folder, clock=lambda now=changed + elapsed: now)
        unread = [entry.path for entry in run(job, cache).unread]
        assert (trial(job) not in unread) is believed


def test_finished_trials_can_be_trusted(job: Path, folder: Path) -> None:
    filled(job, folder)
    (trial(job) / "agent" / "claude-code.txt").write_text("")
    plan = plan_aggregation([job], OPTIONS, opened(folder, trusting=True))
    assert plan.unread == []
    edit_json(trial(job) / "result.json", lambda row: row.update(id="another"))
    plan = plan_aggregation([job], OPTIONS, opened(folder, trusting=True))
    assert [entry.path for entry in plan.unread] == [trial(job)]


def test_tasks_that_are_not_chosen_stay_in_the_cache(job: Path, folder: Path) -> None:
    filled(job, folder)
    (trial(job, "fix-bug") / "agent" / "note.txt").write_text("new")
    run(job, opened(folder), tasks=("fix-bug",))
    assert run(job, opened(folder)).unread == []


def test_other_options_have_their_own_traces(job: Path, folder: Path) -> None:
    filled(job, folder)
    assert len(run(job, opened(folder), events=False).unread) == 6
    assert run(job, opened(folder)).unread == []
    assert run(job, opened(folder), events=False).unread == []


def test_other_code_reads_again(job: Path, folder: Path) -> None:
    filled(job, folder)
    cache = opened(folder)
    cache.begin("key", "other code")
    assert cache.readers_of(job, [path.name for path in job.iterdir()]) == {}
    assert cache.notes == []


def test_edited_price_tables_are_seen(job: Path, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "prices.json"

    def unread(price: float) -> int:
        prices = {"input": price, "output": 15.0}
        table.write_text(json.dumps({"models": {"claude-sonnet-4-5": prices}}))
        cache = opened(folder)
        plan = plan_aggregation([job], Options(prices=str(table)), cache)
        with open(os.devnull, "wb") as file:
            write_aggregation(plan, file)
        return len(plan.unread)

    assert [unread(3), unread(3), unread(4)] == [6, 0, 6]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_shards_are_made_of_what_is_unread(job: Path, folder: Path, form: Any) -> None:
    out = job.parents[1] / "out"
    for change in ("", "more"):
        (trial(job) / "trial.log").write_text(change)
        aggregate_jobs([job], out, options=OPTIONS, form=form, map=map, cache=opened(folder))
        assert out.read_bytes() == aggregate_bytes(job, form=form)
    assert plan_aggregation([job], OPTIONS, opened(folder)).unread == []


def test_nothing_is_written_below_a_job(job: Path, tmp_path: Path) -> None:
    other = write_job(tmp_path / "others", "other", ["add-flag"])
    for place in (job / "cache", trial(job), other / "cache"):
        with pytest.raises(OutputFailure, match="inside the job"):
            plan_aggregation([job], OPTIONS, opened(place))
    assert not (job / "cache").exists()


def test_others_cannot_read_the_cache(job: Path, folder: Path) -> None:
    shelf = filled(job, folder)
    assert [path.stat().st_mode & 0o077 for path in (folder, shelf)] == [0, 0]


# Damage.


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("name", ["index", "traces-1"])
@pytest.mark.parametrize("damage", [garbage, flip, cut, Path.unlink])
def test_damage_is_repaired(
    name: str, damage: Callable[[Path], object], job: Path, folder: Path
) -> None:
    shelf = filled(job, folder)
    damage(shelf / name)
    cache = opened(folder)
    assert len(run(job, cache).unread) == 6
    lost = (name, damage) == ("index", Path.unlink)  # then nothing tells that there was any
    assert codes(cache) == ([] if lost else ["cache_repaired"])
    cache = opened(folder)
    assert run(job, cache).unread == []
    assert codes(cache) == []


def test_what_interrupted_runs_left_is_removed(job: Path, folder: Path) -> None:
    shelf = filled(job, folder)
    (shelf / "traces-7").write_bytes(b"half")
    (shelf / "index-1-2.tmp").write_bytes(b"half")
    assert run(job, opened(folder)).unread == []
    assert sorted(path.name for path in shelf.iterdir()) == ["index", "lock", "traces-1"]


def test_verifying_reads_all_and_tells_what_differs(job: Path, folder: Path) -> None:
    filled(job, folder)
    cache = opened(folder, verifying=True)
    assert len(run(job, cache).unread) == 6
    assert cache.notes == []
    (trial(job) / "verifier" / "test-stdout.txt").write_text("other\n")
    cache = opened(folder, verifying=True, trusting=True)
    run(job, cache)
    assert [(note.code, note.path) for note in cache.notes] == [
        ("cache_differs", f"arm/{trial(job).name}")
    ]
    cache = opened(folder, verifying=True, trusting=True)
    run(job, cache)
    assert cache.notes == []


def test_a_cache_that_cannot_be_written_is_noted(job: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = opened(tmp_path / "file" / "cache")
    run(job, cache)
    assert codes(cache) == ["cache_unusable"]
    assert "--no-cache" in (cache.notes[0].hint or "")


def test_a_full_disk_is_noted(job: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaltrace.cache.store._SPARE_BYTES", 10**18)
    cache = opened(folder)
    run(job, cache)
    assert codes(cache) == ["cache_unusable"]
    assert not folder.exists()


def test_what_is_kept_is_used_when_the_disk_is_full(
    job: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(job, folder)
    (trial(job, "add-flag") / "agent" / "note.txt").write_text("new")
    monkeypatch.setattr("evaltrace.cache.store._SPARE_BYTES", 10**18)
    cache = opened(folder)
    assert len(run(job, cache).unread) == 1
    assert codes(cache) == ["cache_unusable"]


def test_what_was_read_before_an_end_is_kept(job: Path, folder: Path) -> None:
    path = trial(job) / "agent" / "claude-code.txt"
    path.write_text("no json\n" + path.read_text())
    plan = plan_aggregation([job], Options(prices="none", strict=True), opened(folder))
    with open(os.devnull, "wb") as file, pytest.raises(StrictFailure):
        write_aggregation(plan, file)
    assert 0 < len(run(job, opened(folder)).unread) < 6


# Room.


def test_what_is_not_needed_any_more_is_removed(
    job: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.cache.packs._DEAD_BYTES", 0)
    shelf = filled(job, folder)
    whole = sum(path.stat().st_size for path in shelf.glob("traces-*"))
    for number in range(4):
        for path in job.glob("*/trial.log"):
            path.write_text(str(number))
        assert len(run(job, opened(folder)).unread) == 6
        (trial(job) / "trial.log").write_text("one more")
        assert len(run(job, opened(folder)).unread) == 1
    assert run(job, opened(folder)).unread == []
    assert sum(path.stat().st_size for path in shelf.glob("traces-*")) < 2 * whole


def test_jobs_of_longest_ago_are_forgotten_first(tmp_path: Path, folder: Path) -> None:
    jobs = [write_job(tmp_path / "jobs", name, ["add-flag"]) for name in ("a", "b", "c")]
    for age, job in enumerate(jobs):
        run(job, opened(folder))
        for row in kept_jobs(folder):
            if row.job == str(job):
                os.utime(row.folder / "index", (1000 + age, 1000 + age))
    [size] = {row.size for row in kept_jobs(folder) if row.job == str(jobs[2])}
    run(jobs[0], opened(folder))  # used again
    (trial(jobs[2], "add-flag") / "trial.log").write_text("new")
    run(jobs[2], opened(folder, most_bytes=int(3.5 * size)))
    assert {Path(row.job).name for row in kept_jobs(folder)} == {"a", "c"}


def test_a_shelf_in_use_is_not_removed(job: Path, folder: Path) -> None:
    shelf = filled(job, folder)
    cache = opened(folder)
    plan = plan_aggregation([job], OPTIONS, cache)
    assert not forget(shelf)
    with open(os.devnull, "wb") as file:
        write_aggregation(plan, file)
    assert forget(shelf)
    assert not shelf.exists()


def test_two_runs_at_once_do_not_disturb_each_other(job: Path, folder: Path) -> None:
    filled(job, folder)
    for number in range(3):
        for path in job.glob("*/trial.log"):
            path.write_text(str(number))
        ends = [job.parents[1] / f"out-{name}" for name in "ab"]
        runs = [threading.Thread(target=run, args=(job, opened(folder), end)) for end in ends]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        assert len({end.read_bytes() for end in ends}) == 1
        cache = opened(folder)
        assert run(job, cache).unread == []
        assert cache.notes == []


# What a trace takes from its job.


class Watched(Job):
    """A job that tells which of its fields are asked for."""

    asked: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            Watched.asked.add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("version", ["0.1.0", "0.5.0", "0.25.0"])
def test_the_facts_of_a_job_are_all_that_its_trials_take(version: str, tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["a", "b"], version=version)
    (trial(job, "b") / "result.json").unlink()
    plan = plan_aggregation([job])
    finished, unfinished = (
        asked(entry.job, lambda entry=entry: read_record(entry, plan.options))
        for entry in plan.entries
    )
    stated = asked(plan.entries[0].job, lambda: job_facts(plan.entries[0].job))
    # Where it lies, the shelf tells.
    assert finished <= stated | {"path"}
    besides = asked(plan.entries[0].job, lambda: unfinished_facts(plan.entries[0].job))
    assert "finished" in unfinished
    assert unfinished <= stated | besides | {"path"}


def asked(job: Job, call: Callable[[], object]) -> set[str]:
    """Give the fields of a job that a call asks for."""
    job.__class__ = Watched
    Watched.asked = set()
    call()
    return set(Watched.asked)


# The command line.


@click.command()
@cache_options
def command(caching: Caching) -> None:
    cache = caching.opened(quiet=False)
    if cache is None:
        click.echo("none")
        return
    click.echo(f"{cache.folder} {cache.trusting} {cache.verifying}")
    cache.note("cache_differs", "arm/trial", "is another", "Look at it.")
    caching.tell(cache, quiet=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EVALTRACE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def called(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_cache_lies_among_the_users_caches(home: Path) -> None:
    result = called()
    assert str(home) in result.stdout or sys.platform != "linux"
    assert result.stdout.endswith("evaltrace False False\n")
    assert result.stderr == "cache_differs: arm/trial: is another\n  Look at it.\n"
    assert (result.exit_code, called("--verify-cache").exit_code) == (0, 1)


def test_the_folder_is_an_option_or_a_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called("--cache", "/here", "--trust-finished").stdout == "/here True False\n"
    monkeypatch.setenv("EVALTRACE_CACHE", "/there")
    assert called().stdout == "/there False False\n"
    assert called("--no-cache").stdout == "none\n"
    assert called("--no-cache", "--verify-cache").exit_code == 2


def test_a_user_without_a_home_is_told_and_served(
    job: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EVALTRACE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    result = called()
    assert (result.exit_code, result.stdout) == (0, "none\n")
    assert result.stderr.startswith("cache_unusable: ")
    assert isinstance(called("--verify-cache").exception, UnreadablePath)
    filled(job, folder)


def test_show_and_clear(job: Path, folder: Path) -> None:
    filled(job, folder)
    shown = CliRunner().invoke(cache_command, ["show", "--cache", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert "6 trials" in shown.stdout
    assert shown.stdout.endswith(f"{job}\n")
    cleared = CliRunner().invoke(cache_command, ["clear", "--cache", str(folder)])
    assert cleared.stderr.startswith("Removed 0.")
    assert list(folder.iterdir()) == []
    assert CliRunner().invoke(cache_command, ["show", "--cache", str(folder)]).stdout == ""


def test_a_killed_run_costs_the_cache_nothing(job: Path, folder: Path) -> None:
    filled(job, folder)
    (trial(job) / "trial.log").write_text("new")
    code = f"""
import os, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from test_cache import OPTIONS, opened, plan_aggregation, write_aggregation
plan = plan_aggregation([Path({str(job)!r})], OPTIONS, opened(Path({str(folder)!r})))
write_aggregation(plan, open(os.devnull, "wb"), watch=lambda number: os.kill(os.getpid(), 9))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    cache = opened(folder)
    assert len(run(job, cache).unread) == 1
    assert cache.notes == []


def test_a_file_of_the_code_that_leads_nowhere_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text("x")
    (tmp_path / ".#reader.py").symlink_to("ada@host.1:2")  # as an editor marks what it has open
    assert sorted(row[:2] for row in keys._stamps(str(tmp_path))) == [
        (".#reader.py", 0),
        ("reader.py", 1),
    ]
