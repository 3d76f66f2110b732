"""Try mutated inputs on everything that reads what comes from outside, and report what breaks.

    python benchmarks/fuzzing.py [TARGET ...] [--seconds 60] [--count N] [--first 0] [--list]
    python benchmarks/fuzzing.py --bombs

Every attempt follows from its target's name and its number, so a fault can be tried again with
`TARGET --first NUMBER --count 1`. An attempt has 2 seconds of CPU time, the process 6 GB of
memory. Prints attempts, refusals (our own errors) and faults for each target; exits 1 if there
is a fault.

With `--bombs`, bombs in their full size (a line of 2 GB, 10 million events, a million entries)
are put into a job each, and a child with 1 GB of memory aggregates it: prints CPU seconds, peak
memory and the problems that were reported.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import bombs
from evaltrace import EvaltraceError
from fuzz_stored import stored_targets
from fuzz_targets import Target, all_targets, seeded
from job_dirs import write_job
from mutations import mutate

LIMIT = 2.0
MEMORY = 6 << 30


class TooSlow(BaseException):
    """An attempt took longer than it may."""


def _stop(*_: object) -> None:
    raise TooSlow


def attempt(target: Target, number: int, others: list[bytes]) -> str | None:
    """Try one mutant; None, the name of our error, or a traceback."""
    random, chosen = seeded(target, number)
    content = mutate(target.seeds[chosen], random, others)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        target.attempt(chosen, content)
    except EvaltraceError as error:
        return type(error).__name__
    except (Exception, TooSlow):
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def place_of(fault: str) -> str:
    """Name a fault by where it was raised, and by what."""
    lines = [line for line in fault.splitlines() if line.lstrip().startswith("File ")]
    ours = [line.strip() for line in lines if "/evaltrace/" in line] or lines[-1:]
    last = fault.strip().splitlines()[-1]
    last = re.sub("[0-9]+", "N", last)  # positions differ
    return f"{last[:100]} @ {ours[-1].split('/')[-1] if ours else '?'}"


def run(target: Target, first: int, count: int, seconds: float) -> Counter[str]:
    """Try mutants until there were `count`, or the time is up; print each new kind of fault."""
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    others = [seed for seed in target.seeds if len(seed) < 1_000_000]
    end = time.process_time() + seconds
    for number in range(first, first + count):
        if time.process_time() > end:
            break
        found = attempt(target, number, others)
        counts["tried"] += 1
        if found is not None and "\n" not in found:
            counts["refused"] += 1
        elif found is not None:
            counts["faults"] += 1
            kind = place_of(found)
            if not kinds[kind]:
                print(f"--- {target.name} --first {number} --count 1\n{found}", flush=True)
            kinds[kind] += 1
    for kind, times in kinds.most_common():
        print(f"    {times:6} x {kind}")
    return counts


FULL_SIZE: dict[str, Callable[[Path], object]] = {
    "line of 2 GB": partial(bombs.sparse_line, size=2 << 30),
    "output of 2 GB": partial(bombs.sparse_output, size=2 << 30),
    "document of 10 TB": partial(bombs.sparse_document, size=10 << 40),
    "10 million tiny events": partial(bombs.tiny_events, count=10_000_000),
    "a million entries": partial(bombs.many_entries, count=1_000_000),
    "depth of 1 million": partial(bombs.deep_line, depth=1_000_000),
}


def explode() -> int:
    """Aggregate each bomb in its full size, and print what that took."""
    failed = 0
    for name, bomb in {**{name: row[0] for name, row in bombs.BOMBS.items()}, **FULL_SIZE}.items():
        with tempfile.TemporaryDirectory() as folder:
            job = write_job(Path(folder), "job", ["one"])
            bomb(next(job.glob("one__*")))
            out = Path(folder) / "traces.json"
            command = ["aggregate", job, "-o", out, "-q", "--workers", "1", "--no-cache"]
            end = bombs.run_limited(command, seconds=300, memory=1 << 30)
            problems = json.loads(out.read_bytes())["problems"] if out.exists() else []
        codes = ", ".join(sorted({row["code"] for row in problems})) or "read"
        failed += end.code != 0
        spent = f"{end.seconds:.1f} s, {end.megabytes} MB"
        print(f"{name}: exit {end.code}, {spent}: {codes} {end.err}", flush=True)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="beginnings of names; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="CPU seconds for each target")
    parser.add_argument("--count", type=int, default=sys.maxsize)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--bombs", action="store_true", help="full-size bombs instead")
    given = parser.parse_args()
    if given.bombs:
        return explode()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _stop)
    memory = Path("/dev/shm")
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        place = Path(folder)
        for target in (*all_targets(place / "read"), *stored_targets(place / "stored")):
            if given.targets and not target.name.startswith(tuple(given.targets)):
                continue
            if given.list:
                print(target.name)
                continue
            counts = run(target, given.first, given.count, given.seconds)
            total += counts
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            row = ", ".join(f"{counts[name]:,} {name}" for name in ("tried", "refused", "faults"))
            print(f"{target.name}: {row}; peak {peak} MB", flush=True)
    print(f"total: {total['tried']:,} tried, {total['faults']:,} faults")
    return 1 if total["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
