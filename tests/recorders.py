"""Programs that tests of the recorder run, and the life cycles of recorded runs."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from evaltrace import end_execution_trace, log_trace_event, schema, start_execution_trace
from evaltrace.record import recover
from evaltrace.trace import Trace

START = 1760783400.0
"""2025-10-18T10:30:00Z."""


class SetClock:
    """A clock that a test sets; seconds since the epoch."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def at(self, hours: int, minutes: int, seconds: int) -> None:
        self.now = START - 37800 + hours * 3600 + minutes * 60 + seconds


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Give a folder that is in memory where there is one: many small files are soon written."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


def written(folder: Path) -> list[dict[str, Any]]:
    """Read the finished traces of a folder, each valid by the schema."""
    traces = [json.loads(path.read_bytes()) for path in sorted(folder.glob("trace_*.json"))]
    for trace in traces:
        assert schema.is_valid(trace, "trace"), schema.violations(trace, "trace")
    return traces


def as_json(trace: Trace | None) -> dict[str, Any]:
    """Give a trace as the JSON it is written as, valid by the schema."""
    document = json.loads(msgspec.json.encode(trace))
    assert schema.is_valid(document, "trace"), schema.violations(document, "trace")
    assert isinstance(document, dict)
    return document


DAY: list[tuple[tuple[int, int, int], str, dict[str, Any]]] = [
    ((10, 30, 5), "file_read",
     {"file": "docs/roadmap/ROADMAP.md", "section": "PRIORITY 10", "tokens": 2143}),
    ((10, 30, 15), "file_read",
     {"file": "docs/architecture/specs/SPEC-062-user-authentication.md", "tokens": 8000}),
    ((10, 32, 30), "code_discovery_started", {"total_files_scanned": 247}),
    ((10, 35, 12), "code_discovery_completed",
     {"relevant_files_found": 15, "time_spent": "2m 42s"}),
    ((11, 0, 0), "file_modified",
     {"file": "coffee_maker/auth/authentication.py", "lines_added": 150}),
    ((11, 20, 0), "file_modified",
     {"file": "tests/unit/test_authentication.py", "lines_added": 80}),
    ((11, 30, 0), "tests_run",
     {"total_tests": 23, "passing": 20, "failing": 3, "time": "12s"}),
    ((11, 31, 0), "skill_invoked",
     {"skill": "test-failure-analysis", "reason": "3 tests failing",
      "outcome": "fixes identified", "time_saved": "20 minutes"}),
    ((11, 45, 0), "tests_run",
     {"total_tests": 23, "passing": 23, "failing": 0, "time": "12s"}),
    ((11, 50, 0), "git_commit",
     {"commit_hash": "abc123", "files_committed": 5,
      "message": "feat: Implement PRIORITY 10 - User Authentication"}),
]  # fmt: skip
"""A whole day of an agent: when, which event, and its data."""

METRICS = {
    "total_files_read": 18,
    "total_files_modified": 5,
    "total_tokens_consumed": 45000,
    "total_llm_calls": 12,
    "total_cost_usd": 0.23,
    "tests_passing": 23,
}


def record_day(folder: Path, metrics: dict[str, Any] | None, **options: Any) -> Trace | None:
    """Record that day by the three functions, at the times that it has."""
    clock = SetClock()
    trace_id = start_execution_trace(
        agent="code_developer",
        task_type="implement_priority",
        context={"priority": "PRIORITY 10", "priority_name": "User Authentication"},
        folder=folder,
        clock=clock,
        **options,
    )
    for moment, event_type, data in DAY:
        clock.at(*moment)
        log_trace_event(trace_id, event_type, data)
    clock.at(11, 57, 3)
    return end_execution_trace(trace_id, outcome="success", metrics=metrics)


def forked(work: Callable[[], object]) -> int:
    """Run something in a forked child that ends as soon as it is done; give its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the tests have
        child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def write_until_killed(trace_id: str, folder: str, writer: int, report: int) -> None:
    """Record numbered events, and report each number once its call has returned."""
    for number in range(1_000_000):
        log_trace_event(trace_id, "tick", {"writer": writer, "number": number}, folder=folder)
        os.write(report, struct.pack("=II", writer, number))


def record_until_killed(folder: Path, moment: float) -> tuple[str, list[tuple[int, int]]]:
    """Kill a program of two recording processes after `moment` seconds; give what it reported."""
    reading, writing = os.pipe()
    os.set_blocking(writing, True)

    def program() -> None:
        os.setpgid(0, 0)
        trace_id = start_execution_trace("agent", "killed", folder=folder)
        os.write(writing, trace_id.encode())
        forked(lambda: write_until_killed(trace_id, str(folder), 1, writing))
        write_until_killed(trace_id, str(folder), 0, writing)

    child = forked(program)
    os.close(writing)
    trace_id = os.read(reading, 36).decode()
    received = bytearray()
    _read_for(reading, moment, received)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reading, 1 << 16):
        received += chunk
    os.close(reading)
    usable = len(received) - len(received) % 8
    return trace_id, list(struct.iter_unpack("=II", bytes(received[:usable])))


def _read_for(reading: int, seconds: float, received: bytearray) -> None:
    """Take what is reported for a while, so that the writers are never kept waiting."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            received += os.read(reading, 1 << 16)


def spawned_writer(trace_id: str, folder: str, number: int, events: int) -> None:
    """Record events of a run that another program has started."""
    for index in range(events):
        log_trace_event(trace_id, "work", {"writer": number, "index": index}, folder=folder)


def kill_again_and_again(kills: int, seed: int) -> None:
    """Record until killed, recover, and print what was reported and what was found, each time."""
    random = Random(seed)
    for _ in range(kills):
        with quick_folder() as folder:
            trace_id, reported = record_until_killed(folder, random.uniform(0, 0.008))
            traces = [msgspec.to_builtins(result) for result in recover(folder)]
        print(json.dumps({"trace_id": trace_id, "reported": reported, "traces": traces}))


if __name__ == "__main__":
    if sys.argv[1] == "kills":
        kill_again_and_again(int(sys.argv[2]), int(sys.argv[3]))
    else:
        spawned_writer(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
