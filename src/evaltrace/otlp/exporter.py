"""An exporter for the OpenTelemetry SDK that records into a store what a program's spans say.

    provider.add_span_processor(BatchSpanProcessor(StoreSpanExporter("store.db")))

The SDK is loaded when the class is asked for: it comes with the extra `otel`.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaltrace.errors import MissingPackage
from evaltrace.otlp.decoding import Mark, Span
from evaltrace.otlp.foreign import Spent, read_event, spent_by, type_of
from evaltrace.otlp.operations import to_usage
from evaltrace.otlp.traces import to_trace
from evaltrace.otlp.values import from_attributes, from_nanos, to_attributes
from evaltrace.store import Store
from evaltrace.trace import Event
from evaltrace.untrusted import clean, one_line

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

_FINISHED_KEPT = 64
"""Finished traces that are held for spans that come late, as those of other threads do."""

_MOST_SPANS = 200_000
"""Spans that are held in memory; beyond these the oldest traces are let go of."""

_log = logging.getLogger(__name__)


class _Recorder:
    """What the exporter is, but for the class of the SDK that it has to be one of.

    A session begins with the first span of a trace that ends, and is finished when its root
    does. Nothing is ever raised into the program: what fails is counted, and told once.
    """

    def __init__(self, store: Store | str | Path | None = None) -> None:
        self._given = store if isinstance(store, Store) else None
        self._place = None if isinstance(store, Store) else store
        self._opened: Store | None = None
        self._lock = threading.RLock()
        self._is_busy = False
        self._spans: OrderedDict[str, dict[str, Span]] = OrderedDict()
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._held = 0
        self._is_closed = False
        self.failures = 0
        """Batches that could not be recorded."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record spans that ended."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        with self._lock:
            # Busy in this thread: the store itself is instrumented, and would go round.
            if self._is_closed or self._is_busy:
                return SpanExportResult.FAILURE
            self._is_busy = True
            try:
                self._record(map(_to_span, spans))
            except Exception as error:
                self._tell(error)
                return SpanExportResult.FAILURE
            finally:
                self._is_busy = False
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: what was exported is in the store already."""
        return True

    def shutdown(self) -> None:
        """Close the store, unless it was given open; traces without a root stay as they are."""
        with self._lock:
            self._is_closed = True
            self._spans.clear()
            self._finished.clear()
            opened, self._opened = self._opened, None
        if opened is not None:
            try:
                opened.close()
            except Exception as error:
                self._tell(error)

    def _record(self, spans: Iterable[Span]) -> None:
        new: dict[str, list[Span]] = {}
        for span in spans:
            new.setdefault(span.trace_id, []).append(span)
        for trace_id, added in new.items():
            known = self._spans.setdefault(trace_id, {})
            is_first = not known
            self._held -= len(known)
            known |= {span.span_id: span for span in added}
            self._held += len(known)
            self._spans.move_to_end(trace_id)
            if trace_id in self._finished or any(map(_is_root, added)):
                # The whole again: what a span counts for depends on those above and below.
                self._finished[trace_id] = None
                self._store().add(to_trace(known.values()))
            else:
                self._go_on(trace_id, added, is_first)
        self._let_go()

    def _go_on(self, trace_id: str, spans: list[Span], is_first: bool) -> None:
        """Record spans of a trace whose root has not ended."""
        store = self._store()
        if is_first and store.get_session(trace_id) is None:
            first = min(spans, key=lambda span: span.start or 0)
            name = first.resource.get("service.name")
            store.start_session(
                one_line(str(name or first.name), 200),
                trace_id=trace_id,
                started_at=from_nanos(first.start),
                kind="otlp",
            )
        store.save_traces(map(_so_far, spans), trace_id)

    def _store(self) -> Store:
        if self._given is not None:
            return self._given
        if self._opened is None:
            self._opened = Store(self._place)
        return self._opened

    def _let_go(self) -> None:
        """Forget the oldest traces once they are many; those that go on come last."""
        while len(self._finished) > _FINISHED_KEPT:
            trace_id, _ = self._finished.popitem(last=False)
            self._held -= len(self._spans.pop(trace_id, ()))
        while self._held > _MOST_SPANS and len(self._spans) > 1:
            trace_id, spans = self._spans.popitem(last=False)
            self._finished.pop(trace_id, None)
            self._held -= len(spans)

    def _tell(self, error: Exception) -> None:
        self.failures += 1
        if self.failures == 1:
            _log.warning("Spans are not recorded: %s. Further failures are counted only.", error)


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
