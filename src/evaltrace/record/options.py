"""How a run is recorded: what a caller may say at its start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from evaltrace.record.clocks import to_stamp
from evaltrace.record.lines import Head
from evaltrace.record.stores import StoreChoice, divided
from evaltrace.record.values import Room, to_count, to_plain, to_text
from evaltrace.trace import Trigger

_RAW_LIMIT = 4096

Mirror = Callable[[dict[str, Any]], object]


class RecordingOptions(TypedDict, total=False):
    """What may be said of a run beside agent, task type and context.

    folder: where the trace is written; else $EVALTRACE_RECORDINGS, else artifacts/recordings.
    store: a store, or the path of one, that also gets the finished trace.
    trigger: what started the run: a Trigger, its fields, or its source alone.
    task: name of the task, where it is more than its type; instruction: what the agent was told.
    arm, model, plan: label for comparisons, configured model, summary of the plan in words.
    redact: False leaves secrets in the trace (they are replaced, and stay in the journal).
    raw_limit: characters kept of each raw input and output (4,096).
    fsync: wait for the disk at each event; strict: raise RecordingFailure instead of warning.
    clock: gives seconds since the epoch; everything then goes by it (for tests).
    mirror: is called with each event as a dictionary, which still has its secrets.
    """

    folder: str | os.PathLike[str] | None
    store: StoreChoice
    trigger: Trigger | Mapping[str, Any] | str | None
    task: str | None
    instruction: str | None
    arm: str | None
    model: str | None
    plan: str | None
    redact: bool
    raw_limit: int
    fsync: bool
    strict: bool
    clock: Callable[[], float] | None
    mirror: Mirror | None


NAMES = frozenset(RecordingOptions.__annotations__)


def to_head(
    trace_id: str, agent: Any, task_type: Any, context: Any, options: RecordingOptions
) -> Head:
    """Put what the caller says of a run into the first line of its journal; the rest is empty."""
    room = Room()
    texts: dict[str, Any] = {
        name: to_text(options.get(name), room)
        for name in ("task", "instruction", "arm", "model", "plan")
        if options.get(name) is not None
    }
    room.field = "context"
    facts = None if context is None else to_plain(context, room)
    return Head(
        trace_id=trace_id,
        agent=to_text(agent, room),
        task_type=to_text(task_type, room),
        started=0.0,
        file="",
        context=facts if facts is None or isinstance(facts, dict) else {"value": facts},
        raw_limit=_limit(options.get("raw_limit")),
        fsync=bool(options.get("fsync")),
        strict=bool(options.get("strict")),
        redact=bool(options.get("redact", True)),
        store=divided(options.get("store"))[1],
        cuts=room.cuts,
        **texts,
    )


def _limit(given: Any) -> int:
    count = to_count(given)
    return _RAW_LIMIT if count is None else count


def to_trigger(given: Trigger | Mapping[str, Any] | str | None, at: float) -> Trigger | None:
    """Complete what started a run by the time, where that is not said."""
    if given is None:
        return None
    room = Room()
    if isinstance(given, Trigger):
        values = {name: getattr(given, name) for name in Trigger.__struct_fields__}
    elif isinstance(given, Mapping):
        values = {name: given.get(name) for name in Trigger.__struct_fields__}
    else:
        values = {"source": given}
    texts = {key: to_text(value, room) for key, value in values.items() if value is not None}
    texts.setdefault("timestamp", to_stamp(at))
    texts.setdefault("source", "unknown")
    return Trigger(**texts)


def to_opening(head: Head) -> dict[str, Any]:
    """Say what a run is started for, beside its context, as a mirror gets it."""
    facts: dict[str, Any] = {"task_type": head.task_type}
    if head.trigger is not None:
        facts["trigger_source"] = head.trigger.source
        facts["intent_type"] = head.trigger.intent_type
        facts["issue_key"] = head.trigger.issue_key
    return {**(head.context or {}), **{k: v for k, v in facts.items() if v is not None}}
