"""What a store gives: sessions, their events, hits of a search, totals."""

from __future__ import annotations

import msgspec

from evaltrace.trace import Event

ERROR_STATUSES = frozenset({"error", "fail", "failed", "failure", "blocked"})
"""What the status of an event that failed is called, by agents' logs and by recorders."""


def is_error(event: Event) -> bool:
    """Tell whether an event is an error: it has one, is called one, or its status says so."""
    return event.error is not None or event.type == "error" or event.status in ERROR_STATUSES


class Session(msgspec.Struct, kw_only=True):
    """One run as the list of a store shows it; `id` is the `trace_id` of its trace.

    Times are as in the trace, `status` too, `kind` is that of its origin, `intent` that of its
    trigger. Tokens are input and output; None where nobody counted them. `error` is the text of
    the final error. `live` says that it is recorded event by event.
    """

    id: str
    task: str
    agent: str | None = None
    model: str | None = None
    status: str
    started_at: str | None = None
    completed_at: str | None = None
    duration_s: float | None = None
    total_events: int = 0
    total_tokens: int | None = None
    total_cost_usd: float | None = None
    total_errors: int = 0
    kind: str
    arm: str | None = None
    job: str | None = None
    attempt: int | None = None
    intent: str | None = None
    task_id: str | None = None
    reward: float | None = None
    error: str | None = None
    live: bool = False


class StoredEvent(Event, kw_only=True, omit_defaults=True, gc=False):
    """An event with its session and its place in it, counted from 1."""

    session_id: str
    seq: int


class Hit(msgspec.Struct, kw_only=True):
    """What a search found: an event, or with `event_id` None the session's own texts.

    `text` is one line around the first match, `marks` are the places of all matches in it.
    """

    session_id: str
    event_id: str | None = None
    seq: int | None = None
    type: str | None = None
    field: str
    text: str
    marks: list[tuple[int, int]] = []
    started_at: str | None = None


class TypeTotals(msgspec.Struct, kw_only=True):
    """Sums over the events of one type and status; None where no event says."""

    type: str
    status: str | None = None
    events: int = 0
    errors: int = 0
    duration_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_read_tokens: int | None = None
    cost_usd: float | None = None


class Totals(msgspec.Struct, kw_only=True):
    """A session, and sums over its events: by type and status, most events first."""

    session: Session
    by_type: list[TypeTotals]


class ArmTotals(msgspec.Struct, kw_only=True):
    """How many sessions an arm has, and how many of them passed."""

    arm: str | None
    sessions: int
    passed: int


class Counts(msgspec.Struct, kw_only=True):
    """How many traces were new to a store, and how many took the place of an earlier one."""

    added: int = 0
    replaced: int = 0


class Stats(msgspec.Struct, kw_only=True):
    """What a store holds. `journal` is `wal` where several programs may write at once.

    `searchable` says that words are found by an index, not by reading everything.
    """

    path: str
    version: int
    size_bytes: int | None
    journal: str
    searchable: bool
    retention_days: int
    sessions: int
    events: int
    by_kind: dict[str, int]
    by_status: dict[str, int]
    first_started_at: str | None = None
    last_started_at: str | None = None
