"""What evaltrace leaves when files fail and processes are killed, at every point there is.

    python benchmarks/faults.py [SCENARIO...] [--sample N] [--seed N] [--kills N] [--jobs N]
                                [--results FILE]

Each scenario of tests/fault_scenarios.py meets each fault of tests/failing_files.py at each of its
operations (or N of them). Where strace is there, what SQLite and Arrow do in C fails too, call by
call. Then commands with worker processes are killed at random times. What is in the file of
results is not run again: what was stopped goes on. Prints a Markdown table and exits 1 if an
earlier output was lost, a part of one was left, or a message was none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock

_TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(_TESTS))

from fault_calls import can_trace  # noqa: E402
from fault_kills import KILLED  # noqa: E402
from fault_runs import ALL, Run, read_runs  # noqa: E402
from fault_scenarios import SCENARIOS  # noqa: E402

_TRACED = (
    "store_add", "store_new", "store_backup", "store_export", "store_prune", "record_store",
    "aggregate_parquet",
)  # fmt: skip
_WHAT = {
    "operation": "operations of Python",
    "call": "calls of the system, made by C code too",
    "kill": "kills at random times",
}
Command = list[str]


def main() -> int:
    """Run all, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenarios", nargs="*", default=[], choices=[[], *ALL])
    parser.add_argument("--sample", type=int, help="runs of each scenario; else all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=40, help="of each command, by each signal")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--results", type=Path, help="a line for each run; go on from there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = given.results or Path(folder, "results.jsonl")
        _cut_half_line(results)
        lock = Lock()
        with ThreadPoolExecutor(given.jobs) as pool:
            for said in pool.map(
                lambda command: _run(command, results, lock), _commands(given, results)
            ):
                print(said, file=sys.stderr, flush=True)
        return _report(read_runs(results))


def _cut_half_line(results: Path) -> None:
    """Keep what was run before; the last line may be half where that was stopped."""
    results.touch()
    runs = read_runs(results)
    results.write_text("".join(json.dumps(asdict(run)) + "\n" for run in runs))


def _commands(given: argparse.Namespace, results: Path) -> Iterator[Command]:
    """List the programs that run parts of all, as many of each as there are jobs."""
    names = given.scenarios or list(SCENARIOS)
    sample = [] if given.sample is None else ["--sample", str(given.sample)]
    kills = ["--sample", str(given.kills)]
    for script, chosen, more in (
        ("fault_runs.py", names, sample),
        ("fault_calls.py", [name for name in names if can_trace() and name in _TRACED], sample),
        ("fault_kills.py", [name for name in names if given.kills and name in KILLED], kills),
    ):
        for name in chosen:
            for part in range(given.jobs):
                own = ["--seed", str(given.seed), "--part", f"{part}/{given.jobs}"]
                yield [script, name, *more, *own, "--without", str(results)]


def _run(command: Command, results: Path, lock: Lock) -> str:
    """Run a program and append what it found, line by line."""
    environment = {**os.environ, "PYTHONPATH": str(_TESTS), "OPENBLAS_NUM_THREADS": "1"}
    # What was run so far is read when it starts, not while others append.
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as before:
        with lock:
            shutil.copy(results, before.name)
        script, *arguments = command
        arguments[-1] = before.name
        program = subprocess.Popen(
            [sys.executable, str(_TESTS / script), *arguments],
            stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        number = 0
        for line in program.stdout or ():
            number += 1
            with lock, results.open("a") as file:
                file.write(line)
        if program.wait():
            raise SystemExit(f"{' '.join(command)}: exit code {program.returncode}")
    return f"{script} {command[1]}: {number:,} runs"


def _report(runs: list[Run]) -> int:
    # In another order of writes, by workers, there may be one less: nothing failed.
    runs = [run for run in runs if run.operation or run.kind == "limit"]
    rows = Counter((run.level, run.scenario) for run in runs)
    kinds = Counter((run.level, run.kind) for run in runs)
    bad = [run for run in runs if run.faults]
    for run in bad:
        print(run, file=sys.stderr)
    for heading, counts in (("scenario", rows), ("fault", kinds)):
        print(f"| what | {heading} | runs |\n|---|---|---|")
        for (level, name), number in sorted(counts.items()):
            print(f"| {_WHAT[level]} | {name} | {number:,} |")
        print()
    for level, what in _WHAT.items():
        print(f"- {what}: {sum(run.level == level for run in runs):,}")
    print(f"- runs that lost or left something: {len(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
