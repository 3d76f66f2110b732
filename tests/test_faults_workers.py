"""Memory that ends, signals that come, and two who write at once: from outside, with workers."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aggregated import EXAMPLES, through
from dying_workers import Hungry, wait_for_end
from evaltrace.aggregate import Done, Outcome, Shard, sharded_through
from evaltrace.aggregate.joining import read_parts
from evaltrace.engines import processes
from evaltrace.plan import Options, plan_aggregation

PROGRAM = (sys.executable, "-m", "evaltrace")
QUIET = ("-q", "--no-cache", "--prices", "none")
OUR_MEMORY = 300 << 20
"""Bytes of address space: for evaltrace, and not for what is decoded in the greedy trial."""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job of three trials."""
    target = tmp_path_factory.mktemp("jobs") / "baseline"
    for name in ("gateway*", "importer*", "config.json", "result.json"):
        for path in sorted((EXAMPLES / "baseline").glob(name)):
            copy: Callable[..., object] = shutil.copytree if path.is_dir() else shutil.copy
            target.mkdir(exist_ok=True)
            copy(path, target / path.name)
    return target


def start(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    own = {"HOME": str(folder), "EVALTRACE_REDACTION_KEY": "0" * 64, "EVALTRACE_CACHE": "cache"}
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def ended(program: subprocess.Popen[str]) -> int:
    program.communicate(timeout=120)
    return program.returncode


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (OUR_MEMORY, OUR_MEMORY))


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")
def test_a_trial_that_needs_too_much_memory_costs_itself(job: Path, tmp_path: Path) -> None:
    greedy = shutil.copytree(job, tmp_path / "job")
    log = next(greedy.glob("gateway*/steps/repair/agent/sessions/**/*.jsonl"))
    lists = '{"type":"assistant","message":{"content":[' + "[]," * 5_000_000 + "0]}}\n"
    with log.open("a") as file:
        file.write(lists)
    output = tmp_path / "out.json"
    arguments = ("aggregate", greedy, "-o", output, *QUIET, "--workers", "2")
    program = start(tmp_path, *arguments, preexec_fn=limit_memory)
    said, _ = program.communicate(timeout=120)
    assert program.returncode == 0, said
    document = json.loads(output.read_text())
    lost = [row for row in document["problems"] if row["code"] == "out_of_memory"]
    assert [row["path"].split("__")[0] for row in lost] == ["job/gateway-empty-input"]
    assert len(document["traces"]) == 3


def test_memory_that_ends_outside_of_the_reading_costs_the_trial_too(
    job: Path, tmp_path: Path
) -> None:
    plan = plan_aggregation([job], Options(prices="none"))
    task = next(entry.task for entry in plan.entries if "gateway" in entry.task)

    def hungry(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterable[Outcome]:
        return map(Hungry(work, [task]), shards)

    with processes(2) as map:
        document = json.loads(through(tmp_path, plan, hungry))
    died = [row["path"] for row in document["problems"] if row["code"] == "worker_died"]
    assert [path.split("__")[0] for path in died] == ["baseline/gateway-empty-input"] * 2
    assert [trace["task"]["name"] for trace in document["traces"]] == ["importer-padding"] * 2


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.parts
    }


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_a_signal_at_any_time_costs_nothing_and_leaves_nobody(
    job: Path, tmp_path: Path, name: str
) -> None:
    random = Random(name)
    arguments = ("aggregate", job, "-o", "out.json", *QUIET, "--workers", "2")
    (tmp_path / "out.json").write_bytes(b"earlier")
    program = start(tmp_path, *arguments, start_new_session=True)
    time.sleep(random.uniform(0.1, 0.6))
    program.send_signal(signal.Signals[name])
    ended(program)
    wait_for_end(program.pid)
    left = everything(tmp_path)
    written = left.pop("out.json")
    assert written == b"earlier" or len(json.loads(written)["traces"]) == 4
    assert all(path.startswith(".evaltrace-") for path in left)
    if name != "SIGKILL":
        assert left == {}


def test_of_two_who_write_the_same_output_one_wins_whole(job: Path, tmp_path: Path) -> None:
    arguments = ("aggregate", job, *QUIET, "--workers", "2", "-o", "out.json", "--arm")
    both = [start(tmp_path, *arguments, arm) for arm in ("one", "other")]
    assert [ended(program) for program in both] == [0, 0]
    traces = json.loads((tmp_path / "out.json").read_text())["traces"]
    assert len(traces) == 4
    assert len({trace["arm"] for trace in traces}) == 1
    assert list(everything(tmp_path)) == ["out.json"]


def test_workers_end_before_the_folder_that_they_write_to(job: Path, tmp_path: Path) -> None:
    plan = plan_aggregation([job], Options(prices="none"))
    there_at_the_end = []

    def engine(work: Callable[[Shard], Done], shards: Sequence[Shard]) -> Iterable[Outcome]:
        try:
            yield from map(work, shards)
        finally:
            there_at_the_end.extend(path.name for path in tmp_path.iterdir())

    def write() -> None:
        with sharded_through(engine, plan, None, tmp_path / "out.json") as sharded:
            rows = read_parts(plan.entries, plan.options, sharded)
            next(iter(rows))
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write()
    [parts] = there_at_the_end
    assert parts.endswith(".parts")
    assert list(tmp_path.iterdir()) == []
