"""Kills commands from outside, worker processes and all, at random times.

python tests/fault_kills.py SCENARIO... [--sample N] [--seed N] [as fault_runs.py]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from dying_workers import wait_for_end
from fault_programs import OWN, copied, scratch_folder
from fault_runs import Run, Stage, chosen, judge, main, set_up
from fault_scenarios import Scenario

KILLED = ("aggregate_parts", "compare", "store_add", "redact_copy", "record")
KILL_KINDS = ("SIGKILL", "SIGTERM", "SIGINT")
_TESTS = Path(__file__).parent
_MARK = "begun"
_KILLS = 20
_STARTING = 5
"""One of so many is killed while Python starts and loads, the others while the command runs."""
_PROGRAM = f"""
import pathlib, sys
from fault_scenarios import SCENARIOS
try:
    pathlib.Path("../{_MARK}").touch()
    code = SCENARIOS[sys.argv[1]].run()
except KeyboardInterrupt:
    if sys.argv[1] != "record":  # which is no command: it is for its program to take it
        raise
    code = 130
sys.exit(code)
"""


def runs_of(scenario: Scenario, given: argparse.Namespace) -> Iterator[Run]:
    """Run a scenario and kill it, N times with each signal."""
    with scratch_folder() as place:
        stage = set_up(scenario, Path(place), warm=False)
        lengths = _seconds(stage)
        numbers = range(1, (given.sample or _KILLS) + 1)
        points = [(kind, at) for at in numbers for kind in given.kinds.split(",")]
        everything = argparse.Namespace(**{**vars(given), "sample": None})
        for kind, at in chosen(points, scenario, everything):
            random = Random(f"{given.seed} {scenario.name} {kind} {at}")
            begun = at % _STARTING != 0
            delay = random.uniform(0, 1.05) * lengths[begun]
            yield _killed(stage, Run(scenario.name, kind, at, "kill"), delay, begun=begun)


def _seconds(stage: Stage) -> tuple[float, float]:
    """Measure how long a program takes until it begins to run a command, and from there on."""
    lengths = []
    for _ in range(3):
        folder = copied(stage.template, stage.template.with_name("run"))
        before = time.monotonic()
        program = _started(stage.scenario, folder)
        _wait_until_begun(folder)
        begun = time.monotonic()
        assert program.wait() == 0
        lengths.append((begun - before, time.monotonic() - begun))
        shutil.rmtree(folder)
    return sorted(lengths)[1]


def _wait_until_begun(folder: Path) -> None:
    while not folder.with_name(_MARK).exists():
        time.sleep(0.001)


def _started(scenario: Scenario, folder: Path) -> subprocess.Popen[str]:
    folder.with_name(_MARK).unlink(missing_ok=True)
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(_TESTS)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, scenario.name],
        cwd=folder,
        env={**os.environ, **OWN, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _killed(stage: Stage, run: Run, delay: float, *, begun: bool) -> Run:
    folder = copied(stage.template, stage.template.with_name("run"))
    mark = folder.with_name(_MARK)
    try:
        program = _started(stage.scenario, folder)
        if begun:
            _wait_until_begun(folder)
        time.sleep(delay)
        program.send_signal(signal.Signals[run.kind])
        # The pipe is held by workers too: it ends when the last of them does.
        run.said = program.communicate(timeout=60)[0]
        wait_for_end(program.pid)
        run.code = program.returncode
        run.operation = "running" if mark.exists() else "starting"
        _judge(stage, folder, run)
        return run
    finally:
        shutil.rmtree(folder)


def _judge(stage: Stage, folder: Path, run: Run) -> None:
    """Judge a run; where it was Python that ended, in its own way, then only what is left.

    That is so before any of evaltrace runs, and after all of it.
    """
    code, said = run.code, run.said
    if code == -signal.Signals[run.kind] or run.operation == "starting":
        run.code, run.said = {"SIGTERM": 143, "SIGINT": 130}.get(run.kind, code), ""
    judge(stage, folder, run)
    run.code, run.said = code, said


if __name__ == "__main__":
    # What a shell starts in the background cannot be interrupted, nor what that starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main("kill", KILL_KINDS, runs_of)
