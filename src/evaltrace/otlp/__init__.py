"""Traces to and from OTLP, the protocol of OpenTelemetry, by its conventions for agents.

Files and requests are read and written without any package of OpenTelemetry. Only the
exporter for its SDK needs one: the extra `otel`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaltrace.otlp.exporter import StoreSpanExporter
    from evaltrace.otlp.requests import read_requests
    from evaltrace.otlp.sending import Receiver, Sent
    from evaltrace.otlp.spans import to_otlp
    from evaltrace.otlp.traces import from_otlp, read_otlp

_PLACES = {
    "Receiver": "evaltrace.otlp.sending",
    "Sent": "evaltrace.otlp.sending",
    "StoreSpanExporter": "evaltrace.otlp.exporter",
    "from_otlp": "evaltrace.otlp.traces",
    "read_otlp": "evaltrace.otlp.traces",
    "read_requests": "evaltrace.otlp.requests",
    "to_otlp": "evaltrace.otlp.spans",
}

__all__ = [
    "Receiver",
    "Sent",
    "StoreSpanExporter",
    "from_otlp",
    "read_otlp",
    "read_requests",
    "to_otlp",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evaltrace.otlp' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
