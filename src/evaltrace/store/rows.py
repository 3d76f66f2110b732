"""Events and sessions as rows, and rows as events and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import copysign
from typing import Any

import msgspec

from evaltrace.store.exact import from_exact, to_clean_json, to_exact
from evaltrace.store.forms import Session, StoredEvent, is_error
from evaltrace.times import elapsed_s, parse_time
from evaltrace.trace import Event, Trace, Usage
from evaltrace.untrusted import clean, one_line

Row = tuple[Any, ...]

EVENT_COLUMNS = (
    "key, session_key, id, type, parent_id, name, status, timestamp, duration_ms, role, text,"
    " reasoning, raw_input, input_is_json, raw_output, error, input_tokens, output_tokens,"
    " cache_creation_tokens, cache_read_tokens, model, provider, cost_usd, data, at_us, is_error,"
    " exact"
)
SESSION_COLUMNS = (
    "id, task, agent, model, status, started_at, completed_at, duration_s, total_events,"
    " total_tokens, total_cost_usd, total_errors, kind, arm, job, attempt, intent, task_id,"
    " reward, error, live"
)

SEQ_BITS = 32
_SEQ = (1 << SEQ_BITS) - 1
_ERROR = 1_000
"""Characters of an error in the list of sessions; the trace has all of it."""
_REASON = 200
_BROKEN = (ValueError, TypeError, RecursionError, msgspec.MsgspecError)
"""What reading a value back raises when the value is not what was written."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = 2**63 - 1
"""The largest integer of SQLite."""
_LIMIT = LARGEST + 1
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = [name for name in Event.__struct_fields__ if name not in ("input", "data", "usage")]
_DECODER = msgspec.json.Decoder()
_TRACE = msgspec.json.Decoder(Trace)


class _Odd(Exception):
    """A value that a column or JSON cannot hold as it is."""


class Unreadable(Exception):
    """A row that is no event, session or trace: damage, or somebody else wrote it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(one_line(str(error), _REASON))


def first_key(session_key: int) -> int:
    """Give the key of a session's own texts; its events have the keys after it."""
    return session_key << SEQ_BITS


def last_key(session_key: int) -> int:
    """Give the largest key that an event of a session can have."""
    return first_key(session_key) | _SEQ


def seq_of(key: int) -> int:
    """Give an event's number in its session, counted from 1."""
    return key & _SEQ


def bounded(number: int) -> int:
    """Give the number, or the nearest one that SQLite can be asked for."""
    return min(max(number, -_LIMIT), LARGEST)


def to_us(time: str | datetime | None) -> int | None:
    """Give a time as microseconds since 1970; a time without a zone counts as UTC."""
    moment = parse_time(time) if isinstance(time, str) else time
    if not isinstance(moment, datetime):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def to_given_us(time: str | datetime | None) -> int | None:
    """Give a time that somebody asks for as `to_us` does; ValueError for a text that is none."""
    found = to_us(time)
    if found is None and time is not None:
        raise ValueError(f"not a time: {time!r}")
    return found


def to_event_row(event: Event, key: int) -> tuple[Row, Event]:
    """Make the row of an event; also give the event as it will be read back."""
    try:
        return _plain_row(event, key), event
    except (_Odd, TypeError, AttributeError, RecursionError, msgspec.MsgspecError, ValueError):
        encoded, event = to_exact(_without_place(event), Event)
    return _row(
        _cleaned(event), key, _clean_payload(event.input), _clean_json(event.data), encoded
    ), event


def _without_place(event: Event) -> Event:
    return Event(**{name: getattr(event, name) for name in Event.__struct_fields__})


def _plain_row(event: Event, key: int) -> Row:
    for text in (
        event.id, event.type, event.parent_id, event.name, event.status, event.started_at,
        event.role, event.text, event.reasoning, event.output, event.error, event.model,
        event.provider,
    ):  # fmt: skip
        if text is None:
            continue
        if text.__class__ is not str or (not text.isascii() and clean(text) is not text):
            raise _Odd
    for number in (event.duration_ms, event.cost_usd):
        if number is not None and not -_LIMIT < number < _LIMIT:  # nor NaN
            raise _Odd
        if number == 0 and copysign(1.0, number) < 0:  # SQLite keeps a whole number as such
            raise _Odd
    usage = event.usage
    if usage is not None and not _fits(usage):
        raise _Odd
    payload: tuple[str | None, int | None] = (None, None)
    if event.input is not None:
        payload = _payload(event.input)
    data = None if event.data is None else _json(event.data)
    return _row(event, key, payload, data, None)


def _fits(usage: Usage) -> bool:
    counts = _counts(usage)
    known = [count for count in counts if count is not None]
    return bool(known) and all(-_LIMIT <= count < _LIMIT for count in known)


def _payload(value: Any) -> tuple[str | None, int | None]:
    if value.__class__ is str:
        if not value.isascii() and clean(value) is not value:
            raise _Odd
        return value, None
    return _json(value), 1


def _json(value: Any) -> str:
    """Write a value as JSON; raises _Odd where reading it back would not give it again."""
    encoded = msgspec.json.encode(value)
    if _DECODER.decode(encoded) != value:
        raise _Odd
    return encoded.decode()


def _clean_payload(value: Any) -> tuple[str | None, int | None]:
    if isinstance(value, str):
        return clean(value), None
    return (None, None) if value is None else (to_clean_json(value), 1)


def _clean_json(value: Any) -> str | None:
    return None if value is None else to_clean_json(value)


def _cleaned(event: Event) -> Event:
    """Make the scalars of an event fit their columns."""
    fields = {name: _fitting(getattr(event, name)) for name in _FIELDS}
    usage = None
    if event.usage is not None:
        usage = Usage(**{name: _fitting(value) for name, value in _named_counts(event.usage)})
    return Event(**fields, usage=usage)


def _named_counts(usage: Usage) -> list[tuple[str, int | None]]:
    return list(zip(Usage.__struct_fields__, _counts(usage), strict=True))


def _counts(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    )


def _fitting(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return value if -_LIMIT < value < _LIMIT else None
    return value


def _row(
    event: Event,
    key: int,
    payload: tuple[str | None, int | None],
    data: str | None,
    exact: bytes | None,
) -> Row:
    counts = (None,) * 4 if event.usage is None else _counts(event.usage)
    return (
        key, key >> SEQ_BITS, event.id, event.type, event.parent_id, event.name, event.status,
        event.started_at, event.duration_ms, event.role, event.text, event.reasoning, *payload,
        event.output, event.error, *counts, event.model, event.provider, event.cost_usd, data,
        to_us(event.started_at), int(is_error(event)), exact,
    )  # fmt: skip


def to_event(row: Row) -> Event:
    """Make the event of a row of EVENT_COLUMNS. Raises Unreadable."""
    try:
        return msgspec.convert(_event_fields(row), Event)
    except _BROKEN as error:
        raise Unreadable(error) from None


def to_stored_event(row: Row, session_id: str) -> StoredEvent:
    """Make the event of a row of EVENT_COLUMNS, with its place. Raises Unreadable."""
    try:
        place = {"session_id": session_id, "seq": seq_of(row[0])}
        return msgspec.convert(_event_fields(row) | place, StoredEvent)
    except _BROKEN as error:
        raise Unreadable(error) from None


def _event_fields(row: Row) -> dict[str, Any]:
    (
        _key, _session, identifier, kind, parent, name, status, timestamp, duration, role, text,
        reasoning, raw_input, is_json, output, error, tokens_in, tokens_out, created, read, model,
        provider, cost, data, _at, _failed, exact,
    ) = row  # fmt: skip
    if exact is not None:
        event = from_exact(exact, Event)
        return {field: getattr(event, field) for field in Event.__struct_fields__}
    usage = None
    if not (tokens_in is None and tokens_out is None and created is None and read is None):
        usage = Usage(
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cache_creation_input_tokens=created,
            cache_read_input_tokens=read,
        )
    return {
        "id": identifier, "type": kind, "parent_id": parent, "name": name, "status": status,
        "started_at": timestamp, "duration_ms": duration, "role": role, "text": text,
        "reasoning": reasoning,
        "input": _DECODER.decode(raw_input) if is_json else raw_input,
        "output": output, "error": error, "usage": usage, "model": model, "provider": provider,
        "cost_usd": cost, "data": None if data is None else _DECODER.decode(data),
    }  # fmt: skip


def to_document(trace: Trace) -> tuple[str, bytes | None, Trace]:
    """Encode a trace without its events; also give it as it will be read back."""
    shell = msgspec.structs.replace(trace, events=None)
    try:
        encoded = msgspec.json.encode(shell)
        if _TRACE.decode(encoded) == shell:
            return encoded.decode(), None, shell
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        pass
    exact, shell = to_exact(shell, Trace)
    return to_clean_json(shell), exact, shell


def from_document(document: str, exact: bytes | None) -> Trace:
    """Decode a trace without its events. Raises Unreadable."""
    try:
        return _TRACE.decode(document) if exact is None else from_exact(exact, Trace)
    except _BROKEN as error:
        raise Unreadable(error) from None


def to_session_fields(trace: Trace) -> dict[str, Any]:
    """Take from a trace what the columns of its session have; its events are not counted."""
    origin, metrics, tokens = trace.origin, trace.metrics, trace.metrics.tokens
    duration = metrics.durations.total_s
    if duration is None:
        duration = elapsed_s(origin.started_at, origin.finished_at)
    fields = {
        "id": trace.trace_id,
        "task": trace.task.name,
        "task_id": trace.task_id,
        "kind": origin.kind,
        "status": trace.status,
        "agent": trace.agent_config.agent.name,
        "model": trace.agent_config.model,
        "arm": trace.arm,
        "job": origin.job_name,
        "attempt": trace.attempt,
        "intent": trace.trigger.intent_type if trace.trigger else None,
        "started_at": origin.started_at,
        "completed_at": origin.finished_at,
        "duration_s": duration,
        "reward": trace.test_reward,
        "error": (trace.error.message or trace.error.type)[:_ERROR] if trace.error else None,
        "cause": trace.error.cause if trace.error else None,
        "total_tokens": tokens.total,
        "total_cost_usd": metrics.cost.usd,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cache_creation_tokens": tokens.cache_creation,
        "cache_read_tokens": tokens.cache_read,
        "started_us": to_us(origin.started_at),
        "completed_us": to_us(origin.finished_at),
        "has_events": int(trace.events is not None),
    }
    return {name: _fitting(value) for name, value in fields.items()}


def to_session(row: Row) -> Session:
    """Make the session of a row of SESSION_COLUMNS. Raises Unreadable."""
    *values, live = row
    names = SESSION_COLUMNS.replace(" ", "").split(",")[:-1]
    fields = dict(zip(names, values, strict=True)) | {"live": bool(live)}
    try:
        return msgspec.convert(fields, Session)
    except msgspec.ValidationError as error:
        raise Unreadable(error) from None
