"""Time and memory of functions and commands, measured in turns.

Time is that of the processor, children included, unless a name says wall. Each function runs in
a process forked for it, so that none inherits the garbage of another; what it imports should be
imported before, and what it allocated before the fork should be little.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Used:
    """What one run used, in seconds and megabytes; memory is known of whole processes only."""

    cpu: float
    wall: float
    peak: float = 0.0


Case = Callable[[], Used]
Rounds = dict[str, list[Used]]


class Failed(Exception):
    """A measured command or function failed."""

    @property
    def reason(self) -> str:
        """Give the line that names the error, or the last."""
        lines = [line.strip() for line in str(self).splitlines() if line.strip()]
        named = [line for line in lines if line.startswith("Error: ")]
        return (named or lines or ["it failed"])[-1][:200]


def in_fork(function: Callable[[], object]) -> Case:
    """Make a case of a function."""

    def run() -> Used:
        reading, writing = os.pipe()
        gc.collect()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            _run_and_exit(function, writing)
        os.close(writing)
        with os.fdopen(reading, "r") as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        gc.unfreeze()
        if not said.startswith("used "):
            raise Failed(said.strip() or "it died")
        cpu, wall = map(float, said.split()[1:])
        return Used(cpu, wall)

    return run


def _run_and_exit(function: Callable[[], object], writing: int) -> None:
    said = "it exited"
    try:
        start, wall = _spent(), time.perf_counter()
        try:
            function()
        except SystemExit as end:
            if end.code:
                raise Failed(f"exit code {end.code}") from end
        said = f"used {_spent() - start} {time.perf_counter() - wall}"
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(writing, said.encode()[-60_000:])
        os._exit(0)


def _spent() -> float:
    """Give the seconds that this process and its ended children had of the processor."""
    rows = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(row.ru_utime + row.ru_stime for row in rows)


def command(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Case:
    """Make a case of a whole command, start-up included; its output is thrown away."""

    def run() -> Used:
        return run_command(*arguments, env=env)

    return run


def run_command(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Used:
    """Run a command once. Raises Failed with the end of its standard error."""
    with tempfile.NamedTemporaryFile("r") as result, tempfile.TemporaryFile("w+") as errors:
        launched = [sys.executable, "-I", "-S", str(_LAUNCH), result.name, *map(str, arguments)]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        whole = {**os.environ, **(env or {})}
        pid = os.posix_spawn(sys.executable, launched, whole, file_actions=actions)
        os.waitpid(pid, 0)
        errors.seek(0)
        said = errors.read()
        row = result.read().split()
    if not row or row[0] != "0":
        raise Failed(said.strip()[-400:] or "it failed without a word")
    # Linux counts kilobytes, macOS bytes.
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return Used(float(row[1]), float(row[2]), float(row[3]) / scale)


def interleaved(cases: Mapping[str, Case], rounds: int) -> Rounds:
    """Run all cases in each round, in an order of its own."""
    rng = Random(1)
    found: Rounds = {name: [] for name in cases}
    for _ in range(rounds):
        for name in rng.sample(list(cases), k=len(cases)):
            found[name].append(cases[name]())
    return found


def ratio(found: Rounds, part: str, whole: str, *, wall: bool = False) -> float:
    """Give the median over the rounds of one case's time over another's."""
    pairs = zip(found[part], found[whole], strict=True)
    if wall:
        return median(a.wall / b.wall for a, b in pairs)
    return median(a.cpu / b.cpu for a, b in pairs)


def cpu_of(found: Rounds, name: str) -> float:
    """Give the median seconds of the processor."""
    return median(used.cpu for used in found[name])


def wall_of(found: Rounds, name: str) -> float:
    """Give the median seconds on the wall."""
    return median(used.wall for used in found[name])


def peak_of(found: Rounds, name: str) -> float:
    """Give the median peak in megabytes."""
    return median(used.peak for used in found[name])
