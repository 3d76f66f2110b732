"""How runs begin to be recorded, and how those of other processes are found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from evaltrace.record.clocks import Clock
from evaltrace.record.identity import writer_name
from evaltrace.record.journal import Journal, create_journal, open_journal, read_head
from evaltrace.record.lines import Line, encode_line
from evaltrace.record.live import RUNS, Recording, current_recording
from evaltrace.record.options import RecordingOptions, to_head, to_opening, to_trigger
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
    folder = recordings_folder(options.get("folder"))
    head = to_head(str(uuid4()), agent, task_type, context, options)
    clock = Clock(options.get("clock"))
    head.started = clock.now()
    head.wall, head.steady, head.boot = clock.wall, clock.steady, clock.boot
    head.trigger = to_trigger(options.get("trigger"), head.started)
    head.writer = writer_name()
    head.file = file_name(head.agent, head.task_type, head.started)
    path = folder / HIDDEN / f"{head.trace_id}{SUFFIX}"
    failure = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        head.file = reserve(folder, head.file, head.trace_id)
        journal = create_journal(path, encode_line(head), head.fsync)
    except (OSError, ValueError) as error:
        journal, failure = Journal(path, None), error
    run = Recording(
        head,
        folder,
        clock,
        journal=journal,
        mirror=options.get("mirror"),
        store=divided(options.get("store"))[0],
    )
    RUNS[run.trace_id] = run
    if failure is not None:
        run.complain("the journal cannot be written", failure)
    run.tell("trace_started", Line(at=head.started, name=head.agent, data=to_opening(head)))
    return run


def find(trace_id: str, folder: str | os.PathLike[str] | None = None) -> Recording | None:
    """Give the running recording of a trace, also one that another process has started."""
    if not isinstance(trace_id, str):
        return None
    run = RUNS.get(trace_id)
    if run is None:
        run = _open(trace_id, recordings_folder(folder))
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
