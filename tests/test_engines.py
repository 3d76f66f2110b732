"""Worker processes: the same bytes as one, whoever is killed, and nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from aggregated import aggregate_bytes, through
from dying_workers import Failing, Signing, deadly, wait_for_end, without
from evaltrace.aggregate import Done, Map, Outcome, Shard, sharding
from evaltrace.engines import open_engine, processes, processors
from evaltrace.engines import processes as processes_module
from evaltrace.engines.processors import cgroup_quota
from evaltrace.errors import EngineFailure, EvaltraceError, OutputFailure, UnknownName
from evaltrace.plan import Options, Plan, plan_aggregation
from job_dirs import write_job

TASKS = [f"task-{number:02}" for number in range(12)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_job(tmp_path_factory.mktemp("jobs"), "job", TASKS)


@pytest.fixture(scope="module")
def plan(job: Path) -> Plan:
    return plan_aggregation([job], Options(prices="none"))


@pytest.fixture(scope="module")
def serial(job: Path) -> bytes:
    return aggregate_bytes(job)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_same_bytes_with_any_number_of_workers(
    tmp_path: Path, plan: Plan, serial: bytes, workers: int
) -> None:
    with processes(workers) as map:
        assert through(tmp_path, plan, map) == serial


def test_same_bytes_where_processes_cannot_be_forked(
    tmp_path: Path, plan: Plan, serial: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[processes_module.__module__]
    monkeypatch.setattr(module, "_start_method", lambda: "spawn")
    with processes(2) as map:
        assert through(tmp_path, plan, map) == serial


def test_killed_workers_lose_nothing_before_and_after_a_commit(
    tmp_path: Path, plan: Plan, serial: bytes
) -> None:
    deaths = tmp_path / "deaths"
    with processes(2) as map:
        killing = deadly(map, deaths, before=("task-01", "task-06"), after=("task-03", "task-11"))
        assert through(tmp_path / "parts", plan, killing) == serial
    assert len(list(deaths.iterdir())) == 4


def test_a_trial_that_kills_its_worker_each_time_becomes_a_problem(
    tmp_path: Path, plan: Plan, serial: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "_SHARDS", 2)  # six trials in each shard
    with processes(2) as map:
        killing = deadly(map, tmp_path / "deaths", always=("task-07",))
        first = through(tmp_path / "parts", plan, killing)
    document = json.loads(first)
    assert document["traces"] == without(json.loads(serial), ["task-07"])
    [problem] = document["problems"]
    assert problem["code"] == "worker_died"
    assert "SIGKILL" in problem["message"]
    assert len(list((tmp_path / "parts").glob("*.halved"))) == 3
    with processes(2) as map:
        assert through(tmp_path / "parts", plan, map) == first


FULL = OutputFailure("the disk is full", where="parts", hint="Make room.")


@pytest.mark.parametrize("error", [FULL, ZeroDivisionError("unforeseen")])
def test_what_a_worker_raises_is_raised_here(tmp_path: Path, plan: Plan, error: Exception) -> None:
    with processes(2) as map, pytest.raises(EvaltraceError) as raised:
        through(tmp_path, plan, lambda work, shards: map(Failing(error), shards))
    if error is FULL:
        assert (type(raised.value), str(raised.value)) == (OutputFailure, str(FULL))
    else:
        assert isinstance(raised.value, EngineFailure)
        assert "ZeroDivisionError: unforeseen: part-0000" in str(raised.value)


def test_no_worker_outlives_the_block(tmp_path: Path, plan: Plan) -> None:
    def ends_early(map: Map) -> Map:
        def engine(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterator[Outcome]:
            yield next(iter(map(Signing(work, signatures), shards)))
            raise KeyboardInterrupt

        return engine

    signatures = tmp_path / "signatures"
    signatures.mkdir()
    with processes(2) as map, pytest.raises(KeyboardInterrupt):
        through(tmp_path, plan, ends_early(map))
    workers = {path.name for path in signatures.iterdir()}
    assert workers
    assert not any(Path("/proc", worker).exists() for worker in workers)


def test_an_engine_is_opened_by_its_name() -> None:
    with pytest.raises(UnknownName, match="dask"):
        open_engine("spark", 2)


# The whole command.


@pytest.fixture(scope="module")
def long_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty trials that take a while: one large log, under many names."""
    job = write_job(tmp_path_factory.mktemp("jobs"), "long", [f"task-{n:02}" for n in range(40)])
    line = '{"type":"assistant","message":{"id":"m%d","content":[{"type":"text","text":"x"}]}}\n'
    logs = sorted(job.glob("*/agent/claude-code.txt"))
    logs[0].write_text("".join(line % number for number in range(6_000)))
    for log in logs[1:]:
        log.unlink()
        os.link(logs[0], log)
    return job


@pytest.fixture(scope="module")
def long_serial(long_job: Path) -> bytes:
    return aggregate_bytes(long_job, events=False)


def start(job: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the command, a session of its own, and wait until two parts are there."""
    command = [sys.executable, "-m", "evaltrace", "aggregate", job, "-o", out, "--events", "none"]
    process = subprocess.Popen(
        [*map(str, command), "--prices", "none", "--workers", "2", "--no-cache", *options],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(out.parent.rglob("*.part"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def ended(process: subprocess.Popen[bytes]) -> bytes:
    """Wait until all processes of the session have ended; give what the command said."""
    _, said = process.communicate(timeout=60)
    wait_for_end(process.pid)
    return said


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_a_killed_command_leaves_no_process_and_goes_on(
    tmp_path: Path, long_job: Path, long_serial: bytes, engine: str
) -> None:
    if engine == "dask":
        pytest.importorskip("distributed", reason="evaltrace[dask] is not installed")
    out = tmp_path / "out.json"
    options = ("--parts", str(tmp_path / "parts"), "--engine", engine)
    process = start(long_job, out, *options)
    process.kill()
    ended(process)
    there = {path: path.stat().st_ino for path in tmp_path.glob("parts/*.part")}
    assert 2 <= len(there) < 40
    assert not out.exists()
    said = ended(start(long_job, out, *options))
    assert said.startswith(b"40 traces")
    assert said.count(b"\n") == 1
    assert out.read_bytes() == long_serial
    assert {path: path.stat().st_ino for path in there} == there
    success = json.loads((tmp_path / "parts" / "_SUCCESS.json").read_text())
    assert (success["trials"], success["bytes"]) == (40, len(long_serial))
    assert not list(tmp_path.glob("parts/.*"))


def test_what_a_killed_command_left_is_cleared_away_by_the_next(
    tmp_path: Path, long_job: Path, long_serial: bytes
) -> None:
    out = tmp_path / "out.json"
    process = start(long_job, out)
    process.kill()
    ended(process)
    assert len(list(tmp_path.glob(".evaltrace-*.parts"))) == 1
    ended(start(long_job, out))
    assert out.read_bytes() == long_serial
    assert not list(tmp_path.glob(".evaltrace-*.parts"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_all_workers_and_leaves_nothing(
    tmp_path: Path, long_job: Path, number: signal.Signals, code: int
) -> None:
    process = start(long_job, tmp_path / "out.json")
    os.killpg(process.pid, number)  # as a terminal does
    said = ended(process)
    assert process.returncode == code, said
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []


# How many.


@pytest.mark.parametrize(
    ("files", "membership", "quota"),
    [
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 4.0),
        ({"a/b/cpu.max": "200000 100000", "a/cpu.max": "50000 100000"}, "0::/a/b", 0.5),
        (
            {"cpu/x/cpu.cfs_quota_us": "300000", "cpu/x/cpu.cfs_period_us": "100000"},
            "12:pids:/x\n4:cpu,cpuacct:/x",
            3.0,
        ),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/x", None),
        ({"cpu.max": "nonsense"}, "0::/", None),
        ({}, "", None),
    ],
)
def test_limits_of_containers_count(
    tmp_path: Path, files: dict[str, str], membership: str, quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cgroup_quota(tmp_path, membership) == quota


def test_processors_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= processors() <= len(os.sched_getaffinity(0))
    monkeypatch.setenv("PYTHON_CPU_COUNT", "7")
    assert processors() == 7
    monkeypatch.setenv("PYTHON_CPU_COUNT", "default")
    assert processors() <= len(os.sched_getaffinity(0))
