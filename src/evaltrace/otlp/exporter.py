"""An exporter for the OpenTelemetry SDK that records into a store what a program's spans say.

    provider.add_span_processor(BatchSpanProcessor(StoreSpanExporter("store.db")))

The SDK is loaded when the class is asked for: it comes with the extra `otel`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltrace.errors import EvaltraceError, MissingPackage, StoreFailure, UnknownName
from evaltrace.otlp.decoding import Mark, Span
from evaltrace.otlp.foreign import Spent, read_event, spent_by, type_of
from evaltrace.otlp.operations import to_usage
from evaltrace.otlp.redacting import Redacting
from evaltrace.otlp.traces import joined, to_trace
from evaltrace.otlp.values import from_attributes, from_nanos, to_attributes
from evaltrace.store import Store
from evaltrace.trace import Event
from evaltrace.untrusted import clean, one_line

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

    from evaltrace.redact import Redactor

_FINISHED_KEPT = 64
"""Finished traces that are held for spans that come late, as those of other threads do."""

_MOST_SPANS = 200_000
"""Spans that are held in memory; beyond these the oldest traces are let go of.

What the store has of them by then stays in it."""

_MANY_SPANS, _GROWTH = 2000, 1.2
"""A finished trace of more spans is written anew when it has grown this much; spans that come
late are else added at its end, and count in full when the exporter ends."""

_PAUSE, _LONGEST_PAUSE_S = 10, 60.0
"""How long a store is left alone after a failure, in times what that took; the most seconds."""

_LONGEST_END_S = 5.0
"""How long the end of a program waits for a thread that is writing."""

_log = logging.getLogger(__name__)


class _Recorder:
    """What the exporter is, but for the class of the SDK that it has to be one of.

    A session begins with the first span of a trace that ends, and is finished when its root
    does. Nothing is ever raised into the program: what fails is counted, and told once; its
    spans are held, and written with the next that come. Secrets are replaced; `redact` is
    False to leave them, or a Redactor with rules and a key of one's own.
    """

    def __init__(
        self, store: Store | str | Path | None = None, *, redact: bool | Redactor = True
    ) -> None:
        self._given = store if isinstance(store, Store) else None
        self._place = None if isinstance(store, Store) else store
        self._opened: Store | None = None
        self._redacting = Redacting(redact)
        self._is_closed = self._has_told = False
        self.failures = 0
        """Batches that could not be recorded at once."""
        self._begin()
        _begin_anew_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._is_busy = False
        self._spans: OrderedDict[str, dict[str, Span]] = OrderedDict()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[str, list[Span]] = {}
        self._whole: dict[str, int] = {}
        """How many spans a finished trace had when it was last written as a whole."""
        self._behind: set[str] = set()
        """Traces that got spans since."""
        self._held = 0
        self._next_try = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record spans that ended."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        with self._lock:
            # Busy in this thread: the store itself is instrumented, and would go round.
            if self._is_closed or self._is_busy:
                return SpanExportResult.FAILURE
            self._is_busy = True
            try:
                self._hold(map(_to_span, spans))
                done = self._write_all()
                self._let_go()
            except Exception as error:
                self._tell(error)
                done = False
            finally:
                self._is_busy = False
            self.failures += not done
        return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Tell whether all that was exported is in the store; it is, unless that failed."""
        return not self._waiting

    def shutdown(self) -> None:
        """Close the store, unless it was given open; traces without a root stay as they are."""
        self._is_closed = True
        if not self._lock.acquire(timeout=_LONGEST_END_S):
            return  # A thread waits for a store that is locked: the program's end does not.
        try:
            self._is_busy = True
            self._waiting |= {name: [] for name in self._finished if name in self._behind}
            self._behind.clear()
            if not self._write_all():
                lost = len(self._waiting)
                _log.warning("At the end, the spans of %d traces could not be written.", lost)
            if self._opened is not None:
                self._opened.close()
        except Exception as error:
            self._tell(error)
        finally:
            self._opened = None
            for held in (self._spans, self._finished, self._waiting):
                held.clear()
            self._lock.release()

    def _hold(self, spans: Iterable[Span]) -> None:
        for span in spans:
            known = self._spans.setdefault(span.trace_id, {})
            self._held += span.span_id not in known
            known[span.span_id] = span
            self._spans.move_to_end(span.trace_id)
            self._waiting.setdefault(span.trace_id, []).append(span)
            if _is_root(span):
                self._finished[span.trace_id] = None

    def _write_all(self) -> bool:
        """Write what waits; a store that made this one wait long is left alone for longer."""
        done = True
        for trace_id in list(self._waiting):
            begun = time.monotonic()
            if begun < self._next_try:
                return False
            added = self._waiting.pop(trace_id)
            try:
                self._write(trace_id, added)
            except StoreFailure as error:
                self._waiting[trace_id] = added
                now = time.monotonic()
                self._next_try = now + min(_PAUSE * (now - begun), _LONGEST_PAUSE_S)
                self._tell(error)
                return False
            except EvaltraceError as error:  # a secret that cannot be replaced: left out
                self._tell(error)
                done = False
        return done

    def _write(self, trace_id: str, added: list[Span]) -> None:
        store = self._store()
        spans = self._spans[trace_id]
        few_are_new = bool(added) and len(spans) < _GROWTH * self._whole.get(trace_id, 0)
        if trace_id not in self._finished or (few_are_new and len(spans) > _MANY_SPANS):
            self._behind.add(trace_id)
            self._go_on(trace_id, added)
            return
        # The whole again: what a span counts for depends on those above and below.
        trace = to_trace(spans.values())
        stored = store.read(trace_id)
        if stored is not None:
            is_origin = any(span.parent_id is None for span in spans.values())
            trace = joined(trace, stored, is_origin=is_origin)
        store.add(self._redacting.trace(trace))
        self._whole[trace_id] = len(spans)
        self._behind.discard(trace_id)

    def _go_on(self, trace_id: str, spans: list[Span]) -> None:
        """Record spans of a trace whose root has not ended."""
        store = self._store()
        if store.get_session(trace_id) is None:
            first = min(spans, key=lambda span: span.start or 0)
            name = first.resource.get("service.name")
            # Another process may be as quick.
            with suppress(UnknownName):
                store.start_session(
                    self._redacting.text(one_line(str(name or first.name), 200)),
                    trace_id=trace_id,
                    started_at=from_nanos(first.start),
                    kind="otlp",
                )
        store.save_traces((self._redacting.event(_so_far(span)) for span in spans), trace_id)

    def _store(self) -> Store:
        if self._given is not None:
            return self._given
        if self._opened is None:
            self._opened = Store(self._place)
        return self._opened

    def _let_go(self) -> None:
        """Forget the oldest traces once they are many; those that go on come last."""
        written = [name for name in self._finished if name not in self._waiting]
        for trace_id in written[: max(len(written) - _FINISHED_KEPT, 0)]:
            self._forget(trace_id)
        while self._held > _MOST_SPANS:
            self._forget(next(iter(self._spans)))

    def _forget(self, trace_id: str) -> None:
        self._held -= len(self._spans.pop(trace_id, ()))
        self._finished.pop(trace_id, None)
        self._waiting.pop(trace_id, None)
        self._whole.pop(trace_id, None)
        self._behind.discard(trace_id)

    def _tell(self, error: Exception) -> None:
        if not self._has_told:
            self._has_told = True
            _log.warning("Spans are not recorded: %s. Further failures are counted only.", error)


def _begin_anew_in_children(recorder: _Recorder) -> None:
    """Let a forked child begin with nothing: its parent writes what the parent had."""
    reference = weakref.ref(recorder)

    def begin() -> None:
        its = reference()
        if its is not None:
            # Not the parent's lock: whoever held it is not in the child.
            its._begin()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin)


def _is_root(span: Span) -> bool:
    return span.parent_id is None or span.far_parent


def _so_far(span: Span) -> Event:
    """Give the event of a span before those around it are known: only calls of models count."""
    spent = spent_by(span) if type_of(span) == "llm_call" else Spent()
    usage = to_usage(spent.given, spent.made, spent.read, spent.written)
    return read_event(span, span.parent_id, usage, spent.usd)[0]


def _to_span(given: ReadableSpan) -> Span:
    """Convert a span of the SDK."""
    context, parent, scope = given.context, given.parent, given.instrumentation_scope
    if context is None:
        raise ValueError("a span without a context")
    return Span(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent else None,
        name=clean(given.name) or "span",
        start=given.start_time,
        end=given.end_time,
        attributes=_plain(given.attributes),
        failed=given.status.status_code.name == "ERROR",
        succeeded=given.status.status_code.name == "OK",
        message=clean(given.status.description) if given.status.description else None,
        marks=[
            Mark(clean(event.name), event.timestamp, _plain(event.attributes))
            for event in given.events
        ],
        resource=_plain(given.resource.attributes),
        scope=scope.name if scope else None,
        links=[
            {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"}
            for link in given.links
        ],
        far_parent=parent is not None and parent.is_remote,
    )


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    # By way of the protocol's values, so that a span reads the same however it came.
    return from_attributes(to_attributes(attributes or {}))


@cache
def _exporter() -> Any:
    try:
        from opentelemetry.sdk.trace.export import SpanExporter
    except ImportError:
        hint = "Install it: python -m pip install 'evaltrace[otel]'"
        raise MissingPackage("the OpenTelemetry SDK is not installed", hint=hint) from None

    class StoreSpanExporter(_Recorder, SpanExporter):
        __doc__ = _Recorder.__doc__

    return StoreSpanExporter


def __getattr__(name: str) -> Any:
    if name != "StoreSpanExporter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _exporter()


if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    class StoreSpanExporter(_Recorder, SpanExporter):
        """Records spans of a program into a store: one session for each trace."""
