"""What evaltrace leaves when files fail and processes are killed, at every point there is.

    python benchmarks/faults.py [SCENARIO...] [--sample N] [--seed N] [--kills N]

Each scenario of tests/fault_scenarios.py meets each fault of tests/failing_files.py at each of its
operations (or N of them). Where strace is there, what SQLite does in C fails too, call by call.
Then commands with worker processes are killed at random times. Prints a Markdown table and exits 1
if an earlier output was lost, a part of one was left, or a message was none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

_TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(_TESTS))

from failing_files import Fault  # noqa: E402
from fault_runs import Run, copied, faults_of, forked, scratch_folder, state_of  # noqa: E402
from fault_scenarios import SCENARIOS, Scenario  # noqa: E402

_CALLS = ("openat", "pwrite64", "write", "fdatasync", "fsync", "ftruncate", "unlink", "fcntl")
_STORES = ("store_add", "store_new", "store_backup")
_KILLED = ("aggregate_parts", "compare", "store_add", "redact_copy")
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_RUN = "import sys; from fault_scenarios import SCENARIOS; sys.exit(SCENARIOS[sys.argv[1]].run())"


def main() -> int:
    """Run all, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenarios", nargs="*", default=[])
    parser.add_argument("--sample", type=int, help="runs of each scenario; else all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=60, help="of each command")
    given = parser.parse_args()
    names = given.scenarios or list(SCENARIOS)
    rows: Counter[str] = Counter()
    bad: list[Run] = []
    for name in names:
        for what, run in _all_runs(name, given):
            rows[what] += 1
            if run.faults:
                bad.append(run)
                print(f"{run}", file=sys.stderr)
        print(f"{name}: {rows.total():,} runs so far", file=sys.stderr)
    print("| what | runs |\n|---|---|")
    for what, number in sorted(rows.items()):
        print(f"| {what} | {number:,} |")
    print(f"| runs that lost or left something | {len(bad)} |")
    return 1 if bad else 0


def _all_runs(name: str, given: argparse.Namespace) -> Iterator[tuple[str, Run]]:
    random = Random(given.seed)
    for run in _forked_runs(name, given):
        yield f"{name}: operations of Python", run
    if name in _STORES and shutil.which("strace"):
        for run in _traced_runs(SCENARIOS[name], random, given.sample):
            yield f"{name}: calls of the system", run
    if name in _KILLED:
        for run in _killed_runs(SCENARIOS[name], random, given.kills):
            yield f"{name}: kills at random times", run


def _forked_runs(name: str, given: argparse.Namespace) -> Iterator[Run]:
    sample = [] if given.sample is None else ["--sample", str(given.sample)]
    command = [sys.executable, str(_TESTS / "fault_runs.py"), name, "--seed", str(given.seed)]
    done = subprocess.run([*command, *sample], check=True, capture_output=True, env=_environment())
    yield from (Run(**json.loads(line)) for line in done.stdout.splitlines())


def _environment() -> dict[str, str]:
    own = {"EVALTRACE_CACHE": "cache", "EVALTRACE_REDACTION_KEY": "0" * 64, "HOME": "home"}
    paths = {"PYTHONPATH": str(_TESTS), "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **own, **paths, "PYTHONDONTWRITEBYTECODE": "1"}


def _traced_runs(scenario: Scenario, random: Random, sample: int | None) -> Iterator[Run]:
    with scratch_folder() as place:
        template, states = _prepared(scenario, Path(place))
        points = [
            (call, at) for call in _CALLS for at in range(1, _count(scenario, template, call) + 1)
        ]
        chosen = points if sample is None else random.sample(points, min(sample, len(points)))
        for call, at in chosen:
            error = random.choice(("ENOSPC", "EIO"))
            inject = [f"inject={call}:error={error}:when={at}"]
            yield _strace(scenario, template, states, Run(scenario.name, error, at, call), inject)


def _prepared(scenario: Scenario, place: Path) -> tuple[Path, tuple[Any, Any]]:
    template = place / "template"
    template.mkdir()
    forked(template, scenario.prepare, Fault(str(template)))
    (template / "home").mkdir(exist_ok=True)
    clean = copied(template, place / "clean")
    forked(clean, scenario.run, Fault(str(clean)))
    return template, (state_of(scenario, template), state_of(scenario, clean))


def _count(scenario: Scenario, template: Path, call: str) -> int:
    folder = copied(template, template.with_name("run"))
    done = _under_strace(scenario, folder, [f"trace={call}"])
    shutil.rmtree(folder)
    return len(re.findall(rf"^\d+ +{call}\(", done[1], re.M))


def _under_strace(scenario: Scenario, folder: Path, rules: list[str]) -> tuple[Any, str]:
    log = folder.with_name("log")
    files = [f"-P{folder}/{name}{end}" for name in ("runs.db", "copy.db")
             for end in ("", "-wal", "-shm", "-journal")]  # fmt: skip
    aside = [f"-P{folder}"]
    command = ["strace", "-f", "-qq", "-o", str(log), *files, *aside]
    command += [part for rule in rules for part in ("-e", rule)]
    done = subprocess.run(
        [*command, sys.executable, "-P", "-c", _RUN, scenario.name],
        cwd=folder, env=_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, log.read_text()


def _strace(
    scenario: Scenario, template: Path, states: tuple[Any, Any], run: Run, rules: list[str]
) -> Run:
    folder = copied(template, template.with_name("run"))
    try:
        done, _ = _under_strace(scenario, folder, rules)
        run.code, run.said = done.returncode, done.stderr + done.stdout
        run.faults = list(faults_of(scenario, folder, states, run))
        return run
    finally:
        shutil.rmtree(folder)


def _killed_runs(scenario: Scenario, random: Random, kills: int) -> Iterator[Run]:
    with scratch_folder() as place:
        template, states = _prepared(scenario, Path(place))
        length = _seconds(scenario, template)
        for number in range(kills):
            run = Run(scenario.name, _SIGNALS[number % 3].name, number)
            yield _killed(scenario, template, states, run, random.uniform(0.2, 1.1) * length)


def _seconds(scenario: Scenario, template: Path) -> float:
    folder = copied(template, template.with_name("run"))
    before = time.monotonic()
    _started(scenario, folder).communicate()
    shutil.rmtree(folder)
    return time.monotonic() - before


def _started(scenario: Scenario, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _RUN, scenario.name],
        cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip


def _killed(
    scenario: Scenario, template: Path, states: tuple[Any, Any], run: Run, delay: float
) -> Run:
    from dying_workers import wait_for_end

    folder = copied(template, template.with_name("run"))
    try:
        program = _started(scenario, folder)
        time.sleep(delay)
        program.send_signal(signal.Signals[run.kind])
        # The pipe is held by workers too: it ends when the last of them does.
        run.said = program.communicate(timeout=60)[0]
        wait_for_end(program.pid)
        run.code = program.returncode
        run.faults = [] if _too_early(run) else list(faults_of(scenario, folder, states, run))
        return run
    finally:
        shutil.rmtree(folder)


def _too_early(run: Run) -> bool:
    """Tell whether it was Python that was stopped, before any of evaltrace ran."""
    return run.code in {-signal.SIGTERM, -signal.SIGINT} or "KeyboardInterrupt" in run.said


if __name__ == "__main__":
    sys.exit(main())
