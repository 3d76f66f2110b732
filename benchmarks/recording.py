"""What live recording costs: the time of an event, its share of a program's time, the end.

    python benchmarks/recording.py [--events 1000000] [--folder FOLDER] [--quick]

Prints a Markdown table and exits 1 if the median of an event without fsync is 50 microseconds or
more. Times of single events are wall times (an event waits for nothing but the kernel); medians
over windows of events, so that they show whether the millionth costs what the first did.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from evaltrace import log_trace_event, recording

LIMIT_US = 50.0
_WINDOW = 1000
_SMALL = {"file": "src/auth/authentication.py", "section": "PRIORITY 10", "tokens": 2143}
_CALL = {"model": "m-1", "prompt_tokens": 5000, "completion_tokens": 1200, "cost_usd": 0.018}
_PROMPT = "Generate the logic that authenticates a user.\n" * 80


def main() -> int:
    """Measure, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the recordings go; else a temporary one")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the events")
    given = parser.parse_args()
    events = given.events // 100 if given.quick else given.events
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        rows = [*_forms(Path(place)), *_at_each_size(Path(place), events), *_shares(Path(place))]
    print("| what | figure |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    slow = [what for what, figure in rows if _is_slow(what, figure)]
    print(f"\n{len(slow)} limits missed {slow or ''}")
    return 1 if slow else 0


def _is_slow(what: str, figure: str) -> bool:
    timed = what.startswith("event") and "fsync" not in what
    return timed and float(figure.split(maxsplit=1)[0]) >= LIMIT_US


def _forms(folder: Path) -> list[tuple[str, str]]:
    """Measure the ways to record an event, interleaved."""
    plain = recording("bench", "forms", folder=folder)
    waiting = recording("bench", "forms", folder=folder, fsync=True)

    def step() -> None:
        with plain.step("agent", "work"):
            pass

    forms: dict[str, tuple[Callable[[], object], int]] = {
        "event, small data": (lambda: plain.event("file_read", _SMALL), 5000),
        "event, by log_trace_event": (
            lambda: log_trace_event(plain.trace_id, "file_read", _SMALL), 5000),
        "event, llm_call with 3,700 characters of input and output": (
            lambda: plain.event("llm_call", _CALL, input=_PROMPT, output=_PROMPT), 5000),
        "step (two lines)": (step, 5000),
        "fsync: event, small data": (lambda: waiting.event("file_read", _SMALL), 50),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(5):
        for name, (record, count) in forms.items():
            times[name] += _timed(record, count // 5)
    plain.end()
    waiting.end()
    return [(name, _told(found)) for name, found in times.items()]


def _at_each_size(folder: Path, events: int) -> list[tuple[str, str]]:
    """Measure windows of one long recording, and its end."""
    run = recording("bench", "long", folder=folder)
    rows = []
    for number in range(0, events, _WINDOW):
        found = _timed(lambda: run.event("file_read", _SMALL), _WINDOW)
        if number + _WINDOW in (_WINDOW, events // 10, events):
            rows.append((f"event, at the {number + _WINDOW:,}th", _told(found)))
    before, memory = time.process_time(), _peak()
    trace = run.end()
    spent = time.process_time() - before
    count = len(trace.events or ()) if trace is not None else 0
    rows.append((f"end of {count:,} events, CPU time", f"{spent:.1f} s"))
    rows.append((f"end of {count:,} events, memory", f"{(_peak() - memory) / 1e6:,.0f} MB more"))
    return rows


def _shares(folder: Path) -> list[tuple[str, str]]:
    """Record a program of 2 ms of work an event; compare what the trace says with the clock."""
    before = time.monotonic()
    run = recording("bench", "share", folder=folder)
    started = time.monotonic()
    for _ in range(1500):
        run.event("file_read", _SMALL)
        _work(0.002)
    worked = time.monotonic() - started
    trace = run.end()
    whole = time.monotonic() - before
    if trace is None or trace.metrics.durations.total_s is None:
        return []
    told = (trace.metrics.manifest or {})["recording"]["share_of_time"]
    traced = trace.metrics.durations.total_s
    return [
        ("share of time that the trace tells, 2 ms of work an event", f"{100 * told:.2f} %"),
        ("traced time against the wall clock of the program", _apart(traced, worked)),
        ("the same with what start and end take", _apart(traced, whole)),
    ]


def _apart(traced: float, wall: float) -> str:
    return f"{100 * abs(traced - wall) / wall:.3f} % of {wall:.2f} s"


def _work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def _timed(record: Callable[[], object], count: int) -> list[float]:
    clock = time.perf_counter
    found = []
    for _ in range(count):
        before = clock()
        record()
        found.append((clock() - before) * 1e6)
    return found


def _told(times: list[float]) -> str:
    return f"{median(times):.1f} µs (p99 {quantiles(times, n=100)[98]:.1f})"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    sys.exit(main())
