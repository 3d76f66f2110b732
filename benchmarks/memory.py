"""Peak memory of one aggregating process, at 100 and at 1,000 trials.

    python benchmarks/memory.py [--sizes 100 1000] [--events full|none]

The job is made of copies of the sample trials, each with a name and an id of its own.
Prints a table and the ratio of the largest size to the smallest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples" / "jobs"


def write_big_job(folder: Path, trials: int) -> int:
    """Write a job of copied trials; give its size in bytes."""
    originals = sorted(path.parent for path in EXAMPLES.glob("*/*/result.json"))
    for number, original in enumerate(islice(cycle(originals), trials)):
        copy = folder / f"task-{number % 200:03}__{number:07}"
        shutil.copytree(original, copy)
        for name in ("result.json", "config.json"):
            document = json.loads((copy / name).read_text())
            document |= {"trial_name": copy.name}
            if "task_name" in document:
                document["task_name"] = f"task-{number % 200:03}"
            (copy / name).write_text(json.dumps(document))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(job: Path, events: str, out: Path) -> tuple[float, float, float]:
    """Aggregate in a process of its own; give peak MB, CPU seconds, wall seconds."""
    command = [sys.executable, "-m", "evaltrace", "aggregate", str(job)]
    command += ["-o", str(out), "--events", events, "--quiet"]
    start = time.perf_counter()
    pid = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"the aggregation failed: {' '.join(command)}")
    # Linux counts kilobytes, macOS bytes.
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return usage.ru_maxrss / scale, usage.ru_utime + usage.ru_stime, wall


def main() -> None:
    """Measure each size and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--events", choices=["full", "none"], default="full")
    options = parser.parse_args()
    peaks = []
    print(
        f"{'trials':>8} {'input MB':>9} {'output MB':>10} {'peak MB':>8} {'CPU s':>7} {'wall s':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            job, out = Path(folder, f"job-{size}"), Path(folder, "out.json")
            job.mkdir()
            given = write_big_job(job, size)
            peak, cpu, wall = measure(job, options.events, out)
            written = out.stat().st_size
            peaks.append(peak)
            print(
                f"{size:>8} {given / 1e6:>9.1f} {written / 1e6:>10.1f} "
                f"{peak:>8.1f} {cpu:>7.2f} {wall:>7.2f}"
            )
            shutil.rmtree(job)
    print(f"peak memory, largest over smallest: {peaks[-1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
