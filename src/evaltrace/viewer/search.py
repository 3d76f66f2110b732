"""Search in the texts of traces: each place where a text occurs, with the hit marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from evaltrace.errors import EvaltraceError
from evaltrace.store import Hit, hits_in
from evaltrace.trace import Trace
from evaltrace.untrusted import printable
from evaltrace.viewer.clock import Clock, start_of
from evaltrace.viewer.stored import start_of_session
from evaltrace.viewer.texts import texts_of_event, texts_of_trace

if TYPE_CHECKING:
    from evaltrace.store import Session, Store

BEFORE, AFTER = 60, 180
"""Characters of a text that are given around its first hit."""

_BOUND = 100_000
"""Characters of a text in which a regular expression is looked for."""

_MOST_MARKS = 50


class InvalidPattern(EvaltraceError):
    """A regular expression that is none."""


class Found(Hit, kw_only=True):
    """A hit with the run that it is in, and its milliseconds from the start of the run."""

    task: str
    task_id: str | None = None
    status: str | None = None
    offset_ms: float | None = None


class Pattern:
    """A regular expression. Case counts only if it has capitals, unless that is said."""

    def __init__(self, text: str, ignore_case: bool | None = None) -> None:
        if ignore_case is None:
            ignore_case = not re.search(r"(?<!\\)[A-Z]", text)
        try:
            self._regex = re.compile(text, re.IGNORECASE if ignore_case else 0)
        except (re.error, OverflowError, RecursionError) as error:
            raise InvalidPattern(
                f'Not a regular expression: "{text}" ({error})',
                hint="Without --regex, words are looked for.",
            ) from None

    def excerpt(self, text: str) -> tuple[str, list[tuple[int, int]]] | None:
        """Give the part of a text around its first hit, as one line, with all hits in it."""
        searched = text[:_BOUND]
        first = next((m for m in self._regex.finditer(searched) if m.end() > m.start()), None)
        if first is None:
            return None
        start = max(first.start() - BEFORE, 0)
        end = min(first.end(), first.start() + AFTER) + AFTER
        spans = self._spans(searched, first, end)
        return _marked(text, start, end, spans)

    def _spans(self, text: str, first: re.Match[str], end: int) -> list[tuple[int, int]]:
        spans = [(first.start(), min(first.end(), end))]
        for match in self._regex.finditer(text, first.end(), min(end, len(text))):
            if match.end() > match.start():
                spans.append(match.span())
            if len(spans) == _MOST_MARKS:
                break
        return spans


def hits_in_trace(trace: Trace, query: str | Pattern) -> Iterator[Found]:
    """Search a trace for words as a store does, or for a pattern in each of its texts."""
    hits = hits_in(trace, query) if isinstance(query, str) else _matches(trace, query)
    clock = Clock(start_of(trace.origin.started_at, trace.events or ()))
    for hit in hits:
        yield Found(
            **_fields(hit),
            task=trace.task.name,
            task_id=trace.task_id,
            status=trace.status,
            offset_ms=clock.offset_ms(hit.started_at) if hit.event_id is not None else None,
        )


def hits_in_store(
    store: Store, query: str, session_id: str | None, limit: int, offset: int = 0
) -> Iterator[Found]:
    """Search a store, or a session of it, for words."""
    sessions: dict[str, tuple[Session, Clock]] = {}
    for hit in store.search(query, session_id=session_id, limit=limit, offset=offset):
        if hit.session_id not in sessions:
            session = store.get_session(hit.session_id)
            if session is None:  # deleted meanwhile
                continue
            sessions[hit.session_id] = session, Clock(start_of_session(store, session))
        session, clock = sessions[hit.session_id]
        yield Found(
            **_fields(hit),
            task=session.task,
            task_id=session.task_id,
            status=session.status,
            offset_ms=clock.offset_ms(hit.started_at) if hit.event_id is not None else None,
        )


def _fields(hit: Hit) -> dict[str, Any]:
    return {name: getattr(hit, name) for name in Hit.__struct_fields__}


def _matches(trace: Trace, pattern: Pattern) -> Iterator[Hit]:
    """Give each field of a trace in which a pattern occurs, events in their order."""
    started_at = trace.origin.started_at
    for field, text in texts_of_trace(trace):
        found = pattern.excerpt(text)
        if found:
            yield Hit(
                session_id=trace.trace_id,
                field=field,
                text=found[0],
                marks=found[1],
                started_at=started_at,
            )
    for seq, event in enumerate(trace.events or (), 1):
        for field, text in texts_of_event(event):
            found = pattern.excerpt(text)
            if found:
                yield Hit(
                    session_id=trace.trace_id,
                    event_id=event.id,
                    seq=seq,
                    type=event.type,
                    field=field,
                    text=found[0],
                    marks=found[1],
                    started_at=event.started_at,
                )


def _marked(
    text: str, start: int, end: int, spans: list[tuple[int, int]]
) -> tuple[str, list[tuple[int, int]]]:
    """Make one line of a part of a text, and move the marks along."""
    line, marks, at = "…" if start else "", [], start
    for first, last in spans:
        line += _spaced(text[at:first])
        hit = _spaced(text[first:last])
        if hit:
            marks.append((len(line), len(line) + len(hit)))
        line, at = line + hit, last
    return line + _spaced(text[at:end]) + ("…" if end < len(text) else ""), marks


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", printable(text))
