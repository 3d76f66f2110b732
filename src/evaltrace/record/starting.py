"""How runs begin to be recorded, and how those of other processes are found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from evaltrace.record.clocks import Clock
from evaltrace.record.journal import Journal, create_journal, open_journal, read_head
from evaltrace.record.lines import Head, Line, encode_line
from evaltrace.record.live import RUNS, Recording, current_recording
from evaltrace.record.options import NAMES, RecordingOptions, to_head, to_opening, to_trigger
from evaltrace.record.places import (
    HIDDEN,
    SUFFIX,
    file_name,
    journal_path,
    recordings_folder,
    reserve,
)
from evaltrace.record.stores import divided

_MANY = 64
"""Runs that are open before those are looked for that have ended."""


def start(agent: Any, task_type: Any, context: Any, options: RecordingOptions) -> Recording:
    """Start to record a run; where no journal can be made, its events stay in memory."""
    complaints = _unknown(options)
    try:
        folder = recordings_folder(options.get("folder"))
    except (TypeError, ValueError) as error:
        folder = recordings_folder()
        complaints.append(("it is in the usual folder, as the one named is none", error))
    head = to_head(str(uuid4()), agent, task_type, context, options)
    clock = Clock(options.get("clock"))
    head.started = clock.now()
    head.wall, head.steady, head.boot = clock.wall, clock.steady, clock.boot
    head.trigger = to_trigger(options.get("trigger"), head.started)
    journal, failure = _create(head, folder)
    if failure is not None:
        complaints.append(("the journal cannot be written", failure))
    store, _ = divided(options.get("store"))
    mirror = options.get("mirror")
    run = Recording(head, folder, clock, journal=journal, mirror=mirror, store=store)
    RUNS[run.trace_id] = run
    for what, cause in complaints:
        run.complain(what, cause)
    run.tell("trace_started", Line(at=head.started, name=head.agent, data=to_opening(head)))
    return run


def _unknown(options: RecordingOptions) -> list[tuple[str, BaseException | None]]:
    unknown = sorted(set(options) - NAMES)
    return [(f"options that nobody knows: {', '.join(unknown)}", None)] if unknown else []


def _create(head: Head, folder: Path) -> tuple[Journal, BaseException | None]:
    """Make the journal of a run, and reserve the name of its file; or say why that failed."""
    head.file = file_name(head.agent, head.task_type, head.started)
    path = folder / HIDDEN / f"{head.trace_id}{SUFFIX}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        head.file = reserve(folder, head.file, head.trace_id)
        return create_journal(path, encode_line(head), head.fsync), None
    except (OSError, ValueError) as error:
        return Journal(path, None), error


def find(trace_id: str, folder: str | os.PathLike[str] | None = None) -> Recording | None:
    """Give the running recording of a trace, also one that another process has started."""
    if not isinstance(trace_id, str):
        return None
    run = RUNS.get(trace_id)
    if run is None:
        try:
            run = _open(trace_id, recordings_folder(folder))
        except (TypeError, ValueError):  # no name of a folder: there is no trace either
            return None
        if run is not None:
            _close_ended()
            RUNS[trace_id] = run
    return run


def _close_ended() -> None:
    """Let go of traces that other processes have ended, so that a worker can have any number."""
    if len(RUNS) >= _MANY:
        for name, run in list(RUNS.items()):
            if run.is_ended():
                RUNS.pop(name, None)


def _open(trace_id: str, folder: Path) -> Recording | None:
    path = journal_path(folder, trace_id)
    if path is None:
        return None
    try:
        descriptor = open_journal(path)
    except OSError:
        return None
    head = read_head(descriptor)
    if head is None:
        os.close(descriptor)
        return None
    clock = Clock(start=(head.wall, head.steady, head.boot))
    return Recording(head, folder, clock, journal=Journal(path, descriptor, head.fsync))


def active_recording() -> Recording | None:
    """Give the recording of this block, else the only one of this process; None without."""
    run = current_recording()
    if run is None and len(RUNS) == 1:
        run = next(iter(list(RUNS.values())), None)
    return run


def _after_fork() -> None:
    for run in list(RUNS.values()):
        run.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
