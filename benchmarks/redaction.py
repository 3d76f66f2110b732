"""What redaction costs next to aggregation, and how its time grows with the input.

    python benchmarks/redaction.py [JOBS]

JOBS is a folder of job directories; without it, 40 trials are written for the occasion. Prints
medians of CPU time over interleaved repeats: of the aggregation of a trial without redaction and
with it, of the look at its trace that most traces need, and of the full redaction of a trace with
secrets in it. Then, for
texts that are made to be slow, CPU seconds at one size and at eight times that size.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from evaltrace import Options, aggregate_jobs, read_traces
from evaltrace.redact import Redactor, redact_trace
from evaltrace.trace import Trace
from job_directories import write_jobs

REPEATS = 5
FACTOR = 8


def cpu(call: Callable[[], object]) -> float:
    """Give the CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def with_secrets(trace: Trace) -> Trace:
    """Put a token into three places of a trace."""
    token = "gh" + "p_" + "aZ3kR9" * 6
    events = [
        msgspec.structs.replace(event, output=f"{event.output}\n{token}\n")
        if number in (3, 7)
        else event
        for number, event in enumerate(trace.events or [])
    ]
    return msgspec.structs.replace(
        trace, events=events or None, task_instruction=f"{trace.task_instruction} {token}"
    )


def shares(jobs: Path, events: bool) -> None:
    """Print what redaction takes of the time of an aggregation."""
    redactor = Redactor(key=b"benchmark")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "traces.json"
        off = Options(events=events, redact=False)
        on = Options(events=events, redact=redactor)
        aggregate_jobs([jobs], out, options=off)
        traces = list(read_traces(out))
        size = out.stat().st_size
        encoded = [msgspec.json.encode(trace) for trace in traces]
        full = [with_secrets(trace) for trace in traces]
        calls: dict[str, Callable[[], object]] = {
            "aggregate": lambda: aggregate_jobs([jobs], out, options=off),
            "redacted": lambda: aggregate_jobs([jobs], out, options=on),
            "look": lambda: [redactor.is_clean(text) for text in encoded],
            "redact": lambda: [
                redact_trace(redactor, *pair) for pair in zip(traces, encoded, strict=True)
            ],
            "secrets": lambda: [redact_trace(redactor, trace) for trace in full],
        }
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(REPEATS):
            for name, call in calls.items():
                taken[name].append(cpu(call))
    middle = {name: median(times) for name, times in taken.items()}
    number, doubtful = len(traces), sum(not redactor.is_clean(text) for text in encoded)
    what = "full" if events else "none"
    print(f"events {what}: {number} traces of {size / number / 1e3:.0f} KB, {doubtful} in doubt")
    for name, seconds in middle.items():
        share, speed = seconds / middle["aggregate"], size / seconds / 1e6
        print(f"  {name:<10}{seconds / number * 1e3:>8.2f} ms{share:>8.1%}{speed:>9.0f} MB/s")


CASES: dict[str, str] = {
    "prose": "the quick brown fox jumps over the lazy dog and does it again\n",
    "names without values": "password = secret: token = api_key: key = ",
    "quotes": 'password = "\\"\\"\\"',
    "backslashes": "\\" * 31 + '"',
    "beginnings of tokens": " ".join(("sk-ant-", "gh" + "p_", "eyJ", "AI" + "za", "xo" + "xb-")),
    "beginnings of keys": "-----BEGIN PRIVATE" + " KEY-----\n",
    "ends of keys": "-----END PRIVATE" + " KEY-----\nAAAA\n",
    "one long word": "aB3",
    "dots": "eyJ.",
    "addresses": "a://b:c",
    "nested JSON": '{"a":"',
    "markers": "[redacted:jwt:00000000]",
    "line breaks": "a\n",
}


def growth() -> None:
    """Print how time grows with texts that repeat an awkward part."""
    redactor = Redactor(key=b"benchmark")
    redactor.is_clean("")
    print(f"{'case':<24}{'1':>9}{FACTOR:>9}{'ratio':>8}")
    for name, part in CASES.items():
        times = []
        for size in (60_000, 60_000 * FACTOR):
            text = part * (size // len(part))
            call = partial(redactor.text, text)
            times.append(min(cpu(call) for _ in range(3)))
        ratio = times[1] / max(times[0], 1e-6)
        print(f"{name:<24}{times[0]:>8.3f}s{times[1]:>8.3f}s{ratio:>8.1f}")


def main() -> None:
    """Run both parts."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "jobs"
        if len(sys.argv) == 1:
            write_jobs(jobs, kind="full", trials=40)
        for events in (False, True):
            shares(jobs, events)
    growth()


if __name__ == "__main__":
    main()
