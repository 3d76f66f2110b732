"""Asks three questions of a data set of made-up traces, and prints the milliseconds of each.

    python benchmarks/suite/tables.py FOLDER COUNT

Writes the data set unless it is there. Time is on the wall, in a process that has imported
everything; the median of seven.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from comparing import to_trace
from evaltrace.files.dataset import write_dataset
from evaltrace.query import answer
from evaltrace.trace import Tool, Trace

_ARMS = ("baseline", "treatment")


def traces(count: int) -> Iterator[Trace]:
    """Make so many traces in two arms; one of them has a rare word."""
    rng = Random(1)
    for number in range(count):
        trace = to_trace(rng, _ARMS[number % 2], f"task-{number // 10:05}", number % 10 // 2 + 1)
        if number == count // 2:
            trace.task_instruction = "Beware of the xylograph.\n"
        yield trace


def main() -> None:
    """Write the data set, ask, and print."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    if not folder.exists():
        write_dataset(folder, traces(count), tool=Tool(name="evaltrace", version="benchmark"))
    wanted = f"task-{count // 30:05}-baseline-2"
    questions = {
        "pass rate by arm": "SELECT arm, avg(passed::INT) FROM trials GROUP BY arm",
        "one trace by id": f"SELECT * FROM trials WHERE trace_id = '{wanted}'",
        "a rare word": "SELECT trace_id FROM trials WHERE contains(trace, 'xylograph')",
    }
    for name, sql in questions.items():
        times = []
        for _ in range(8):
            start = time.perf_counter()
            with answer(sql, [folder]) as found:
                rows = list(found.rows)
            times.append(1000 * (time.perf_counter() - start))
            if not rows:
                sys.exit(f"no answer to: {name}")
        print(f"{name}\t{median(times[1:])}")


if __name__ == "__main__":
    main()
