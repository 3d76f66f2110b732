"""A real Dask cluster on this machine, with parts on a disk and on S3, and Ray if it is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregated import aggregate_bytes, through
from dying_workers import Failing, deadly, wait_for_end, without
from evaltrace.aggregate import Map, aggregate_jobs, sharding
from evaltrace.engines import open_engine, processes
from evaltrace.errors import EngineFailure, OutputFailure
from evaltrace.files import Folder, LocalFolder
from evaltrace.plan import Options, Plan, plan_aggregation
from job_dirs import write_job
from s3_server import BUCKET, keys, s3_server

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


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server():
        yield f"s3://{BUCKET}/parts"


@pytest.fixture(scope="module")
def dask(s3: str) -> Iterator[Map]:
    """Two workers, that find the S3 server as it was there before them."""
    pytest.importorskip("distributed", reason="evaltrace[dask] is not installed")
    with open_engine("dask", 2) as map:
        yield map


def remote(s3: str, name: str) -> Folder:
    from evaltrace.remote import RemoteFolder

    return RemoteFolder(f"{s3}/{name}")


@pytest.mark.parametrize("place", ["disk", "s3"])
def test_killed_workers_lose_nothing_before_and_after_a_commit(
    tmp_path: Path, plan: Plan, serial: bytes, dask: Map, s3: str, place: str
) -> None:
    folder = LocalFolder(tmp_path / "parts") if place == "disk" else remote(s3, "killed")
    killing = deadly(dask, tmp_path / "deaths", before=("task-01",), after=("task-03",))
    assert through(folder, plan, killing) == serial
    assert len(list((tmp_path / "deaths").iterdir())) == 2
    assert sorted(name[:10] for name in folder.names()) == [f"part-000{n:02}" for n in range(12)]


def test_a_trial_that_kills_its_worker_each_time_becomes_a_problem(
    tmp_path: Path, plan: Plan, serial: bytes, dask: Map, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "_SHARDS", 6)  # two trials in each shard
    folder = LocalFolder(tmp_path / "parts")
    killing = deadly(dask, tmp_path / "deaths", always=("task-07",))
    document = json.loads(through(folder, plan, killing))
    assert document["traces"] == without(json.loads(serial), ["task-07"])
    assert [row["code"] for row in document["problems"]] == ["worker_died"]


def test_what_a_worker_raises_is_raised_here(tmp_path: Path, plan: Plan, dask: Map) -> None:
    full = OutputFailure("the disk is full", where="parts", hint="Make room.")
    for error, kind in ((full, OutputFailure), (ZeroDivisionError("unforeseen"), EngineFailure)):
        with pytest.raises(kind, match=str(error).partition("\n")[0]):
            through(
                LocalFolder(tmp_path),
                plan,
                lambda work, shards, error=error: dask(Failing(error), shards),
            )


def test_a_cluster_that_is_not_there_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from evaltrace.engines import dask

    monkeypatch.setattr(dask, "_TIMEOUT", 0.2)
    with (
        pytest.raises(EngineFailure, match=r"127\.0\.0\.1:9"),
        open_engine("dask", 2, "tcp://127.0.0.1:9"),
    ):
        pass


def test_processes_write_parts_to_s3_and_the_next_run_goes_on(
    tmp_path: Path, job: Path, serial: bytes, s3: str
) -> None:
    out, options = tmp_path / "out.json", Options(prices="none")
    with processes(2) as map:
        killing = deadly(map, tmp_path / "deaths", before=("task-02",), after=("task-08",))
        aggregate_jobs([job], out, options=options, map=killing, parts=f"{s3}/run")
    assert out.read_bytes() == serial
    written = keys("parts/run")
    assert len(written) == len(TASKS) + 1
    out.unlink()
    aggregate_jobs([job], out, options=options, parts=f"{s3}/run")
    assert out.read_bytes() == serial
    assert keys("parts/run") == written


def test_a_killed_command_goes_on_from_its_parts_on_s3(
    tmp_path: Path, job: Path, serial: bytes, s3: str
) -> None:
    out = tmp_path / "out.json"
    options = ["-o", out, "--prices", "none", "--workers", "2", "--parts", f"{s3}/killed-command"]
    command = [sys.executable, "-m", "evaltrace", "aggregate", job, *options]
    with subprocess.Popen(list(map(str, command)), start_new_session=True) as process:
        while not keys("parts/killed-command"):
            assert process.poll() is None
        process.kill()
    wait_for_end(process.pid)
    written = keys("parts/killed-command")
    assert not out.exists()
    assert 1 <= len(written) < len(TASKS) + 1
    subprocess.run(list(map(str, command)), capture_output=True, check=True)
    assert out.read_bytes() == serial
    assert keys("parts/killed-command") > written


def test_ray_gives_the_same_bytes(tmp_path: Path, plan: Plan, serial: bytes) -> None:
    pytest.importorskip("ray", reason="evaltrace[ray] is not installed")
    with open_engine("ray", 2) as map:
        killing = deadly(map, tmp_path / "deaths", before=("task-01",), after=("task-03",))
        assert through(LocalFolder(tmp_path / "parts"), plan, killing) == serial
    assert len(list((tmp_path / "deaths").iterdir())) == 2
