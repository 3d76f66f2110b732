"""Makes calls of the system fail or kill, also those of C code such as SQLite and Arrow.

    python tests/fault_calls.py SCENARIO... [as fault_runs.py]

strace is attached to a fork that waits for it: the program is loaded by then, and each call that
changes a file of its folder can be counted, made fail, or answered with a signal.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failing_files import Fault
from fault_programs import Ended, copied, forked, scratch_folder
from fault_runs import Run, Stage, chosen, judge, main, set_up
from fault_scenarios import Scenario

CALL_KINDS = ("ENOSPC", "EIO", "SIGKILL", "SIGTERM")
_CALLS = [
    *("openat", "write", "writev", "pwrite64", "pwritev", "fdatasync", "fsync", "ftruncate"),
    *("fallocate", "unlink", "unlinkat", "rename", "mkdir", "rmdir", "link", "fcntl"),
]
_SECONDS_TO_ATTACH = 20


@dataclass(frozen=True)
class Call:
    """The `number`-th call of this name in the whole run."""

    name: str
    number: int


def can_trace() -> bool:
    """Tell whether there is an strace that may be attached."""
    return shutil.which("strace") is not None


def calls_of(stage: Stage) -> list[Call]:
    """List the calls that change something in the folder of a scenario, in their order."""
    _, log = _traced(stage, [])
    numbers = dict.fromkeys(_CALLS, 0)
    found = []
    for line in log.splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if match is None:
            continue
        name, rest = match.groups()
        numbers[name] += 1
        if _changes(name, rest, stage.template.with_name("run")):
            found.append(Call(name, numbers[name]))
    return found


def _changes(name: str, rest: str, folder: Path) -> bool:
    if name == "openat":
        return f"{folder}" in rest and re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest) is not None
    if name == "fcntl":
        return f"{folder}/" in rest and "F_SETLK" in rest
    return f"{folder}/" in rest or not re.search('[<"]/', rest)


def run_call(stage: Stage, kind: str, call: Call, at: int) -> Run:
    """Run a scenario, let a call fail or bring a signal, and judge what is left."""
    what = f"error={kind}" if not kind.startswith("SIG") else f"signal={kind}"
    run = Run(stage.scenario.name, kind, at, "call", f"{call.name} {call.number}")
    folder = stage.template.with_name("run")
    try:
        rule = f"inject={call.name}:{what}:when={call.number}"
        ended, log = _traced(stage, ["-e", rule], keep=True)
        run.code, run.said = ended.code, ended.said
        if "(INJECTED)" not in log and not kind.startswith("SIG"):
            run.operation = ""  # another order: nothing failed
        judge(stage, folder, run)
        return run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _traced(stage: Stage, rules: list[str], *, keep: bool = False) -> tuple[Ended, str]:
    folder = copied(stage.template, stage.template.with_name("run"))
    log = folder.with_name("log")
    command = ["strace", "-f", "-y", "-qq", "-s", "0", "-o", str(log)]
    command += ["-e", f"trace={','.join(_CALLS)}"]
    tracers: list[subprocess.Popen[bytes]] = []

    def attach(process: int) -> None:
        tracers.append(subprocess.Popen([*command, *rules, "-p", str(process)]))
        deadline = time.monotonic() + _SECONDS_TO_ATTACH
        while "TracerPid:\t0\n" in Path(f"/proc/{process}/status").read_text():
            assert time.monotonic() < deadline, "strace may not be attached here"
            time.sleep(0.001)
        os.kill(process, signal.SIGCONT)

    try:
        ended = forked(folder, stage.scenario.run, Fault(""), attach)
        tracers[0].wait()
    finally:
        if not keep:
            shutil.rmtree(folder)
    return ended, log.read_text()


def runs_of(scenario: Scenario, given: argparse.Namespace) -> Iterator[Run]:
    """Run a scenario with the faults that are asked for."""
    with scratch_folder() as place:
        stage = set_up(scenario, Path(place), warm=not given.cold)
        calls = calls_of(stage)
        points = [(kind, at) for kind in given.kinds.split(",") for at in range(1, len(calls) + 1)]
        for kind, at in chosen(points, scenario, given):
            yield run_call(stage, kind, calls[at - 1], at)


if __name__ == "__main__":
    main("call", CALL_KINDS, runs_of)
