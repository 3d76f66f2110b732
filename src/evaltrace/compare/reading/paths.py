"""Paths in, arms out: files of traces or job directories, read one trace at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from evaltrace.compare.collector import collector_paused
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.keeping import Keeping, copied
from evaltrace.compare.reading.metric import MetricField
from evaltrace.compare.reading.reduction import to_trial
from evaltrace.compare.sides import Trial
from evaltrace.errors import NothingFound, Problem
from evaltrace.files import STANDARD_INPUT, Frame, holds_traces, is_database, read_items
from evaltrace.remote import url_of
from evaltrace.trace import Input, Trace


@dataclass(slots=True)
class Reading:
    """What one path gave: its trials, the jobs behind them, a digest of its traces' bytes."""

    name: str
    form: Literal["file", "jobs"]
    trials: list[Trial]
    digest: str
    inputs: list[Input] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_path(path: Path, metric: MetricField, options: CompareOptions) -> Reading:
    """Read the trials of a file, a store or a folder of traces, or of the jobs below a folder.

    Raises what read_traces and plan_aggregation raise, and NothingFound without any trial.
    """
    patterns = tool_patterns(options)
    if path != STANDARD_INPUT and path.is_dir() and not holds_traces(path):
        return _read_jobs(path, metric, options, patterns)
    return _read_file(path, metric, options, patterns)


def tool_patterns(options: CompareOptions) -> tuple[str, ...]:
    """Give the patterns to look for in shell commands, the treatment's own included."""
    kind, _, pattern = (options.treatment or "").partition(":")
    own = (pattern,) if kind == "tool" and pattern else ()
    return tuple(dict.fromkeys((*options.tool_patterns, *own)))


def _read_file(
    path: Path, metric: MetricField, options: CompareOptions, patterns: Sequence[str]
) -> Reading:
    reading = Reading(_name_of(path), "file", [], "")
    keeping = Keeping(options)
    running = sha256()
    with collector_paused():
        for item in read_items(path, running.update):
            if isinstance(item, Frame):
                reading.inputs += item.inputs
                reading.problems += item.problems
                continue
            reading.trials.append(to_trial(item, metric, options, patterns, keeping))
    if not reading.trials:
        raise NothingFound("the file holds no trace", where=str(path), hint=_first_step(path))
    reading.digest = f"sha256:{running.hexdigest()}"
    _keep_traces_problems(reading)
    return reading


def _first_step(path: Path) -> str:
    if path != STANDARD_INPUT and is_database(path):
        return "Add a job first: evaltrace store add JOB --store FILE"
    return "Aggregate a job first: evaltrace aggregate JOB -o FILE"


def _name_of(path: Path) -> str:
    if path == STANDARD_INPUT:
        return "-"
    if path.is_dir():
        return path.resolve().name
    # The name of a pipe is the number of a descriptor, and another one the next time.
    return path.name if path.is_file() or url_of(path) else "pipe"


def _keep_traces_problems(reading: Reading) -> None:
    """Keep what concerns the file itself: the traces carry their own problems."""
    own = {problem for trial in reading.trials for problem in trial.trace.problems}
    reading.problems = [problem for problem in reading.problems if problem not in own]


def _read_jobs(
    path: Path, metric: MetricField, options: CompareOptions, patterns: Sequence[str]
) -> Reading:
    # The readers of all agents' logs: a file of traces needs none of them.
    from evaltrace.aggregate import read_records
    from evaltrace.plan import Options, plan_aggregation

    chosen = Options(
        pass_threshold=options.pass_threshold,
        prices=options.prices,
        tool_patterns=tuple(patterns),
        task_dirs=options.task_dirs,
    )
    plan = plan_aggregation([path], chosen)
    reading = Reading(path.resolve().name, "jobs", [], "", plan.inputs, list(plan.problems))
    keeping = Keeping(options)
    running = sha256()
    for record in read_records(plan):
        if record.trace is None:
            reading.problems += record.problems
            continue
        running.update(record.line or b"")
        reading.trials.append(to_trial(record.trace, metric, options, patterns, keeping))
    if not reading.trials:
        first = next(iter(reading.problems), None)
        hint = f"{first.path}: {first.message}" if first else None
        raise NothingFound("no trial could be read", where=str(path), hint=hint)
    reading.digest = f"sha256:{running.hexdigest()}"
    return reading


def to_reading(
    name: str, traces: Sequence[Trace], metric: MetricField, options: CompareOptions
) -> Reading:
    """Take traces that are in memory already as if they came from a file."""
    patterns = tool_patterns(options)
    keeping = Keeping(options)
    running = sha256()
    trials = []
    for trace in traces:
        running.update(_encoded(trace))
        trials.append(to_trial(copied(trace), metric, options, patterns, keeping))
    return Reading(name, "file", trials, f"sha256:{running.hexdigest()}")


def _encoded(trace: Trace) -> bytes:
    try:
        return msgspec.json.encode(trace)
    except UnicodeEncodeError:  # a lone surrogate in a text
        return repr(trace).encode("utf-8", "backslashreplace")


def jobs_of(trials: Sequence[Trial]) -> list[str]:
    """Name the jobs of some trials, sorted."""
    return sorted({trial.trace.origin.job_name or "" for trial in trials} - {""})


def inputs_of(reading: Reading, trials: Sequence[Trial]) -> Iterator[Any]:
    """Give the inputs that some of a reading's trials come from."""
    jobs = {(trial.trace.origin.job_name, trial.trace.origin.job_id) for trial in trials}
    return (row for row in reading.inputs if (row.job_name, row.job_id) in jobs)
